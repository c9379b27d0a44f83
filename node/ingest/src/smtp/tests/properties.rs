//! What holds for every stream.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::stream::{SMALL_BYTES, play_stream};
use super::*;
use crate::limits::SMTP_HELD_BYTES_MAX;

/// Pieces of sessions, right and wrong; joined at random they reach every state.
pub(super) const FRAGMENTS: [&str; 40] = [
    "EHLO c\r\n",
    "HELO c\r\n",
    "LHLO c\r\n",
    "MAIL FROM:<a@example.com>\r\n",
    "MAIL FROM:<> SIZE=10\r\n",
    "MAIL FROM:<> SIZE=9999\r\n",
    "MAIL FROM:<> BODY=BINARYMIME\r\n",
    "RCPT TO:<metrics@example.com>\r\n",
    "RCPT TO:<acme+s3cret@example.com>\r\n",
    "RCPT TO:<acme+guess@example.com>\r\n",
    "DATA\r\n",
    "\r\n.\r\n",
    ".\r\n",
    "..\r\n",
    "a,b\r\n",
    "BDAT 3\r\n",
    "abc",
    "BDAT 4 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 2000\r\n",
    "BDAT x\r\n",
    "STARTTLS\r\n",
    "AUTH PLAIN AG4AcA==\r\n",
    "AUTH LOGIN\r\n",
    "bg==\r\n",
    "cA==\r\n",
    "*\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "VRFY a\r\n",
    "\r",
    "\n",
    ".",
    "\r\n",
    "\0",
    "ä",
    "MAIL FROM:<@a:b@c>\r\n",
    "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<metrics@b>\r\nDATA\r\n",
    "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<acme+s3cret@b>\r\nBDAT 3 LAST\r\nabc",
];

fn policies() -> impl Strategy<Value = (Policy, Peer)> {
    let tls = select(vec![TlsMode::None, TlsMode::StartTls, TlsMode::Implicit]);
    let lmtp = any::<bool>().prop_map(|lmtp| if lmtp { Protocol::Lmtp } else { Protocol::Smtp });
    (tls, lmtp, any::<bool>(), any::<bool>()).prop_map(|(tls, protocol, is_trusted, sends_bare_newlines)| {
        (Policy { protocol, tls, ..policy() }, Peer { is_trusted, sends_bare_newlines })
    })
}

fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let fragment = prop_oneof![
        20 => select(&FRAGMENTS[..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
        1 => (500..2000_usize).prop_map(|bytes| vec![b'x'; bytes]),
    ];
    vec(vec(fragment, 0..25).prop_map(|fragments| fragments.concat()), 1..4)
}

/// A mail of any bytes, with many dots, without a CR or LF that stands alone.
fn mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b".".to_vec()),
        Just(b"\r\n.\r\n".to_vec()),
        vec(any::<u8>().prop_filter("no CR or LF", |byte| !b"\r\n".contains(byte)), 0..20),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// As a client sends a mail: dots doubled at the start of lines, and an end of line added.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    let mut is_start = true;
    for (at, byte) in mail.iter().enumerate() {
        if is_start && *byte == b'.' {
            sent.push(b'.');
        }
        sent.push(*byte);
        is_start = mail[..=at].ends_with(b"\r\n");
    }
    if !is_start {
        sent.extend(b"\r\n");
    }
    sent.extend(b".\r\n");
    sent
}

const ENVELOPE: &[u8] = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<metrics@x>\r\n";

