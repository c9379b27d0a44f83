use common::model::MetricName;
use proptest::prelude::*;

use super::super::messages::{Interned, Label, Series};
use super::*;
use crate::record::TENANT;

const RECEIVED: Timestamp = Timestamp(1_700_000_000_000_000);
const MAX: usize = 1 << 20;
/// What Prometheus writes for a series that ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
    let label = |&(name, value): &(&str, &str)| Label { name: name.into(), value: value.into() };
    let sample = |&(timestamp, value): &(i64, f64)| Sample { value, timestamp };
    Series {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        histograms: Vec::new(),
    }
}

fn pack(request: &Request) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

fn outcome(series: Vec<Series>) -> Outcome {
    let packed = pack(&Request { series, ..Request::default() });
    WriteRequest::decode(&packed, MAX).unwrap().records(TENANT, "192.0.2.1", RECEIVED)
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let line = |record: &crate::record::TelemetryRecord| {
        let pairs = record.metrics.iter().map(MetricName::as_str).zip(&record.values);
        let values: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {} {}", record.source(), record.at.millis(), values.join(" "))
    };
    outcome.records.iter().map(line).collect()
}

#[test]
fn a_request_of_the_specification_is_read_byte_by_byte() {
    // {__name__="up",instance="a:1"} 1 @ 1000: 0a is a series, in it 0a a label and 12 a sample.
    let body = [
        b"\x0a\x2f\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x0f\x0a\x08instance\x12\x03a:1".as_slice(),
        b"\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\xe8\x07",
        // Metadata, which is stepped over.
        b"\x1a\x06\x08\x02\x12\x02up",
    ]
    .concat();
    let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    let request = WriteRequest::decode(&packed, MAX).unwrap();
    assert_eq!(lines(&request.records(TENANT, "192.0.2.1", RECEIVED)), ["a 1000 up=1"]);
    assert_eq!(request.written(), Written { samples: 1, histograms: 0 });
}

#[test]
fn samples_of_a_source_and_time_are_one_record_in_the_order_of_time() {
    let outcome = outcome(vec![
        series(&[("__name__", "load"), ("instance", "a:1")], &[(2000, 2.0), (1000, 1.0)]),
        series(&[("__name__", "cpu"), ("instance", "a:1"), ("mode", "idle")], &[(1000, 0.5)]),
        series(&[("__name__", "load"), ("host", "b")], &[(1000, 7.0)]),
        series(&[("__name__", "load"), ("job", "c")], &[(1000, 8.0)]),
        series(&[("__name__", "load")], &[(1000, 9.0)]),
    ]);
    assert_eq!(
        lines(&outcome),
        [
            "192.0.2.1 1000 load=9",
            "a 1000 cpu{mode=idle}=0.5 load=1",
            "a 2000 load=2",
            "b 1000 load=7",
            "c 1000 load=8"
        ]
    );
}

#[test]
fn stale_markers_and_infinities_are_missing_values() {
    let values = [f64::from_bits(STALE), f64::NAN, f64::INFINITY, 1e300];
    for value in values {
        let outcome = outcome(vec![series(&[("__name__", "x")], &[(1, value)])]);
        assert!(outcome.records[0].values[0].is_nan(), "{value}");
        assert_eq!(outcome.rejected_count, 0);
    }
}

#[test]
fn the_second_version_says_the_same_with_references() {
    let symbols = ["", "__name__", "up", "instance", "a:1"].map(str::to_owned).to_vec();
    let histogram = Histogram { count_int: Some(4), sum: 10.0, timestamp: 3000, ..Histogram::default() };
    let interned = Interned {
        labels: vec![1, 2, 3, 4],
        samples: vec![Sample { value: 1.0, timestamp: 1000 }],
        histograms: vec![histogram],
    };
    let request =
        |interned| Request { symbols: symbols.clone(), interned: vec![interned], ..Request::default() };
    let read = |interned: Interned| WriteRequest::decode(&pack(&request(interned)), MAX);
    let whole = read(interned.clone()).unwrap();
    assert_eq!(whole.written(), Written { samples: 1, histograms: 1 });
    assert_eq!(
        lines(&whole.records(TENANT, "x", RECEIVED)),
        ["a 1000 up=1", "a 3000 up.count=4 up.mean=2.5 up.sum=10"]
    );
    let fault = |labels: &[u32]| read(Interned { labels: labels.to_vec(), ..interned.clone() }).unwrap_err();
    assert_eq!(fault(&[1, 2, 3]), WriteFault::OddReferences { series: 1 });
    assert_eq!(fault(&[1, 5]), WriteFault::Reference { series: 1, reference: 5, symbols: 5 });
    assert_eq!(fault(&[3, 4]), WriteFault::Unnamed { series: 1 });
    assert_eq!(fault(&[1, 0]), WriteFault::Unnamed { series: 1 });
}

