//! The edge of the tests: carries out effects, so that whole streams can be played in pieces.

use super::*;

/// What a session did with a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Played {
    pub(super) replies: String,
    pub(super) mails: Vec<Mail>,
    pub(super) is_closed: bool,
}

impl Played {
    /// The codes of the replies, each once a line.
    pub(super) fn codes(&self) -> Vec<&str> {
        self.replies.lines().map(|line| &line[..3]).collect()
    }
}

/// Bytes a session may hold besides its mail: two buffers that double as they grow.
pub(super) const SMALL_BYTES: usize =
    4 * crate::limits::SMTP_HELD_BYTES_MAX + 4 * crate::limits::SMTP_AUTH_BYTES_MAX;

/// The edge: answers a session, each time after as many further pieces as `delay` says.
struct Edge {
    session: Session,
    played: Played,
    waiting: Option<(usize, Event<'static>)>,
    delay: usize,
    message_bytes_max: usize,
}

impl Edge {
    fn tell(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        self.session.step(event, &mut effects);
        for effect in effects {
            assert!(!self.played.is_closed, "nothing follows the end: {effect:?}");
            match effect {
                Effect::Reply(bytes) => self.played.replies.push_str(&String::from_utf8(bytes).unwrap()),
                Effect::Store(mail) => {
                    let refused = mail.bytes.len() % 3 == 2;
                    self.wait(Event::Stored(if refused { Err(Refusal::Full) } else { Ok(()) }));
                    self.played.mails.push(mail);
                }
                Effect::Authenticate { password, .. } => {
                    self.wait(Event::Authenticated(password.as_str() == "p"));
                }
                // Answered between two parts of a stream: what is left of this one came in the clear.
                Effect::StartTls => (),
                Effect::Close => self.played.is_closed = true,
            }
        }
        assert!(self.session.memory_bytes() <= self.message_bytes_max + SMALL_BYTES);
        assert_eq!(self.played.is_closed, self.session.is_closed());
    }

    fn wait(&mut self, event: Event<'static>) {
        assert!(self.waiting.replace((self.delay, event)).is_none(), "one question at a time");
    }

    /// Tells what is due; at the end, everything.
    fn answer(&mut self, is_end: bool) {
        while let Some((left, event)) = self.waiting.take() {
            if left > 0 && !is_end {
                self.waiting = Some((left - 1, event));
                return;
            }
            self.tell(event);
        }
    }
}

/// Plays the parts of a stream; TLS starts between two of them, if it was asked for. `cuts` are the lengths
/// of the pieces, over and over; without any, a part is one piece.
pub(super) fn play_stream(
    policy: &Policy,
    peer: Peer,
    parts: &[&[u8]],
    cuts: &[usize],
    delay: usize,
) -> Played {
    let session = Session::new(Arc::new(policy.clone()), peer);
    let message_bytes_max = policy.message_bytes_max;
    let mut edge = Edge { session, played: Played::default(), waiting: None, delay, message_bytes_max };
    edge.tell(Event::Connected);
    edge.tell(Event::TlsStarted { certificate: None });
    let mut cuts = cuts.iter().cycle();
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let cut = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            edge.tell(Event::Bytes(&rest[..cut]));
            edge.answer(false);
            rest = &rest[cut..];
        }
        edge.answer(true);
        edge.tell(Event::TlsStarted { certificate: None });
    }
    edge.tell(Event::Eof);
    assert!(edge.played.replies.lines().all(is_reply), "{}", edge.played.replies);
    edge.played
}

fn is_reply(line: &str) -> bool {
    let (code, rest) = line.split_at_checked(3).unwrap_or_default();
    code.parse().is_ok_and(|code: u16| (200..600).contains(&code)) && rest.starts_with([' ', '-'])
}
