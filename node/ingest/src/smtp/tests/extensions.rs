//! SIZE, PIPELINING, SMTPUTF8, CHUNKING and BINARYMIME.

use super::*;

fn up_to_rcpt(mail_parameters: &str) -> String {
    format!(
        "E: connected\nC: EHLO c\nC: MAIL FROM:<a@example.com>{mail_parameters}\nC: RCPT TO:<metrics@example.com>\n"
    )
}

fn after_rcpt(script: &str) -> String {
    play(policy(), TRUSTED, &format!("{}{script}", up_to_rcpt("")))
}

#[track_caller]
fn check_after_rcpt(mail_parameters: &str, script: &str) {
    check_after(&up_to_rcpt(mail_parameters), policy(), TRUSTED, script);
}

/// The last answer to MAIL with these parameters.
fn mail(parameters: &str) -> String {
    let script = format!("E: connected\nC: EHLO c\nC: MAIL FROM:{parameters}\n");
    play(policy(), TRUSTED, &script).lines().last().unwrap().trim_start_matches("S: ").to_owned()
}

#[test]
fn parameters_of_mail_are_answered_before_any_content() {
    for (parameters, answer) in [
        ("<a@b> SIZE=1000", "250 2.1.0 sender accepted"),
        ("<a@b> size=0 body=7bit smtputf8", "250 2.1.0 sender accepted"),
        ("<a@b> SIZE=1001", "552 5.3.4 the mail is too large"),
        ("<a@b> SIZE=99999999999999999999", "552 5.3.4 the mail is too large"),
        ("<a@b> SIZE=-1", "501 5.5.4 the command's argument is missing or wrong"),
        ("<a@b> BODY=16BIT", "501 5.5.4 the command's argument is missing or wrong"),
        ("<a@b> RET=FULL", "555 5.5.4 the command's parameter is unknown or not offered"),
        ("<a@b> AUTH=<>", "555 5.5.4 the command's parameter is unknown or not offered"),
        ("a@b", "501 5.1.7 the sender is no <path>"),
        ("<@a:b@c>", "550 5.7.1 not an address of this server, or not open to this sender"),
        ("<ä@b>", "553 5.6.7 such an address needs SMTPUTF8 in the MAIL command"),
        ("<ä@b> SMTPUTF8", "250 2.1.0 sender accepted"),
    ] {
        assert_eq!(mail(parameters), answer, "{parameters}");
    }
}

#[test]
fn a_recipient_outside_ascii_needs_smtputf8() {
    let utf8 = Mailbox { local_part: "größe".into(), tenant: "acme".into() };
    let policy = Policy { mailboxes: vec![utf8], ..policy() };
    for (parameter, answer) in [("", "553 5.6.7 such"), (" SMTPUTF8", "250 2.1.5 recipient")] {
        let script =
            format!("E: connected\nC: EHLO c\nC: MAIL FROM:<>{parameter}\nC: RCPT TO:<größe@example.com>\n");
        let played = play(policy.clone(), TRUSTED, &script);
        assert!(played.lines().last().unwrap().starts_with(&format!("S: {answer}")), "{played}");
    }
}

#[test]
fn a_pipelined_group_is_answered_command_by_command() {
    check(
        policy(),
        TRUSTED,
        r#"E: connected
        S: 220 mx.example.com ESMTP Starling
        C+ HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<metrics@x>\r\nRCPT TO:<no@x>\r\nDATA\r\n
        S: 250 mx.example.com
        S: 250 2.1.0 sender accepted
        S: 250 2.1.5 recipient accepted
        S: 550 5.7.1 not an address of this server, or not open to this sender
        S: 354 end with a dot on a line of its own
        C+ a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<metrics@x>\r\nDATA\r\nb\r\n.\r\nQUIT\r\n
        ! store <> Network Metrics/acme/listed "a\r\n"
        E: stored
        S: 250 2.0.0 stored
        S: 250 2.1.0 sender accepted
        S: 250 2.1.5 recipient accepted
        S: 354 end with a dot on a line of its own
        ! store <> Network Metrics/acme/listed "b\r\n"
        E: full
        S: 452 4.3.1 not stored: the storage is full; try again later
        S: 221 2.0.0 goodbye
        ! close
        "#,
    );
}

