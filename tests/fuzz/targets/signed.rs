//! Signed messages: bytes that nobody signed are refused, whatever they are; what a known key signed opens if it is a
//! message, and not after a change. The first byte chooses the message, the second what is done.
#![no_main]

use std::sync::LazyLock;

use common::crypto::{Identity, Label, Signature};
use common::message::Signed;
use common::message::announce::Announcement;
use common::message::event::Event;
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::{CoordinatorPresence, NodePresence};
use common::wire::{Wire, decode};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

static KNOWN: LazyLock<Identity> = LazyLock::new(|| Identity::generate(&mut ChaCha20Rng::seed_from_u64(1)));

fn opens<T: Wire>(bytes: &[u8], label: Label) -> bool {
    let known = KNOWN.public();
    Signed::<T>::open(bytes, label, |signer| (signer == known.node_id()).then_some(known)).is_ok()
}

fn check<T: Wire>(label: Label, how: u8, bytes: &[u8]) {
    let signed = |body: &[u8]| {
        let content = [&KNOWN.node_id().0[..], body].concat();
        let Signature(signature) = KNOWN.sign(label, &content).expect("a key in memory signs");
        [&content[..], &signature].concat()
    };
    match how % 4 {
        0 => assert!(!opens::<T>(bytes, label), "nobody signed it"),
        1 => assert!(!opens::<T>(&[&KNOWN.node_id().0[..], bytes].concat(), label), "a name is no signature"),
        2 => assert_eq!(opens::<T>(&signed(bytes), label), decode::<T>(bytes).is_ok()),
        _ => {
            let Some((&[high, low, with], body)) = bytes.split_first_chunk() else { return };
            let mut altered = signed(body);
            let at = usize::from(u16::from_be_bytes([high, low])) % altered.len();
            altered[at] ^= with.max(1);
            assert!(!opens::<T>(&altered, label), "it was altered");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, how], bytes)) = data.split_first_chunk() else { return };
    match kind % 6 {
        0 => check::<Announcement>(Label::Announce, how, bytes),
        1 => check::<CoordinatorPresence>(Label::Hello, how, bytes),
        2 => check::<NodePresence>(Label::Presence, how, bytes),
        3 => check::<Event>(Label::Event, how, bytes),
        4 => check::<IntakePresence>(Label::Intake, how, bytes),
        _ => check::<BridgePresence>(Label::Bridge, how, bytes),
    }
});