proptest! {
    #[test]
    fn a_stream_gives_the_same_however_it_is_cut_and_however_late_the_edge_answers(
        (policy, peer) in policies(),
        parts in parts(),
        cuts in vec(1..50_usize, 1..10),
        delay in 0..5_usize,
    ) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let whole = play_stream(&policy, peer, &parts, &[], 0);
        prop_assert_eq!(&play_stream(&policy, peer, &parts, &cuts, delay), &whole);
        prop_assert_eq!(&play_stream(&policy, peer, &parts, &[1], 0), &whole);
        for mail in &whole.mails {
            prop_assert!(mail.bytes.len() <= policy.message_bytes_max && !mail.recipients.is_empty());
            let may_send = mail.rights != Rights::None;
            prop_assert!(mail.recipients.iter().all(|to| to.token_verified || may_send));
        }
    }

    #[test]
    fn dotted_mails_come_out_as_they_went_in(mails in vec(mail(), 1..4), cuts in vec(1..60_usize, 0..6)) {
        let mut stream = Vec::new();
        for mail in &mails {
            stream.extend([ENVELOPE, b"DATA\r\n", &stuffed(mail)].concat());
        }
        let played = play_stream(&policy(), TRUSTED, &[&stream], &cuts, 0);
        let expected = mails.iter().map(|mail| {
            let is_whole = mail.is_empty() || mail.ends_with(b"\r\n");
            if is_whole { mail.clone() } else { [mail.as_slice(), b"\r\n"].concat() }
        });
        prop_assert!(played.mails.into_iter().map(|mail| mail.bytes).eq(expected));
    }

    #[test]
    fn chunked_mails_come_out_as_they_went_in(
        mails in vec(vec(vec(any::<u8>(), 0..80), 1..6), 1..4),
        cuts in vec(1..60_usize, 0..6),
    ) {
        let mut stream = Vec::new();
        for chunks in &mails {
            stream.extend(ENVELOPE);
            for (index, chunk) in chunks.iter().enumerate() {
                let last = if index + 1 == chunks.len() { " LAST" } else { "" };
                stream.extend(format!("BDAT {}{last}\r\n", chunk.len()).into_bytes());
                stream.extend(chunk);
            }
        }
        let played = play_stream(&policy(), TRUSTED, &[&stream], &cuts, 0);
        prop_assert!(played.mails.into_iter().map(|mail| mail.bytes).eq(mails.iter().map(|chunks| chunks.concat())));
    }

    #[test]
    fn garbage_is_never_stored(garbage in vec(any::<u8>(), 0..4000), cuts in vec(1..500_usize, 0..6)) {
        let legacy = Peer { is_trusted: true, sends_bare_newlines: true };
        for peer in [TRUSTED, legacy] {
            let played = play_stream(&policy(), peer, &[&garbage], &cuts, 0);
            prop_assert!(played.mails.is_empty());
        }
    }
}

#[test]
fn a_session_that_waits_stops_reading_and_gives_up_on_an_edge_that_does_not() {
    let mut session = Session::new(Arc::new(policy()), TRUSTED);
    let mut effects = Vec::new();
    session.step(Event::Connected, &mut effects);
    let stream = [ENVELOPE, b"DATA\r\n.\r\n"].concat();
    session.step(Event::Bytes(&stream), &mut effects);
    assert!(matches!(effects.last(), Some(Effect::Store(_))) && session.wants_bytes());
    session.step(Event::Bytes(&vec![b'x'; SMTP_HELD_BYTES_MAX]), &mut effects);
    assert!(!session.wants_bytes() && !session.is_closed());
    effects.clear();
    session.step(Event::Bytes(&vec![b'x'; SMTP_HELD_BYTES_MAX + 1]), &mut effects);
    let told = Effect::Reply(b"421 4.7.0 too many bytes sent ahead\r\n".to_vec());
    assert_eq!(effects, [told, Effect::Close]);
    assert_eq!(session.memory_bytes(), 0);
    session.step(Event::Stored(Ok(())), &mut effects);
    assert_eq!(effects.len(), 2, "a closed session is silent");
}

#[test]
fn endless_lines_headers_and_declared_sizes_take_no_memory() {
    let policy = Policy { message_bytes_max: 100_000, ..policy() };
    let piece = [b'x'; 10_000];
    for beginning in
        ["", "DATA\r\n", "BDAT 18446744073709551615 LAST\r\n", "BDAT 99999 LAST\r\n", "DATA\r\na: b\r\n"]
    {
        let mut session = Session::new(Arc::new(policy.clone()), TRUSTED);
        session.step(Event::Connected, &mut Vec::new());
        session.step(Event::Bytes(&[ENVELOPE, beginning.as_bytes()].concat()), &mut Vec::new());
        assert!(session.memory_bytes() < 1000, "what is announced takes no memory");
        for _ in 0..100 {
            if session.wants_bytes() {
                session.step(Event::Bytes(&piece), &mut Vec::new());
            }
            assert!(session.memory_bytes() <= 100_000 + SMALL_BYTES, "{beginning:?}");
        }
    }
}
