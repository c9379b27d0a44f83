//! SMTP and LMTP sessions: any stream, however it is cut and however late the edge answers, gives the same.
//!
//! The first byte chooses the rules; TLS may start where a byte 0xff stands.
#![no_main]

use std::sync::Arc;

use ingest::smtp::{
    Certificate, Effect, Event, Mail, Mailbox, Peer, Policy, Protocol, Refusal, Rights, Session, TlsMode,
    Token,
};
use libfuzzer_sys::fuzz_target;

/// What a session did with a stream.
#[derive(Debug, Default, PartialEq)]
struct Played {
    replies: Vec<u8>,
    mails: Vec<Mail>,
    is_closed: bool,
}

/// The edge: answers a session, each time after as many further pieces as `delay` says.
struct Edge {
    session: Session,
    played: Played,
    waiting: Option<(usize, Event<'static>)>,
    delay: usize,
}

impl Edge {
    fn tell(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        self.session.step(event, &mut effects);
        for effect in effects {
            assert!(!self.played.is_closed, "nothing follows the end");
            match effect {
                Effect::Reply(bytes) => self.played.replies.extend(bytes),
                Effect::Store(mail) => {
                    let full = mail.bytes.len() % 3 == 2;
                    self.wait(Event::Stored(if full { Err(Refusal::Full) } else { Ok(()) }));
                    self.played.mails.push(mail);
                }
                Effect::Authenticate { password, .. } => {
                    self.wait(Event::Authenticated(password.as_str() == "p"))
                }
                // Answered between two parts of a stream: what is left of this one came in the clear.
                Effect::StartTls => (),
                Effect::Close => self.played.is_closed = true,
            }
        }
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

fn play(rules: &Rules, stream: &[u8], cuts: &[usize], delay: usize) -> Played {
    let Rules { policy, peer, certificate } = rules;
    let certificate = certificate.as_ref();
    let session = Session::new(Arc::clone(policy), *peer);
    let mut edge = Edge { session, played: Played::default(), waiting: None, delay };
    edge.tell(Event::Connected);
    edge.tell(Event::TlsStarted { certificate: certificate.cloned() });
    let mut cuts = cuts.iter().cycle();
    for part in stream.split(|&byte| byte == 0xff) {
        let mut rest = part;
        while !rest.is_empty() {
            let cut = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            edge.tell(Event::Bytes(&rest[..cut]));
            edge.answer(false);
            rest = &rest[cut..];
        }
        edge.answer(true);
        edge.tell(Event::TlsStarted { certificate: certificate.cloned() });
    }
    edge.tell(Event::Eof);
    edge.played
}

/// What a session goes by.
struct Rules {
    policy: Arc<Policy>,
    peer: Peer,
    certificate: Option<Certificate>,
}

fn rules(chosen: u8) -> Rules {
    let bit = |number: u8| chosen >> number & 1 == 1;
    let policy = Policy {
        protocol: if bit(0) { Protocol::Lmtp } else { Protocol::Smtp },
        tls: [TlsMode::None, TlsMode::StartTls, TlsMode::Implicit, TlsMode::StartTls]
            [usize::from(chosen >> 1 & 3)],
        auth_required: bit(5),
        message_bytes_max: 1000,
        recipients_max: 3,
        mailboxes: vec![Mailbox { local_part: "Metrics".into(), tenant: "acme".into() }],
        tokens: vec![Token { tenant: "acme".into(), hash: *blake3::hash(b"s3cret").as_bytes() }],
        ..Policy::new("mx.example.com")
    };
    let peer = Peer { is_trusted: bit(3), sends_bare_newlines: bit(4) };
    let listed = Certificate::Listed { name: "c".into(), tenants: vec!["other".into()] };
    let certificate = if bit(6) { Some(listed) } else { bit(7).then_some(Certificate::Unlisted) };
    Rules { policy: Arc::new(policy), peer, certificate }
}

/// `250 text` or `250-text`, line by line.
fn are_replies(replies: &[u8]) -> bool {
    replies.split_inclusive(|&byte| byte == b'\n').all(|line| {
        line.ends_with(b"\r\n")
            && line.len() <= 512
            && line[..3].iter().all(u8::is_ascii_digit)
            && matches!(line[3], b' ' | b'-')
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, stream)) = data.split_first() else { return };
    let rules = rules(chosen);
    let whole = play(&rules, stream, &[], 0);
    let cuts: Vec<usize> = stream.iter().take(16).map(|byte| usize::from(*byte % 40)).collect();
    assert_eq!(play(&rules, stream, &cuts, stream.len() % 4), whole);
    assert_eq!(play(&rules, stream, &[1], 0), whole);
    assert!(are_replies(&whole.replies), "{}", whole.replies.escape_ascii());
    for mail in &whole.mails {
        assert!(mail.bytes.len() <= rules.policy.message_bytes_max && !mail.recipients.is_empty());
        // The certificate's tenant is another.
        let may_send = matches!(mail.rights, Rights::Network | Rights::Login(_));
        assert!(mail.recipients.iter().all(|to| to.tenant == "acme" && (to.token_verified || may_send)));
    }
});
