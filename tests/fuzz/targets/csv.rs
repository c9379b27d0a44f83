//! CSV: any bytes, cut anywhere, and kept and resumed anywhere, give what one pass gives.
#![no_main]

use common::id::TenantId;
use ingest::csv::{Decoder, Position};
use ingest::{Format, Ingested};
use libfuzzer_sys::fuzz_target;

const TENANT: TenantId = TenantId([7; 16]);

/// In one piece; what was decoded, and whether it ended well.
fn whole(data: &[u8], format: &Format) -> (Ingested, bool) {
    let mut out = Ingested::default();
    let is_ok = Decoder::new("a.csv", TENANT, format, None).finish(data, &mut out).is_ok();
    (out, is_ok)
}

/// In pieces as long as the bytes themselves say; with `resumes`, by a new decoder for each.
fn cut(data: &[u8], format: &Format, resumes: bool) -> Option<(Ingested, bool)> {
    let mut out = Ingested::default();
    let mut decoder = Decoder::new("a.csv", TENANT, format, None);
    let (mut held, mut rest): (Vec<u8>, _) = (Vec::new(), data);
    for length in data.iter().map(|byte| usize::from(*byte) + 1) {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        held.extend_from_slice(piece);
        let used = match decoder.decode(&held, &mut out) {
            Ok(used) => used,
            Err(_) => return Some((out, false)),
        };
        held.drain(..used);
        if resumes {
            let kept = serde_json::to_string(&decoder.into_position()).expect("a position is JSON");
            let position: Position = serde_json::from_str(&kept).expect("it was written so");
            decoder = Decoder::new("a.csv", TENANT, format, None).resume(position).ok()?;
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let is_ok = decoder.finish(&held, &mut out).is_ok();
    Some((out, is_ok))
}

fuzz_target!(|data: &[u8]| {
    let timed = Format { timestamp_column: Some("time".to_owned()), ..Format::default() };
    for format in [Format::default(), timed] {
        let one = whole(data, &format);
        for resumes in [false, true] {
            let pieces = cut(data, &format, resumes).expect("a header that was taken is taken again");
            // NaN is not equal to itself; its text is.
            assert_eq!(format!("{pieces:?}"), format!("{one:?}"));
        }
    }
});
