//! Who may send to whom.

use super::*;

/// What RCPT answers to an address, after EHLO and MAIL.
fn rcpt(peer: Peer, path: &str) -> String {
    let script = format!("E: connected\nC: EHLO c\nC: MAIL FROM:<a@example.com>\nC: RCPT TO:{path}\n");
    let played = play(policy(), peer, &script);
    played.lines().last().unwrap().trim_start_matches("S: ").to_owned()
}

#[test]
fn mailboxes_are_open_to_peers_with_rights_and_tokens_to_everyone() {
    for (peer, path) in [
        (TRUSTED, "<metrics@example.com>"),
        (TRUSTED, "<METRICS@elsewhere.example>"),
        (TRUSTED, " <metrics@example.com>"),
        (TRUSTED, "<acme+s3cret@example.com>"),
        (STRANGER, "<acme+s3cret@[192.0.2.7]>"),
        (STRANGER, "<other+0ther@example.com>"),
    ] {
        assert_eq!(rcpt(peer, path), "250 2.1.5 recipient accepted", "{path}");
    }
}

#[test]
fn everything_else_is_refused_as_relaying() {
    for (peer, path) in [
        (STRANGER, "<metrics@example.com>"),
        (STRANGER, "<acme+S3CRET@example.com>"),
        (STRANGER, "<acme+@example.com>"),
        (STRANGER, "<acme@example.com>"),
        (STRANGER, "<other+s3cret@example.com>"),
        (STRANGER, "<acme+s3cret+x@example.com>"),
        (TRUSTED, "<someone@example.com>"),
        (TRUSTED, "<postmaster>"),
        (TRUSTED, "<metrics%example.com@mx.example.com>"),
        (TRUSTED, "<example.com!metrics@mx.example.com>"),
        (TRUSTED, "<\"metrics\"@example.com>"),
        (TRUSTED, "<\"metrics@example.com\"@mx.example.com>"),
        (TRUSTED, "<@mx.example.com:metrics@example.com>"),
        (TRUSTED, "<@mx.example.com,@b.example.com:metrics@example.com>"),
    ] {
        let refused = "550 5.7.1 not an address of this server, or not open to this sender";
        assert_eq!(rcpt(peer, path), refused, "{path}");
    }
}

#[test]
fn what_is_no_recipient_is_a_syntax_error() {
    for path in ["", "<>", "metrics@example.com", "<metrics@example.com", "<metrics@@example.com>"] {
        assert_eq!(rcpt(TRUSTED, path), "501 5.1.3 the recipient is no <path>", "{path}");
    }
    let unknown = "555 5.5.4 the command's parameter is unknown or not offered";
    assert_eq!(rcpt(TRUSTED, "<metrics@example.com> NOTIFY=NEVER"), unknown);
}

#[test]
fn a_token_is_taken_for_proof_and_is_not_passed_on() {
    check(
        policy(),
        STRANGER,
        r#"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: HELO ups.example.com
        S: 250 mx.example.com
        C: MAIL FROM:<ups@example.com>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<acme+s3cret@example.com>
        S: 250 2.1.5 recipient accepted
        C: RCPT TO:<metrics@example.com>
        S: 550 5.7.1 not an address of this server, or not open to this sender
        C: DATA
        S: 354 end with a dot on a line of its own
        C: a
        C: .
        ! store <ups@example.com> None acme/acme/token "a\r\n"
        "#,
    );
}

#[test]
fn a_listed_postmaster_needs_no_domain() {
    let postmaster = Mailbox { local_part: "postmaster".into(), tenant: "acme".into() };
    let policy = Policy { mailboxes: vec![postmaster], ..policy() };
    let script = "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<Postmaster>\n";
    assert!(play(policy, TRUSTED, script).ends_with("S: 250 2.1.5 recipient accepted\n"));
}

#[test]
fn a_full_mail_takes_no_more_recipients_and_tells_nothing_about_tokens() {
    let full = "S: 452 4.5.3 too many recipients for one mail";
    let script = "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\nC: RCPT TO:<metrics@x>\nC: RCPT TO:<metrics@x>\n";
    for path in ["metrics@x", "acme+s3cret@x", "acme+guess@x"] {
        let played = play(policy(), TRUSTED, &format!("{script}C: RCPT TO:<{path}>\n"));
        assert_eq!(played.lines().last(), Some(full), "{path}");
    }
}

#[test]
fn a_listener_that_asks_for_authentication_takes_no_mail_without() {
    let policy = Policy { auth_required: true, ..policy() };
    let script = "E: connected\nC: EHLO c\nC: MAIL FROM:<a@example.com>\n";
    assert!(play(policy.clone(), STRANGER, script).ends_with("S: 530 5.7.0 authenticate first\n"));
    assert!(play(policy, TRUSTED, script).ends_with("S: 250 2.1.0 sender accepted\n"));
}

#[test]
fn the_policy_does_not_print_its_hashes() {
    let printed = format!("{:?}", policy());
    assert!(printed.contains("acme") && !printed.contains("hash"), "{printed}");
}

#[test]
fn signs_of_routing_are_refused_even_where_the_policy_lists_them() {
    let token =
        |token: &str| Token { tenant: "acme".into(), hash: *blake3::hash(token.as_bytes()).as_bytes() };
    let mailbox = |name: &str| Mailbox { local_part: name.into(), tenant: "acme".into() };
    let policy = Policy {
        mailboxes: vec![mailbox("a%b"), mailbox("a!b"), mailbox("\"a\"")],
        tokens: vec![token("a%b"), token("a!b")],
        ..policy()
    };
    for local_part in ["a%b", "a!b", "\"a\"", "acme+a%b", "acme+a!b"] {
        let script = format!("E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<{local_part}@x>\n");
        let played = play(policy.clone(), TRUSTED, &script);
        assert!(played.lines().last().unwrap().starts_with("S: 550 5.7.1"), "{played}");
    }
}