#[test]
fn what_cannot_be_a_value_is_left_out_and_told() {
    let long = "m".repeat(129);
    let mut all: Vec<Series> =
        (0..1025).map(|n| series(&[("__name__", &format!("m{n:04}"))], &[(1, 1.0)])).collect();
    all.push(series(&[("__name__", &long)], &[(1, 1.0)]));
    all.push(series(&[("__name__", "x"), ("job", "a")], &[(5, 1.0), (5, 2.0), (-1, 3.0)]));
    let outcome = outcome(all);
    let told: Vec<String> = outcome.rejects.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("more than 1024 metrics"), "{told:?}");
    assert!(told[1].contains("longer than 128 bytes"), "{told:?}");
    assert_eq!(told[2], "source `a`: the metric `x` is there twice at one time; the first is kept");
    assert_eq!(told[3], "source `a`: the metric `x` is from before 1970");
    assert_eq!((told.len(), outcome.rejected_count), (4, 4));
    assert_eq!(outcome.records[1].values, [1.0]);
}

#[test]
fn a_block_that_would_unpack_to_gigabytes_is_refused_by_its_own_word() {
    // "Snappy compressed format description", section 1: the length comes first, as a varint.
    let bomb = b"\xff\xff\xff\xff\x0f\x00";
    let fault = WriteRequest::decode(bomb, MAX).unwrap_err();
    assert_eq!(fault, WriteFault::TooLarge { bytes: u32::MAX as usize, max: MAX });
    assert!(WriteRequest::decode(b"\x00", MAX).unwrap().is_empty());
    for broken in [&b""[..], b"\xff", b"\x05\x00", b"\x01\x04\xff"] {
        assert!(WriteRequest::decode(broken, MAX).is_err(), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_the_same_bytes_give_the_same(body in prop::collection::vec(any::<u8>(), 0..200), at in 0..80_usize) {
        let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
        let interned = vec![Interned { labels: vec![1, 2], ..Interned::default() }];
        let valid = Request { series: vec![series(&[("__name__", "x")], &[(1, 1.0)])], symbols, interned };
        let mut damaged = valid.encode_to_vec();
        let place = at % damaged.len();
        damaged[place] ^= body.first().copied().unwrap_or(1);
        for bytes in [&body, &damaged] {
            let packed = snap::raw::Encoder::new().compress_vec(bytes).unwrap();
            for packed in [&packed, bytes] {
                let read = || WriteRequest::decode(packed, MAX).map(|read| read.records(TENANT, "x", RECEIVED));
                assert_eq!(format!("{:?}", read()), format!("{:?}", read()));
            }
        }
    }
}

#[test]
fn references_to_one_long_symbol_are_refused_at_once() {
    let symbols = ["__name__", "up", &"s".repeat(1 << 19)].map(str::to_owned).to_vec();
    let one = Interned {
        labels: [vec![0, 1], vec![2; 100_000]].concat(),
        samples: vec![Sample { value: 1.0, timestamp: 1000 }],
        histograms: Vec::new(),
    };
    let short = Interned { labels: vec![0, 1, 2, 2], ..one.clone() };
    let interned = [vec![short; 15_000], vec![one]].concat();
    let packed = pack(&Request { symbols, interned, ..Request::default() });
    let outcome = WriteRequest::decode(&packed, MAX).unwrap().records(TENANT, "192.0.2.1", RECEIVED);
    assert_eq!((outcome.records.len(), outcome.rejected_count), (0, 15_001), "fifty gigabytes of labels");
}

#[test]
fn samples_below_one_long_name_are_refused_at_once() {
    let long = "n".repeat(512 << 10);
    let outcome = outcome(vec![series(&[("__name__", &long)], &vec![(0, 0.0); 30_000])]);
    assert_eq!((outcome.records.len(), outcome.rejected_count), (0, 30_000));
}
