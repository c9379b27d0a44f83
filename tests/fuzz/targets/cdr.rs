//! Samples of every topic, in every encoding: refused, or key and body of the topic's size. The first bytes choose both.
#![no_main]

use dds::{taken_apart, topics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[topic, encoding], payload)) = data.split_first_chunk() else { return };
    let topic = topics::ALL[usize::from(topic) % topics::ALL.len()];
    if let Ok((key, body)) = taken_apart(&topic, usize::from(encoding), payload) {
        assert_eq!(key.len(), topic.key_bytes());
        let whole = [&key, &(body.len() as u32).to_le_bytes()[..], &body].concat();
        // At most what pads it to four bytes is left.
        assert!(payload.starts_with(&whole) && payload.len() < whole.len() + 4);
    }
});