#[test]
fn chunks_are_taken_octet_by_octet() {
    check_after_rcpt(
        " BODY=BINARYMIME",
        r#"C: DATA
        S: 503 5.5.1 a binary mail is sent by BDAT
        C+ BDAT 5\r\na\nb\r.BDAT 0\r\nBD
        S: 250 2.0.0 octets taken
        S: 250 2.0.0 octets taken
        C: AT 5 LAST
        C+ \r\n.\r\nNOOP\r\n
        ! store <a@example.com> Network Metrics/acme/listed "a\nb\r.\r\n.\r\n"
        E: stored
        S: 250 2.0.0 stored
        S: 250 2.0.0 done
        "#,
    );
    check_after_rcpt(
        "",
        r#"C: BDAT 0 LAST
        ! store <a@example.com> Network Metrics/acme/listed ""
        E: stored
        S: 250 2.0.0 stored
        "#,
    );
}

#[test]
fn once_chunks_have_begun_only_chunks_follow() {
    check_after_rcpt(
        "",
        r"C+ BDAT 1\r\na
        S: 250 2.0.0 octets taken
        C: DATA
        S: 503 5.5.1 the chunks of this mail have already begun
        C: RCPT TO:<metrics@example.com>
        S: 503 5.5.1 the chunks of this mail have already begun
        C: MAIL FROM:<b@example.com>
        S: 503 5.5.1 a mail has already begun
        C: RSET
        S: 250 2.0.0 done
        C+ BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n
        S: 503 5.5.1 there is no MAIL before this
        S: 250 2.0.0 done
        ",
    );
}

#[test]
fn a_chunk_whose_length_cannot_be_read_closes() {
    for line in ["BDAT", "BDAT 1x", "BDAT 99999999999999999999", "BDAT 1 \u{1}", &format!("BDAT {:01100}", 1)]
    {
        let played = after_rcpt(&format!("C: {line}\nC: QUIT\n"));
        assert!(played.contains("S: 50") && played.ends_with("! close\nC: QUIT\n"), "{played}");
    }
}

#[test]
fn a_mail_over_the_limit_is_swallowed_to_its_end() {
    let line = "x".repeat(500);
    let script = format!("C: DATA\nC: {line}\nC: {line}\nC: {line}\nC: .\nC: NOOP\n");
    let played = after_rcpt(&script);
    assert!(
        played.ends_with("C: .\nS: 552 5.3.4 the mail is too large\nC: NOOP\nS: 250 2.0.0 done\n"),
        "{played}"
    );
    let script = format!("C+ BDAT 1001\\r\\n{}\nC+ BDAT 1 LAST\\r\\nx\nC: NOOP\n", "x".repeat(1001));
    let played = after_rcpt(&script);
    assert!(played.contains("\nS: 552 5.3.4 the mail is too large\n"), "{played}");
    assert!(
        played.ends_with("S: 503 5.5.1 there is no MAIL before this\nC: NOOP\nS: 250 2.0.0 done\n"),
        "{played}"
    );
}

#[test]
fn a_mail_of_just_the_limit_is_taken() {
    let script = format!("C: DATA\nC: {}\nC: .\n", "x".repeat(998));
    assert!(after_rcpt(&script).contains("! store"));
    let script = format!("C: BDAT 1000 LAST\nC+ {}\n", "x".repeat(1000));
    assert!(after_rcpt(&script).contains("! store"));
}

#[test]
fn a_command_line_over_its_limit_is_refused_and_the_next_is_read() {
    check_after_rcpt(
        "",
        &format!(
            "C: NOOP {}
            S: 250 2.0.0 done
            C: NOOP {}
            S: 500 5.5.2 the line is too long
            C: NOOP
            S: 250 2.0.0 done",
            "x".repeat(1058),
            "x".repeat(1059)
        ),
    );
}
