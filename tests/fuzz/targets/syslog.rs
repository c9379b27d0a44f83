//! Syslog: frames of a stream do not depend on how it is cut, and each message is counted once.
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::syslog::{self, Batch, Frames, Message};
use libfuzzer_sys::fuzz_target;

const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

/// The messages of a stream that comes in these pieces, and whether it could be cut to its end.
fn messages<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut messages) = (Frames::default(), Vec::new());
    for piece in pieces {
        if frames.push(piece, |message| messages.push(message.to_vec())).is_err() {
            return (messages, false);
        }
    }
    frames.finish(|message| messages.push(message.to_vec()));
    (messages, true)
}

fuzz_target!(|data: &[u8]| {
    let whole = messages(std::iter::once(data));
    assert_eq!(messages(data.chunks(1)), whole);
    assert_eq!(messages(data.chunks(usize::from(data.first().copied().unwrap_or(7)).max(2))), whole);
    let mut batch = Batch::default();
    for message in &whole.0 {
        Message::parse(message, RECEIVED);
        batch.add(message);
    }
    let count = batch.messages();
    let records = syslog::records(&batch.into_bytes(), TenantId([7; 16]), "192.0.2.1", RECEIVED);
    let counted: f32 = records.iter().flat_map(|record| &record.values).sum();
    assert_eq!(counted as u64, count);
    syslog::records(data, TenantId([7; 16]), "192.0.2.1", RECEIVED);
});
