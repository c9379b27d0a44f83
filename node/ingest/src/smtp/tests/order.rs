//! The order of commands, limits of a session, and its end.

use super::*;

#[test]
fn a_mail_is_stored_before_it_is_acknowledged() {
    check(
        policy(),
        TRUSTED,
        r#"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: EHLO client.example.com
        S: 250-mx.example.com
        S: 250-SIZE 1000
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 ENHANCEDSTATUSCODES
        C: MAIL FROM:<probe@example.com> SIZE=20 BODY=8BITMIME
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: DATA
        S: 354 end with a dot on a line of its own
        C: Subject: cpu
        C:
        C: ..5
        C: .
        ! store <probe@example.com> Network Metrics/acme/listed "Subject: cpu\r\n\r\n.5\r\n"
        E: stored
        S: 250 2.0.0 stored
        C: QUIT
        S: 221 2.0.0 goodbye
        ! close
        "#,
    );
}

#[test]
fn what_became_of_a_mail_decides_the_answer() {
    for (event, answer) in [
        ("full", "452 4.3.1 not stored: the storage is full; try again later"),
        ("unavailable", "451 4.3.0 not stored; try again later"),
        ("rejected this mail holds no CSV", "554 5.6.0 refused: this mail holds no CSV"),
    ] {
        let script = format!(
            "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\nC: DATA\nC: .\nE: {event}\nC: QUIT\n"
        );
        let played = play(policy(), TRUSTED, &script);
        let end = format!(
            "! store <> Network Metrics/acme/listed \"\"\nE: {event}\nS: {answer}\nC: QUIT\nS: 221 2.0.0 goodbye\n! close\n"
        );
        assert!(played.ends_with(&end), "{played}");
    }
}

#[test]
fn commands_out_of_order_are_refused_and_change_nothing() {
    check(
        policy(),
        TRUSTED,
        r"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: MAIL FROM:<a@example.com>
        S: 503 5.5.1 say hello first
        C: HELO client.example.com
        S: 250 mx.example.com
        C: RCPT TO:<metrics@example.com>
        S: 503 5.5.1 there is no MAIL before this
        C: DATA
        S: 503 5.5.1 there is no MAIL before this
        C: MAIL FROM:<a@example.com> SIZE=1
        S: 555 5.5.4 the command's parameter is unknown or not offered
        C: MAIL FROM:<a@example.com>
        S: 250 2.1.0 sender accepted
        C: MAIL FROM:<b@example.com>
        S: 503 5.5.1 a mail has already begun
        C: DATA
        S: 503 5.5.1 there is no accepted recipient before this
        C: RCPT TO:<metrics>
        S: 501 5.1.3 the recipient is no <path>
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: LHLO client.example.com
        S: 500 5.5.1 no such command here
        C: RSET
        S: 250 2.0.0 done
        C: DATA
        S: 503 5.5.1 there is no MAIL before this
        C: MAIL FROM:<c@example.com>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<METRICS@[192.0.2.1]>
        S: 250 2.1.5 recipient accepted
        C: HELO again.example.com
        S: 250 mx.example.com
        C: DATA
        S: 503 5.5.1 there is no MAIL before this
        ",
    );
}

#[test]
fn commands_without_a_mail_have_their_answers() {
    check(
        policy(),
        STRANGER,
        r"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: NOOP whatever
        S: 250 2.0.0 done
        C: HELP MAIL
        S: 214 2.0.0 RFC 5321: telemetry as CSV is taken here, and nothing is sent on
        C: VRFY metrics
        S: 252 2.0.0 addresses are not verified; send the mail to find out
        C: VRFY
        S: 501 5.5.4 the command's argument is missing or wrong
        C: EXPN all
        S: 502 5.5.1 the command is not offered
        C: TURN
        S: 502 5.5.1 the command is not offered
        C: ETRN example.com
        S: 502 5.5.1 the command is not offered
        C: WIZ
        S: 500 5.5.1 no such command here
        C:
        S: 500 5.5.1 no such command here
        C: EHLO
        S: 501 5.5.4 the command's argument is missing or wrong
        C: rset
        S: 250 2.0.0 done
        C: STARTTLS
        S: 502 5.5.1 the command is not offered
        C: AUTH PLAIN AG4AcA==
        S: 502 5.5.1 the command is not offered
        C: GET / HTTP/1.1
        S: 554 5.5.1 this is no command of a mail client
        ! close
        C: QUIT
        ",
    );
}

#[test]
fn early_talkers_are_refused_or_wait_as_the_policy_says() {
    check(
        policy(),
        TRUSTED,
        "C: EHLO bot.example.com
        S: 554 5.5.1 wait for the greeting
        ! close
        E: connected
        ",
    );
    check(
        Policy { refuses_early_talkers: false, ..policy() },
        TRUSTED,
        "C+ NO
        C: OP
        E: connected
        S: 220 mx.example.com ESMTP Starling
        S: 250 2.0.0 done
        ",
    );
}

