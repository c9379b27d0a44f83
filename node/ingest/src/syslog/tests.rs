use proptest::prelude::*;

use super::*;
use crate::limits::{SYSLOG_ENTRY_BYTES_MAX, SYSLOG_MESSAGE_BYTES_MAX};
use crate::record::TENANT;

/// 2024-01-01T00:00:30Z.
const RECEIVED: Timestamp = Timestamp(1_704_067_230_000_000);

fn at(text: &str) -> Option<Timestamp> {
    crate::time::parse(text)
}

fn parse(line: &str) -> Option<Message<'_>> {
    Message::parse(line.as_bytes(), RECEIVED)
}

#[test]
fn messages_of_both_standards_tell_severity_time_and_host() {
    let of = |severity, at, host| Some(Message { severity, at, host });
    let examples = [
        // RFC 5424, section 6.5, examples 1 to 4.
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
            of(2, at("2003-10-11T22:14:15.003Z"), Some("mymachine.example.com")),
        ),
        (
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
            of(5, at("2003-08-24T12:14:15.000003Z"), Some("192.0.2.1")),
        ),
        (
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\"] An application",
            of(5, at("2003-10-11T22:14:15.003Z"), Some("mymachine.example.com")),
        ),
        ("<0>1 - - - - - -", of(0, None, None)),
        // RFC 3164, section 5.4, examples 1 and 2.
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            of(2, at("2023-10-11T22:14:15Z"), Some("mymachine")),
        ),
        ("Use the BFG!", None),
        (
            "<13>Feb  5 17:32:18 192.0.2.99 Use the BFG!",
            of(5, at("2024-02-05T17:32:18Z"), Some("192.0.2.99")),
        ),
        ("<13>Dec 31 23:59:60 app[12]: no host", of(5, at("2024-01-01T00:00:00Z"), None)),
        ("<191>whatever", of(7, None, None)),
        ("<7>", of(7, None, None)),
    ];
    for (line, message) in examples {
        assert_eq!(parse(line), message, "{line}");
    }
}

#[test]
fn what_is_no_syslog_is_not_taken_for_it() {
    let wrong = [
        "",
        "<",
        "<>x",
        "<192>x",
        "<1234>x",
        "<-1>x",
        "< 1>x",
        "<13",
        "13>x",
        "<13>1 yesterday host app - - -",
        "<13>1 - host",
        "<13>1 -  app - - -",
        "<13>1 - - - - - message",
        "<13>1 2023-02-29T00:00:00Z host app - - -",
    ];
    for line in wrong {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn a_date_without_a_year_is_the_nearest_one() {
    let of = |line, received| Message::parse(line, received).unwrap().at;
    let new_year = RECEIVED;
    assert_eq!(of(b"<13>Dec 31 23:59:00 a b", new_year), at("2023-12-31T23:59:00Z"));
    assert_eq!(of(b"<13>Jan  1 00:01:00 a b", new_year), at("2024-01-01T00:01:00Z"));
    let before = Timestamp(RECEIVED.0 - 60_000_000);
    assert_eq!(of(b"<13>Jan  1 00:00:10 a b", before), at("2024-01-01T00:00:10Z"));
    assert_eq!(of(b"<13>Feb 29 00:00:00 a b", before), at("2024-02-29T00:00:00Z"));
    // 2022 to 2023 has no leap day: the words are no date.
    assert_eq!(of(b"<13>Feb 29 00:00:00 a b", Timestamp(1_670_000_000_000_000)), None);
}

#[test]
fn an_entry_gives_the_counts_of_each_host_and_minute_with_zeros() {
    let body = b"<34>1 2024-01-01T00:00:01Z a x - - -\n<33>1 2024-01-01T00:00:59Z a x - - -\n\
                 <34>1 2024-01-01T00:00:02Z a x - - -\n<34>1 2024-01-01T00:01:00Z a x - - -\nnoise\n<7>-\n";
    let found = records(body, TENANT, "192.0.2.9", RECEIVED);
    let rows: Vec<_> = found.iter().map(|record| (record.source(), record.at, &record.values[..])).collect();
    let minute = Timestamp(1_704_067_200_000_000);
    assert_eq!(
        rows,
        [
            ("192.0.2.9", minute, &[0., 0., 0., 0., 0., 0., 0., 1., 1.][..]),
            ("a", minute, &[0., 1., 2., 0., 0., 0., 0., 0., 0.][..]),
            ("a", Timestamp(minute.0 + 60_000_000), &[0., 0., 1., 0., 0., 0., 0., 0., 0.][..]),
        ]
    );
    let names: Vec<&str> = found[0].metrics.iter().map(MetricName::as_str).collect();
    assert_eq!(names, METRICS);
}

#[test]
fn a_batch_keeps_each_message_on_a_line_of_its_own() {
    let mut batch = Batch::default();
    for message in [&b"<1>a\r\n"[..], b"", b"\n\0", b"<2>b\nc\0\n", b"<3>d"] {
        batch.add(message);
    }
    assert_eq!(batch.messages(), 3);
    assert!(!batch.is_full());
    assert_eq!(batch.into_bytes(), b"<1>a\n<2>b#012c\n<3>d\n");
    let mut batch = Batch::default();
    while !batch.is_full() {
        batch.add(&vec![b'x'; 100_000]);
    }
    assert!(batch.into_bytes().len() < SYSLOG_ENTRY_BYTES_MAX + SYSLOG_MESSAGE_BYTES_MAX + 2);
}

/// What a stream gives when it comes in these pieces.
fn cut(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut frames, mut found) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.push(piece, |message| found.push(message.to_vec())).unwrap();
    }
    frames.finish(|message| found.push(message.to_vec()));
    found
}

