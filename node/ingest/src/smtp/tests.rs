//! Transcripts: what a client says, what the edge tells, and what the session answers, line by line.

mod envelope;
mod extensions;
mod lmtp;
mod mutation;
mod order;
mod properties;
mod smuggling;
mod stream;
mod tls;

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;

/// One mailbox, one token, mails of 1000 bytes.
fn policy() -> Policy {
    Policy {
        message_bytes_max: 1000,
        recipients_max: 3,
        mailboxes: vec![Mailbox { local_part: "Metrics".into(), tenant: "acme".into() }],
        tokens: vec![
            Token { tenant: "other".into(), hash: *blake3::hash(b"0ther").as_bytes() },
            Token { tenant: "acme".into(), hash: *blake3::hash(b"s3cret").as_bytes() },
        ],
        ..Policy::new("mx.example.com")
    }
}

const STRANGER: Peer = Peer { is_trusted: false, sends_bare_newlines: false };
const TRUSTED: Peer = Peer { is_trusted: true, sends_bare_newlines: false };

/// Plays the `C:` and `E:` lines of a script and writes down what happens. `C:` is a line of the client, `C+`
/// a piece without a line end, in which `\r` and `\n` are written out; `E:` is an event; `S:` is a line of
/// the server, `!` any other effect.
fn play(policy: Policy, peer: Peer, script: &str) -> String {
    let mut session = Session::new(Arc::new(policy), peer);
    let mut transcript = String::new();
    for line in script.lines().map(str::trim_start) {
        let (kind, rest) = line.split_at_checked(2).unwrap_or_default();
        let text = rest.strip_prefix(' ').unwrap_or(rest);
        let mut effects = Vec::new();
        match kind {
            "C:" => session.step(Event::Bytes(format!("{text}\r\n").as_bytes()), &mut effects),
            "C+" => {
                let piece = text.replace("\\r", "\r").replace("\\n", "\n");
                session.step(Event::Bytes(piece.as_bytes()), &mut effects);
            }
            "E:" => session.step(event(text), &mut effects),
            _ => continue,
        }
        writeln!(transcript, "{line}").unwrap();
        for effect in &effects {
            write_down(effect, &mut transcript);
        }
    }
    transcript
}

fn event(text: &str) -> Event<'_> {
    let named = [
        ("connected", Event::Connected),
        ("tls", Event::TlsStarted { certificate: None }),
        ("tls unlisted", Event::TlsStarted { certificate: Some(Certificate::Unlisted) }),
        ("right", Event::Authenticated(true)),
        ("wrong", Event::Authenticated(false)),
        ("stored", Event::Stored(Ok(()))),
        ("full", Event::Stored(Err(Refusal::Full))),
        ("unavailable", Event::Stored(Err(Refusal::Unavailable))),
        ("timed out", Event::TimedOut),
        ("shutting down", Event::ShuttingDown),
        ("eof", Event::Eof),
    ];
    if let Some((tenant, name)) = text.strip_prefix("tls of ").and_then(|of| of.split_once(' ')) {
        let listed = Certificate::Listed { name: name.into(), tenants: vec![tenant.into()] };
        return Event::TlsStarted { certificate: Some(listed) };
    }
    if let Some(reason) = text.strip_prefix("rejected ") {
        return Event::Stored(Err(Refusal::Rejected(reason.into())));
    }
    named.into_iter().find(|(name, _)| *name == text).expect("an event of the table").1
}

fn write_down(effect: &Effect, transcript: &mut String) {
    match effect {
        Effect::Reply(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap();
            let lines = text.strip_suffix("\r\n").expect("a reply ends with CRLF").split("\r\n");
            lines.for_each(|line| writeln!(transcript, "S: {}", line.trim_end()).unwrap());
        }
        Effect::StartTls => transcript.push_str("! tls\n"),
        Effect::Authenticate { name, password } => {
            writeln!(transcript, "! authenticate {name} {}", password.as_str()).unwrap();
        }
        Effect::Store(mail) => {
            let recipient = |to: &Recipient| {
                let proof = if to.token_verified { "token" } else { "listed" };
                format!(" {}/{}/{proof}", to.local_part, to.tenant)
            };
            let recipients: String = mail.recipients.iter().map(recipient).collect();
            let text = String::from_utf8_lossy(&mail.bytes);
            writeln!(transcript, "! store <{}> {:?}{recipients} {text:?}", mail.sender, mail.rights).unwrap();
        }
        Effect::Close => transcript.push_str("! close\n"),
    }
}

/// Holds a script against what happens when its client's and its edge's lines are played. Of `after`, only
/// what follows its last line counts: it begins the script and is written nowhere.
#[track_caller]
fn check_after(after: &str, policy: Policy, peer: Peer, script: &str) {
    let written: String =
        script.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect();
    let beginning = play(policy.clone(), peer, after);
    let played = play(policy, peer, &format!("{after}{written}"));
    let played = played.strip_prefix(&beginning).expect("the same beginning");
    assert!(played == written, "played:\n{played}\nwritten:\n{written}");
}

#[track_caller]
fn check(policy: Policy, peer: Peer, script: &str) {
    check_after("", policy, peer, script);
}
