//! Every message of the protocol: any bytes are refused, or are the one encoding of what they say. The first byte
//! chooses the message.
#![no_main]

use std::fmt::Debug;

use common::blob::Gaps;
use common::crypto::{KeyPackage, Manifest, Plain, WrappedRoot};
use common::message::announce::Announcement;
use common::message::event::Event;
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::model::{self, Model, Plan};
use common::message::presence::{CoordinatorPresence, NodePresence};
use common::message::receipt::Receipt;
use common::message::update::{self, UpdateHead};
use common::wire::{Wire, decode, encode};
use libfuzzer_sys::fuzz_target;

/// A value has one encoding, and a text for the log.
fn one<T: Wire + Debug>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes) {
        assert_eq!(encode(&value), bytes);
        assert!(
            format!("{value:?}").len() < 1000 + 20 * bytes.len(),
            "a value in as many words as it has bytes"
        );
    }
}

/// Gaps name chunks before their front, each once.
fn gaps(bytes: &[u8]) {
    one::<Gaps>(bytes);
    if let Ok(gaps) = decode::<Gaps>(bytes) {
        // Their number is bounded by the window only where they are used; here by patience.
        let missing: Vec<u32> = gaps.missing().take(10_000).collect();
        assert!(missing.is_sorted_by(|one, next| one < next));
        assert!(missing.iter().all(|index| *index < gaps.front));
    }
}

fn model(bytes: &[u8]) {
    if let Ok(Model { head, parameters, control }) = model::decode(bytes) {
        let plain = model::plaintext(&head, parameters.values(), control.as_deref().unwrap_or_default());
        let mut again = vec![0; plain.bytes()];
        plain.write(0, &mut again);
        assert_eq!(again, bytes);
    }
}

fn update(bytes: &[u8]) {
    if let Ok((head, values)) = update::decode(bytes) {
        assert!(bytes.starts_with(&encode(&head)) && bytes.ends_with(values));
    }
}

const KINDS: [fn(&[u8]); 14] = [
    one::<Announcement>,
    one::<NodePresence>,
    one::<CoordinatorPresence>,
    one::<Event>,
    one::<Receipt>,
    one::<IntakePresence>,
    one::<BridgePresence>,
    one::<Manifest>,
    one::<KeyPackage>,
    one::<WrappedRoot>,
    one::<Plan>,
    one::<UpdateHead>,
    gaps,
    model,
];

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, bytes)) = data.split_first() else { return };
    match KINDS.get(usize::from(chosen.wrapping_sub(b'0'))) {
        Some(kind) => kind(bytes),
        None => update(bytes),
    }
});
