//! Ends of data that other servers saw, and that are none (the advisories on SMTP smuggling of 2023: the
//! sender leaves such a sequence as it is within a mail, the receiver takes it for the end).

use super::stream::{Played, play_stream};
use super::*;

/// Sequences with a CR or LF that stands alone. The last one holds a true end after a bare CR: only a sender
/// that takes CR LF after CR for something else would send it within a mail.
const MALFORMED: [&str; 16] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\n\n.\n\n",
    "\r\r.\r\r",
    "\r\n.\r\r\n",
    "\r\n\n.\r\n",
    "\r\n.\n\r\n",
    "\n\r.\n\r",
    "\r\r\n.\n",
    "\r\r\n.\r\n",
];

/// Sequences that have nothing but whole line ends, and no end of data.
const HARMLESS: [&str; 5] =
    ["\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n. \r\n", "\r\n..\r\n", "\r\n\u{85}.\u{85}\r\n"];

const HEAD: &str = "HELO c\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<metrics@example.com>\r\nDATA\r\na";
const SMUGGLED: &str =
    "MAIL FROM:<forged@example.com>\r\nRCPT TO:<metrics@example.com>\r\nDATA\r\nb\r\n.\r\nNOOP\r\n";

/// The same result for every place of two cuts around the sequence.
fn play_every_split(peer: Peer, sequence: &str) -> Played {
    let stream = format!("{HEAD}{sequence}{SMUGGLED}");
    let whole = play_stream(&policy(), peer, &[stream.as_bytes()], &[], 0);
    for cut in 1..stream.len() {
        let cut_once = play_stream(&policy(), peer, &[stream.as_bytes()], &[cut, stream.len()], 0);
        assert_eq!(cut_once, whole, "{sequence:?} cut at {cut}");
    }
    for first in HEAD.len() - 1..HEAD.len() + sequence.len() {
        for second in 1..=sequence.len() {
            let cuts = [first, second, stream.len()];
            assert_eq!(
                play_stream(&policy(), peer, &[stream.as_bytes()], &cuts, 0),
                whole,
                "{sequence:?} {cuts:?}"
            );
        }
    }
    let single = play_stream(&policy(), peer, &[stream.as_bytes()], &[1], 0);
    assert_eq!(single, whole, "{sequence:?} byte by byte");
    whole
}

#[test]
fn a_malformed_end_of_data_neither_ends_data_nor_lets_anything_through() {
    for sequence in MALFORMED {
        let played = play_every_split(TRUSTED, sequence);
        assert_eq!(played.mails, [], "{sequence:?}");
        assert_eq!(played.codes(), ["220", "250", "250", "250", "354", "550"], "{sequence:?}");
    }
}

#[test]
fn a_network_whose_bare_newlines_are_let_through_still_sends_one_mail() {
    let legacy = Peer { sends_bare_newlines: true, ..TRUSTED };
    let without_true_end = MALFORMED.iter().filter(|sequence| !sequence.contains("\r\n.\r\n"));
    for sequence in without_true_end {
        let played = play_every_split(legacy, sequence);
        let [mail] = &played.mails[..] else { panic!("{sequence:?}: {played:?}") };
        let text = std::str::from_utf8(&mail.bytes).unwrap();
        assert!(text.contains("MAIL FROM:<forged@example.com>\r\n"), "{sequence:?}: {text:?}");
        let bare = text.replace("\r\n", "");
        assert!(!bare.contains(['\r', '\n']), "{sequence:?}: {text:?}");
        assert_eq!(
            played.codes()[4..],
            ["354", if mail.bytes.len() % 3 == 2 { "452" } else { "250" }, "250"]
        );
    }
}

#[test]
fn whole_lines_that_resemble_an_end_are_content() {
    for sequence in HARMLESS {
        let played = play_every_split(TRUSTED, sequence);
        let [mail] = &played.mails[..] else { panic!("{sequence:?}: {played:?}") };
        let unstuffed = sequence.replace("\r\n.", "\r\n");
        let content = SMUGGLED.strip_suffix(".\r\nNOOP\r\n").unwrap();
        assert_eq!(String::from_utf8_lossy(&mail.bytes), format!("a{unstuffed}{content}"), "{sequence:?}");
    }
}

#[test]
fn a_bare_newline_is_remembered_in_a_mail_that_is_too_large() {
    let large = "x".repeat(2000);
    for content in
        [format!("{large}\r\r\n.\r\n"), format!("\n{large}\r\n.\r\n"), format!("{large}\na\r\n.\r\n")]
    {
        let stream = format!("{HEAD}{content}{SMUGGLED}");
        let played = play_stream(&policy(), TRUSTED, &[stream.as_bytes()], &[], 0);
        assert_eq!((played.codes().last(), played.mails.len()), (Some(&"550"), 0));
    }
}

#[test]
fn a_bare_line_feed_between_commands_closes() {
    for line in ["NOOP\n", "NOOP\nRSET\r\n", "MAIL FROM:<a@example.com>\nRCPT TO:<metrics@example.com>\r\n"] {
        let played = play_stream(&policy(), TRUSTED, &[line.as_bytes()], &[], 0);
        assert_eq!(played.codes(), ["220", "521"], "{line:?}");
    }
    let legacy = Peer { sends_bare_newlines: true, ..STRANGER };
    let played = play_stream(&policy(), legacy, &[b"NOOP\nRSET\r\n"], &[], 0);
    assert_eq!(played.codes(), ["220", "250", "250"]);
    let played = play_stream(&policy(), TRUSTED, &[b"NOOP\rRSET\r\n"], &[], 0);
    assert_eq!(played.codes(), ["220", "500"], "a bare CR ends no line");
}
