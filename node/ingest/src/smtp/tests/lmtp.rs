//! LMTP (RFC 2033): LHLO, and one answer a recipient.

use super::*;

#[test]
fn every_recipient_is_answered_for_itself() {
    check(
        Policy { protocol: Protocol::Lmtp, ..policy() },
        TRUSTED,
        r#"E: connected
        S: 220 mx.example.com LMTP Starling
        C: EHLO client.example.com
        S: 500 5.5.1 no such command here
        C: HELO client.example.com
        S: 500 5.5.1 no such command here
        C: LHLO client.example.com
        S: 250-mx.example.com
        S: 250-SIZE 1000
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 ENHANCEDSTATUSCODES
        C: MAIL FROM:<a@example.com>
        S: 250 2.1.0 sender accepted
        C: DATA
        S: 503 5.5.1 there is no accepted recipient before this
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: RCPT TO:<nobody@example.com>
        S: 550 5.7.1 not an address of this server, or not open to this sender
        C: RCPT TO:<acme+s3cret@example.com>
        S: 250 2.1.5 recipient accepted
        C: DATA
        S: 354 end with a dot on a line of its own
        C: .
        ! store <a@example.com> Network Metrics/acme/listed acme/acme/token ""
        E: stored
        S: 250 2.0.0 stored
        S: 250 2.0.0 stored
        "#,
    );
}

#[test]
fn a_refused_mail_is_refused_to_every_recipient() {
    let policy = Policy { protocol: Protocol::Lmtp, message_bytes_max: 10, ..policy() };
    let head = "E: connected\nC: LHLO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\nC: RCPT TO:<metrics@x>\n";
    for (content, answer, count) in [
        ("C: DATA\nC: 01234567890\nC: .\n", "552 5.3.4", 2),
        ("C: DATA\nC+ a\\nb\\r\\n.\\r\\n\n", "550 5.6.11", 2),
        ("C: BDAT 11 LAST\nC+ 01234567890\n", "552 5.3.4", 2),
        // Only the last chunk is answered recipient by recipient (RFC 2033, section 4.2).
        ("C: BDAT 11\nC+ 01234567890\n", "552 5.3.4", 1),
        ("C: BDAT 1 LAST\nC+ a\nE: unavailable\n", "451 4.3.0", 2),
    ] {
        let played = play(policy.clone(), TRUSTED, &format!("{head}{content}"));
        assert_eq!(played.matches(&format!("S: {answer} ")).count(), count, "{played}");
    }
}