#[test]
fn too_many_errors_or_commands_end_the_session() {
    check(
        Policy { errors_max: 2, ..policy() },
        TRUSTED,
        "E: connected
        S: 220 mx.example.com ESMTP Starling
        C: A
        S: 500 5.5.1 no such command here
        C: NOOP
        S: 250 2.0.0 done
        C: B
        S: 500 5.5.1 no such command here
        S: 421 4.7.0 too many refused commands
        ! close
        ",
    );
    check(
        Policy { commands_max: 1, ..policy() },
        TRUSTED,
        "E: connected
        S: 220 mx.example.com ESMTP Starling
        C: NOOP
        S: 250 2.0.0 done
        C: NOOP
        S: 421 4.7.0 too many commands for one session
        ! close
        ",
    );
}

#[test]
fn silence_and_the_end_of_the_program_are_told_to_the_client() {
    check(
        policy(),
        TRUSTED,
        "E: connected
        S: 220 mx.example.com ESMTP Starling
        E: timed out
        S: 421 4.4.2 silent for too long
        ! close
        E: timed out
        ",
    );
    check(
        policy(),
        TRUSTED,
        "E: connected
        S: 220 mx.example.com ESMTP Starling
        E: shutting down
        S: 421 4.3.2 shutting down
        ! close
        ",
    );
    check(
        policy(),
        TRUSTED,
        "E: connected
        S: 220 mx.example.com ESMTP Starling
        C+ QUI
        E: eof
        ! close
        ",
    );
}

#[test]
fn a_mail_that_is_being_received_outlives_the_order_to_shut_down() {
    check(
        policy(),
        TRUSTED,
        r#"E: connected
        S: 220 mx.example.com ESMTP Starling
        C: HELO c
        S: 250 mx.example.com
        C: MAIL FROM:<>
        S: 250 2.1.0 sender accepted
        C: RCPT TO:<metrics@example.com>
        S: 250 2.1.5 recipient accepted
        C: DATA
        S: 354 end with a dot on a line of its own
        E: shutting down
        C: a
        C+ .\r\nNOOP\r\n
        ! store <> Network Metrics/acme/listed "a\r\n"
        E: stored
        S: 250 2.0.0 stored
        S: 421 4.3.2 shutting down
        ! close
        "#,
    );
}

#[test]
fn events_that_nobody_waits_for_do_nothing() {
    let script = "E: connected\nE: connected\nE: tls\nE: right\nE: stored\nC: NOOP\n";
    let played = play(policy(), TRUSTED, script);
    assert_eq!(played.matches("S: ").count(), 2, "{played}");
}

#[test]
fn a_mail_that_breaks_off_is_not_stored() {
    let head = "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\n";
    for (content, end, last) in [
        ("C: DATA\nC: a\n", "eof", "! close"),
        ("C: DATA\nC+ a\\r\\n.\n", "eof", "! close"),
        ("C: DATA\nC+ a\\r\\n.\\r\n", "timed out", "S: 421 4.4.2 silent for too long"),
        ("C: BDAT 4 LAST\nC+ abc\n", "eof", "! close"),
        ("C: BDAT 3\nC+ abc\n", "shutting down", "S: 421 4.3.2 shutting down"),
    ] {
        let played = play(policy(), TRUSTED, &format!("{head}{content}E: {end}\n"));
        assert!(played.contains(&format!("E: {end}\n{last}\n")) && !played.contains("! store"), "{played}");
    }
}

#[test]
fn a_chunk_that_is_being_received_is_answered_before_the_session_ends() {
    let head = "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\n";
    let played = play(policy(), TRUSTED, &format!("{head}C: BDAT 3\nE: shutting down\nC+ abcNOOP\n"));
    let end = "C+ abcNOOP\nS: 250 2.0.0 octets taken\nS: 421 4.3.2 shutting down\n! close\n";
    assert!(played.ends_with(end), "{played}");
    let played =
        play(policy(), TRUSTED, &format!("{head}C: BDAT 3 LAST\nE: shutting down\nC+ abc\nE: stored\n"));
    assert!(played.ends_with("S: 250 2.0.0 stored\nS: 421 4.3.2 shutting down\n! close\n"), "{played}");
}

#[test]
fn a_peer_that_has_closed_its_side_still_gets_its_answers() {
    check_after(
        "E: connected\nC: HELO c\nC: MAIL FROM:<>\nC: RCPT TO:<metrics@x>\n",
        policy(),
        TRUSTED,
        r#"C+ BDAT 1 LAST\r\naMAIL FROM:<>\r\nRCPT TO:<metrics@x>\r\nBDAT 0 LAST\r\nNO
        ! store <> Network Metrics/acme/listed "a"
        E: eof
        E: stored
        S: 250 2.0.0 stored
        S: 250 2.1.0 sender accepted
        S: 250 2.1.5 recipient accepted
        ! store <> Network Metrics/acme/listed ""
        E: full
        S: 452 4.3.1 not stored: the storage is full; try again later
        ! close
        "#,
    );
}
