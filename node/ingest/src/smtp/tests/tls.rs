//! STARTTLS (RFC 3207), TLS from the start, and AUTH (RFC 4954).

use super::*;

fn tls_policy() -> Policy {
    Policy { tls: TlsMode::StartTls, ..policy() }
}

#[test]
fn what_was_said_before_tls_is_forgotten_and_what_is_sent_with_starttls_is_dropped() {
    check(
        tls_policy(),
        STRANGER,
        r"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: EHLO client.example.com
        S: 250-mx.example.com
        S: 250-SIZE 1000
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250 STARTTLS
        C: AUTH PLAIN AG4AcA==
        S: 538 5.7.11 a password is taken under TLS only
        C: STARTTLS now
        S: 501 5.5.4 the command's argument is missing or wrong
        C: MAIL FROM:<a@example.com>
        S: 250 2.1.0 sender accepted
        C+ STARTTLS\r\nRCPT TO:<acme+s3cret@example.com>\r\nRS
        S: 220 2.0.0 go ahead with TLS
        ! tls
        C+ ET\r\nNOOP\r\n
        E: tls
        C: RCPT TO:<acme+s3cret@example.com>
        S: 503 5.5.1 there is no MAIL before this
        C: MAIL FROM:<a@example.com>
        S: 503 5.5.1 say hello first
        C: EHLO client.example.com
        S: 250-mx.example.com
        S: 250-SIZE 1000
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250-ENHANCEDSTATUSCODES
        S: 250 AUTH PLAIN LOGIN
        C: STARTTLS
        S: 503 5.5.1 TLS has already started
        ",
    );
}

#[test]
fn nothing_is_said_in_the_clear_where_tls_is_awaited() {
    let implicit = Policy { tls: TlsMode::Implicit, ..policy() };
    check(
        implicit.clone(),
        STRANGER,
        "C: EHLO injected.example.com
        E: connected
        ! tls
        C: NOOP
        E: tls
        S: 220 mx.example.com ESMTP Starling
        C: NOOP
        S: 250 2.0.0 done
        C: STARTTLS
        S: 503 5.5.1 TLS has already started
        ",
    );
    for last in ["timed out", "shutting down", "eof"] {
        let script = format!("E: connected\n! tls\nE: {last}\n! close\n");
        check(implicit.clone(), STRANGER, &script);
        check(implicit.clone(), STRANGER, &format!("E: {last}\n! close\n"));
    }
}

#[test]
fn a_listed_certificate_gives_the_right_to_send_to_mailboxes_of_its_tenant() {
    check(
        tls_policy(),
        STRANGER,
        r#"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: STARTTLS
        S: 220 2.0.0 go ahead with TLS
        ! tls
        E: tls of acme probe.example.com
        C: HELO c
        S: 250 mx.example.com
        C: MAIL FROM:<>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: DATA
        S: 354 end with a dot on a line of its own
        C: .
        ! store <> Certificate(Listed { name: "probe.example.com", tenants: ["acme"] }) Metrics/acme/listed ""
        "#,
    );
    check_after(
        "E: connected\nC: STARTTLS\nE: tls of other probe.example.com\nC: HELO c\n",
        tls_policy(),
        TRUSTED,
        "C: MAIL FROM:<>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 550 5.7.1 not an address of this server, or not open to this sender
        C: RCPT TO:<acme+s3cret@example.com>
        S: 250 2.1.5 recipient accepted",
    );
}

#[test]
fn a_certificate_that_is_not_listed_may_send_nothing_before_it_logs_in() {
    check_after(
        "E: connected\nC: STARTTLS\nE: tls unlisted\nC: EHLO c\n",
        tls_policy(),
        TRUSTED,
        r"C: MAIL FROM:<>
        S: 550 5.7.1 no name of this certificate is listed here; log in, or come without it
        C: AUTH PLAIN AG4AcA==
        ! authenticate n p
        E: right
        S: 235 2.7.0 authenticated
        C: MAIL FROM:<>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted",
    );
}

#[track_caller]
fn check_under_tls(policy: Policy, script: &str) {
    check_after("E: connected\nC: STARTTLS\nE: tls\nC: EHLO c\n", policy, STRANGER, script);
}

#[test]
fn plain_is_taken_with_and_without_an_initial_response() {
    check_under_tls(
        Policy { auth_required: true, ..tls_policy() },
        r#"C: MAIL FROM:<a@example.com>
        S: 530 5.7.0 authenticate first
        C+ AUTH PLAIN AG4AcA==\r\nNOOP\r\n
        ! authenticate n p
        E: wrong
        S: 535 5.7.8 the name or the password is wrong
        S: 250 2.0.0 done
        C: auth plain
        S: 334
        C: AG4AcA==
        ! authenticate n p
        E: right
        S: 235 2.7.0 authenticated
        C: AUTH PLAIN AG4AcA==
        S: 503 5.5.1 already authenticated
        C: MAIL FROM:<a@example.com> AUTH=<>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: DATA
        S: 354 end with a dot on a line of its own
        C: .
        ! store <a@example.com> Login("n") Metrics/acme/listed """#,
    );
}

#[test]
fn login_asks_twice_and_can_be_cancelled() {
    check_under_tls(
        tls_policy(),
        "C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: bg==
        S: 334 UGFzc3dvcmQ6
        C: *
        S: 501 5.7.0 authentication cancelled
        C: AUTH LOGIN bg==
        S: 334 UGFzc3dvcmQ6
        C: cA==
        ! authenticate n p
        E: right
        S: 235 2.7.0 authenticated",
    );
}

#[test]
fn wrong_exchanges_end_with_a_refusal() {
    check_under_tls(
        tls_policy(),
        "C: AUTH CRAM-MD5
        S: 504 5.5.4 the mechanism is not PLAIN or LOGIN
        C: AUTH
        S: 501 5.5.4 the command's argument is missing or wrong
        C: AUTH PLAIN =
        S: 501 5.5.2 this is not base64, or not what the mechanism asks for
        C: AUTH PLAIN
        S: 334
        C: QUIT!
        S: 501 5.5.2 this is not base64, or not what the mechanism asks for
        C: MAIL FROM:<>
        S: 250 2.1.0 sender accepted
        C: AUTH PLAIN AG4AcA==
        S: 503 5.5.1 a mail has already begun
        C: QUIT
        S: 221 2.0.0 goodbye
        ! close",
    );
    let long = format!("{:012284}", 0);
    check_under_tls(
        tls_policy(),
        &format!(
            "C: AUTH PLAIN
            S: 334
            C: {long}000
            S: 500 5.5.6 the line is too long
            C: AUTH PLAIN {long}
            S: 500 5.5.2 the line is too long
            C: NOOP
            S: 250 2.0.0 done"
        ),
    );
}

#[test]
fn a_bare_line_feed_is_no_end_of_an_exchange() {
    check_under_tls(
        tls_policy(),
        r"C: AUTH PLAIN
        S: 334
        C+ AG4AcA==\n
        S: 521 5.5.2 a line ends with CRLF, not with a bare LF
        ! close",
    );
}
