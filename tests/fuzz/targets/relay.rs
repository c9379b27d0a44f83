//! The stream of a relay: any bytes, in pieces of any size, are the same frames or the same refusal, and each frame has
//! one encoding. The first byte is the size of a piece.
#![no_main]

use bytes::BytesMut;
use coordinator::relay::{Decoder, Frame, FrameError, STREAM_VERSION};
use libfuzzer_sys::fuzz_target;

/// Frames until the bytes, or the stream's use, are at their end.
fn frames(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut received, mut frames) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece.as_ref());
        loop {
            match decoder.next(&mut received) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else { return };
    let whole = frames(std::iter::once(bytes));
    assert_eq!(frames(bytes.chunks(usize::from(size).max(1))), whole);
    let mut again = vec![STREAM_VERSION];
    whole.0.iter().for_each(|frame| frame.encode(&mut again));
    assert!(whole.0.is_empty() || bytes.starts_with(&again));
});