const STREAM: &[u8] =
    b"<1>line one\n9 <2>a\nb\n c\r\n12 <3>counted 1\n<4>two\r\n\n\x002024-01-01 no length\n5 <5>ab5 <6>cd<7>last";

#[test]
fn a_stream_gives_the_same_messages_wherever_it_is_cut() {
    let whole = cut(&[STREAM]);
    let expected: [&[u8]; 8] = [
        b"<1>line one",
        b"<2>a\nb\n c",
        b"<3>counted 1",
        b"<4>two\r",
        b"2024-01-01 no length",
        b"<5>ab",
        b"<6>cd",
        b"<7>last",
    ];
    assert_eq!(whole, expected);
    for first in 0..=STREAM.len() {
        let (start, rest) = STREAM.split_at(first);
        assert_eq!(cut(&[start, rest]), whole, "cut at {first}");
    }
    let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
    assert_eq!(cut(&bytes), whole);
}

#[test]
fn a_message_over_its_limit_is_cut_short_and_the_next_is_whole() {
    let long = "x".repeat(SYSLOG_MESSAGE_BYTES_MAX + 10);
    for stream in [format!("<1>{long}\n<2>next\n"), format!("{} <1>{long}7 <2>next", long.len() + 3)] {
        let found = cut(&[stream.as_bytes()]);
        assert_eq!((found.len(), found[0].len()), (2, SYSLOG_MESSAGE_BYTES_MAX));
        assert_eq!(found[1], b"<2>next");
    }
    let mut frames = Frames::default();
    assert_eq!(frames.push(b"9999999999 x", |_| ()), Err(FrameFault::TooLong));
}

proptest! {
    #[test]
    fn a_damaged_message_or_stream_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let line = b"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - text\n<34>Oct 11 22:14:15 host su: text";
        for sample in [&line[..], STREAM] {
            let mut bytes = sample.to_vec();
            for (index, byte) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            let (start, rest) = bytes.split_at(cut.index(bytes.len()));
            let (mut frames, mut batch) = (Frames::default(), Batch::default());
            // A damaged length ends a stream; what it gave before counts.
            let _ = frames.push(start, |message| batch.add(message))
                .and_then(|()| frames.push(rest, |message| batch.add(message)));
            let messages = batch.messages();
            let counted: f32 = records(&batch.into_bytes(), TENANT, "192.0.2.1", RECEIVED).iter().flat_map(|record| &record.values).sum();
            prop_assert_eq!(counted as u64, messages);
            records(&bytes, TENANT, "192.0.2.1", RECEIVED);
        }
    }
}
