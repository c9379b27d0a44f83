use proptest::prelude::*;

use super::super::Ingested;
use super::*;
use crate::record::TENANT;

fn timed() -> Format {
    Format { timestamp_column: Some("time".into()), ..Format::default() }
}

fn decode(text: &[u8], format: &Format, required: Option<&[MetricName]>) -> Ingested {
    let mut out = Ingested::default();
    // What was decoded before an error is told as well.
    let _ = Decoder::new("a.jsonl", TENANT, format, required).finish(text, &mut out);
    out
}

fn lines(found: &Ingested) -> Vec<String> {
    let line = |record: &TelemetryRecord| {
        let pairs = record.metrics.iter().map(MetricName::as_str).zip(&record.values);
        let values: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {} {}", record.source(), record.at.millis(), values.join(" "))
    };
    found.records.iter().map(line).collect()
}

const GOLDEN: &str = r#"{"time":1700000000.25,"source":"rack-1","cpu":{"user":1.5,"idle":97},"on":true,"fan":null}
{"source":"rack-1","time":"2023-11-14T22:13:21Z","on":false,"cpu":{"idle":3,"user":2.5},"fan":1200,"log":"text","tags":["a",{"b":1}]}

{"time":1700000002000,"load":0.5}
"#;

#[test]
fn members_are_metrics_and_nested_ones_have_dots() {
    let found = decode(GOLDEN.as_bytes(), &timed(), None);
    assert_eq!(
        lines(&found),
        [
            "rack-1 1700000000250 cpu.idle=97 cpu.user=1.5 fan=NaN on=1",
            "rack-1 1700000001000 cpu.idle=3 cpu.user=2.5 fan=1200 on=0",
            "a.jsonl 1700000002000 load=0.5",
        ]
    );
    assert!(Arc::ptr_eq(&found.records[0].metrics, &found.records[1].metrics));
    assert_eq!(found.rejected_count, 0);
}

#[test]
fn what_is_required_comes_in_its_order_and_is_missing_where_a_line_has_it_not() {
    let required = ["load", "cpu.user"].map(|name| MetricName::try_from(name).unwrap());
    let found = decode(GOLDEN.as_bytes(), &timed(), Some(&required));
    assert_eq!(format!("{:?}", found.records[1].values), "[NaN, 2.5]");
    assert_eq!(format!("{:?}", found.records[2].values), "[0.5, NaN]");
}

#[test]
fn without_a_time_a_line_has_that_of_its_number() {
    let found = decode(b"{\"a\":1}\n{\"a\":}\n{\"a\":2}", &Format::default(), None);
    assert_eq!(lines(&found), ["a.jsonl 0 a=1", "a.jsonl 120000 a=2"]);
    assert_eq!((found.rejected_count, found.rejected[0].line), (1, 2));
}

#[test]
fn a_bad_line_is_left_out_and_told() {
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    let deepest = "[".repeat(60_000);
    let long = format!("{{\"time\":1,\"{}\":1}}", "m".repeat(129));
    let many: Vec<String> = (0..1025).map(|number| format!("\"m{number}\":1")).collect();
    let many = format!("{{\"time\":1,{}}}", many.join(","));
    let list = format!("{{\"a\":{deepest}}}");
    let cases: [(&str, &str); 13] = [
        ("[1,2]", "`invalid type: sequence, expected an obje…` is no line of JSON"),
        ("{\"a\":1", "`EOF while parsing an object` is no line of JSON"),
        ("{\"time\":1} {}", "`trailing characters` is no line of JSON"),
        (&deep, "`more than 32 objects in each other` is no line of JSON"),
        (&list, "`expected value` is no line of JSON"),
        ("{\"time\":1,\"a\":1e39}", "1000000000000000000000000000000000000000"),
        ("{\"time\":1,\"a\":1e999}", "`number out of range` is no line of JSON"),
        ("{\"a\":1}", "there is no member `time`"),
        ("{\"time\":\"noon\",\"a\":1}", "column `time`: `noon` is not a time"),
        ("{\"time\":1,\"a\":1,\"a\":2}", "`a` is there twice"),
        ("{\"time\":1,\"a\":\"b\"}", "there is no member that is a number"),
        (&long, "is longer than 128 bytes"),
        (&many, "1025 members are more than the limit of 1024"),
    ];
    for (line, expected) in cases {
        let found = decode(line.as_bytes(), &timed(), None);
        assert_eq!((found.records.len(), found.rejected_count), (0, 1), "{line:.60}");
        let told = found.rejected[0].to_string();
        assert!(told.starts_with("a.jsonl: line 1") && told.contains(expected), "{told}");
    }
    let found = decode(b"\xff\n", &timed(), None);
    assert!(found.rejected[0].to_string().contains("not UTF-8"));
}

#[test]
fn names_tell_json_lines() {
    for (name, expected) in [("a.jsonl", true), ("A.NDJSON.gz", true), ("a.json", false), ("jsonl", false)] {
        assert_eq!(is_json_lines(name), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_records_are_the_same(cuts in prop::collection::vec(1..60_usize, 1..20), noise in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = [GOLDEN.as_bytes(), &noise, b"\n", GOLDEN.as_bytes()].concat();
        let whole = decode(&text, &timed(), None);
        let (mut out, format) = (Ingested::default(), timed());
        let mut position = Position::default();
        let (mut held, mut rest) = (Vec::new(), &text[..]);
        for cut in cuts.iter().copied().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            held.extend_from_slice(piece);
            rest = after;
            // Each time anew, as after a restart.
            let mut decoder = Decoder::new("a.jsonl", TENANT, &format, None).resume(position);
            let used = decoder.decode(&held, &mut out).unwrap();
            held.drain(..used);
            if rest.is_empty() {
                decoder.finish(&held, &mut out).unwrap();
                break;
            }
            position = decoder.into_position();
        }
        prop_assert_eq!(format!("{whole:?}"), format!("{out:?}"));
    }
}

#[test]
fn texts_below_a_long_name_are_stepped_over_and_numbers_are_refused() {
    let long = "n".repeat(200);
    let text = format!("{{\"a\":1,\"{long}\":{{\"b\":\"text\"}}}}\n{{\"{long}\":{{\"b\":1}}}}");
    let found = decode(text.as_bytes(), &Format::default(), None);
    assert_eq!(lines(&found), ["a.jsonl 0 a=1"]);
    assert!(found.rejected[0].to_string().ends_with("is longer than 128 bytes"));
    let required = ["a"].map(|name| MetricName::try_from(name).unwrap());
    assert_eq!(decode(text.as_bytes(), &Format::default(), Some(&required)).records.len(), 2);
}
