use bytes::{Buf, Bytes, BytesMut};
use common::id::NodeId;
use common::units::{Millis, Timestamp};
use dds::topics;
use proptest::prelude::*;

use super::frame::COUNT;
use super::*;

const LIMITS: QueueLimits = QueueLimits { chunk_bytes: 1_000_000 };
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const ONE: NodeId = NodeId([1; 32]);
const TWO: NodeId = NodeId([2; 32]);

fn of(topic: &dds::Topic) -> Carried {
    Carried::named(topic.name()).unwrap()
}

fn set(topics: &[Carried]) -> TopicSet {
    topics.iter().copied().collect()
}

/// A sample whose key is `key` again and again.
fn sample(topic: &dds::Topic, key: u8, body: &[u8]) -> Sample {
    Sample {
        topic: of(topic),
        key: Bytes::from(vec![key; topic.key_bytes()]),
        body: Bytes::copy_from_slice(body),
    }
}

fn drain(hub: &mut Hub, to: Side, now: Timestamp) -> Vec<Sample> {
    std::iter::from_fn(|| hub.next(to, now)).collect()
}

/// A hub with two peers that read everything.
fn hub() -> Hub {
    let mut hub = Hub::new(LIMITS);
    for peer in [ONE, TWO] {
        hub.on_connected(peer);
        hub.on_wanted(peer, TopicSet::ALL);
    }
    hub
}

#[test]
fn every_topic_but_that_of_the_relays_is_carried() {
    let carried: Vec<&str> = CARRIED.iter().map(dds::Topic::name).collect();
    let all = topics::ALL.iter().map(dds::Topic::name);
    let missing: Vec<&str> = all.filter(|name| !carried.contains(name)).collect();
    assert_eq!(missing, ["relay"]);
    assert_eq!(Carried::all().filter(|topic| TopicSet::ALL.contains(*topic)).count(), CARRIED.len());
}

#[test]
fn the_bytes_of_a_frame_are_those_of_the_protocol() {
    let mut bytes = Vec::new();
    Frame::Alive(set(&[of(&topics::HELLO), of(&topics::EVENT)])).encode(&mut bytes);
    assert_eq!(bytes, [1, 0, 0b1000_0010, 0, 0, 0, 0, 0]);
    bytes.clear();
    Frame::Sample(sample(&topics::ANNOUNCE, 7, b"ab")).encode(&mut bytes);
    assert_eq!(bytes, [&[2, 0, 0, 0, 18, 0, 0, 0][..], &[7; 16], b"ab"].concat());
}

#[test]
fn what_is_over_a_limit_is_refused_by_its_header_alone() {
    let decode = |header: [u8; 8]| {
        let mut received = BytesMut::from(&[&[STREAM_VERSION][..], &header].concat()[..]);
        Decoder::default().next(&mut received)
    };
    let event = of(&topics::PRESENCE).index() as u8;
    let long = FrameError::Length { topic: "presence", said: 4129, min: 32, max: 4128 };
    let short = FrameError::Length { topic: "presence", said: 31, min: 32, max: 4128 };
    let cases = [
        ([2, event, 0, 0, 0x21, 0x10, 0, 0], long),
        ([2, event, 0, 0, 31, 0, 0, 0], short),
        ([2, COUNT as u8, 0, 0, 0, 0, 0, 0], FrameError::Topic(COUNT as u8)),
        ([2, event, 1, 0, 40, 0, 0, 0], FrameError::Unused),
        ([1, 1, 0, 0, 0, 0, 0, 0], FrameError::Unused),
        ([1, 0, 0, 0, 1, 0, 0, 0], FrameError::Unused),
        ([1, 0, 0, 0x40, 0, 0, 0, 0], FrameError::Set(0x4000)),
        ([3, 0, 0, 0, 0, 0, 0, 0], FrameError::Kind(3)),
    ];
    for (header, error) in cases {
        assert_eq!(decode(header), Err(error));
    }
    assert_eq!(decode([2, event, 0, 0, 0x20, 0x10, 0, 0]), Ok(None), "the longest one is waited for");
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    let mut received = BytesMut::from(&[2_u8, 9, 9][..]);
    let error = Decoder::default().next(&mut received).unwrap_err();
    assert_eq!(error.to_string(), "it speaks version 2 of the stream, this relay 1");
}

#[test]
fn a_sample_goes_to_every_other_side_and_not_back() {
    let mut hub = hub();
    let (event, chunk) = (sample(&topics::EVENT, 1, b"fact"), sample(&topics::UPDATE_CHUNK, 2, b"piece"));
    hub.on_sample(Side::Site, &event, NOW);
    hub.on_sample(Side::Peer(ONE), &chunk, NOW);
    assert_eq!(drain(&mut hub, Side::Site, NOW), std::slice::from_ref(&chunk));
    assert_eq!(drain(&mut hub, Side::Peer(ONE), NOW), std::slice::from_ref(&event));
    assert_eq!(drain(&mut hub, Side::Peer(TWO), NOW), [event, chunk]);
    assert_eq!(hub.counts(Side::Peer(TWO)), Counts { samples: 2, bytes: 32 + 4 + 36 + 5, dropped: 0 });
}

#[test]
fn a_peer_gets_only_what_is_read_there_or_behind_it() {
    let mut hub = Hub::new(LIMITS);
    let (updates, models) = (of(&topics::UPDATE_CHUNK), of(&topics::MODEL_CHUNK));
    for peer in [ONE, TWO] {
        hub.on_connected(peer);
    }
    hub.on_wanted(ONE, set(&[models]));
    hub.on_read_here(set(&[updates]));
    hub.on_sample(Side::Site, &sample(&topics::UPDATE_CHUNK, 1, b""), NOW);
    hub.on_sample(Side::Peer(TWO), &sample(&topics::MODEL_CHUNK, 2, b""), NOW);
    assert_eq!(drain(&mut hub, Side::Peer(ONE), NOW), [sample(&topics::MODEL_CHUNK, 2, b"")]);
    assert_eq!(hub.wanted_from(TWO), set(&[updates, models]));
    assert_eq!(hub.wanted_from(ONE), set(&[updates]), "what only it reads is not asked of it");
}

#[test]
fn a_peer_that_connects_is_told_the_newest_of_each_key() {
    let mut hub = hub();
    for round in 0..5 {
        hub.on_sample(Side::Site, &sample(&topics::ANNOUNCE, 1, &[round]), NOW);
        hub.on_sample(Side::Peer(ONE), &sample(&topics::HELLO, 2, &[round]), NOW);
    }
    hub.on_sample(Side::Site, &sample(&topics::MODEL_CHUNK, 3, b"of no use without the rest"), NOW);
    hub.on_lost(TWO);
    hub.on_connected(TWO);
    assert_eq!(drain(&mut hub, Side::Peer(TWO), NOW), [], "nothing before it says what is read there");
    hub.on_wanted(TWO, TopicSet::ALL);
    let told = [sample(&topics::ANNOUNCE, 1, &[4]), sample(&topics::HELLO, 2, &[4])];
    assert_eq!(drain(&mut hub, Side::Peer(TWO), NOW), told);
    hub.on_wanted(TWO, TopicSet::ALL);
    assert_eq!(drain(&mut hub, Side::Peer(TWO), NOW), [], "it has that already");
}

#[test]
fn hellos_of_those_who_are_gone_are_not_told_and_announcements_are() {
    let mut hub = Hub::new(LIMITS);
    hub.on_sample(Side::Site, &sample(&topics::ANNOUNCE, 1, b"train"), NOW);
    hub.on_sample(Side::Site, &sample(&topics::PRESENCE, 2, b"here"), NOW);
    let later = NOW + Millis(10_000);
    hub.on_connected(ONE);
    hub.on_wanted(ONE, TopicSet::ALL);
    assert_eq!(drain(&mut hub, Side::Peer(ONE), later), [sample(&topics::ANNOUNCE, 1, b"train")]);
}

#[test]
fn a_slow_peer_loses_its_oldest_chunks_and_nobody_else_does() {
    let mut hub = hub();
    let chunk = |index: u8| sample(&topics::MODEL_CHUNK, index, &vec![index; 49_200]);
    for index in 0..100 {
        hub.on_sample(Side::Site, &chunk(index), NOW);
        assert_eq!(hub.next(Side::Peer(TWO), NOW), Some(chunk(index)));
    }
    hub.on_sample(Side::Site, &sample(&topics::HELLO, 1, b"urgent"), NOW);
    let late = drain(&mut hub, Side::Peer(ONE), NOW);
    assert_eq!(late[0].body, "urgent", "state is before chunks");
    let indices: Vec<u8> = late[1..].iter().map(|chunk| chunk.key[0]).collect();
    assert_eq!(indices, (80..100).collect::<Vec<u8>>(), "the newest that fit a megabyte");
    assert_eq!(hub.counts(Side::Peer(ONE)).dropped, 80);
    assert_eq!(hub.counts(Side::Peer(TWO)).dropped, 0);
}

#[test]
fn a_chunk_that_waits_already_is_not_sent_twice() {
    let mut hub = hub();
    for _ in 0..50 {
        hub.on_sample(Side::Site, &sample(&topics::MODEL_CHUNK, 1, b"asked for by fifty nodes"), NOW);
    }
    assert_eq!(drain(&mut hub, Side::Peer(ONE), NOW).len(), 1);
}

#[test]
fn a_peer_that_is_too_slow_for_messages_is_named_and_begins_anew() {
    let mut hub = hub();
    let event = sample(&topics::EVENT, 1, &vec![0; 1 << 20]);
    while hub.too_slow().is_empty() {
        hub.on_sample(Side::Site, &event, NOW);
        drain(&mut hub, Side::Peer(TWO), NOW);
    }
    assert_eq!(hub.too_slow(), [ONE]);
    hub.on_lost(ONE);
    assert!(hub.too_slow().is_empty());
    let counts = hub.counts(Side::Peer(ONE));
    assert!((4..=5).contains(&counts.dropped) && counts.samples == 0, "{counts:?}");
}

#[test]
fn a_flood_of_keys_pushes_out_the_oldest_and_only_of_its_topic() {
    let mut hub = Hub::new(LIMITS);
    hub.on_sample(Side::Site, &sample(&topics::ANNOUNCE, 1, b"train"), NOW);
    for key in 0..20_000_u32 {
        let mut flood = sample(&topics::PRESENCE, 0, &[0; 2048]);
        flood.key = Bytes::from(key.to_le_bytes().repeat(8));
        hub.on_sample(Side::Site, &flood, NOW);
    }
    hub.on_connected(ONE);
    hub.on_wanted(ONE, TopicSet::ALL);
    let told = drain(&mut hub, Side::Peer(ONE), NOW);
    assert_eq!(told[0].body, "train");
    let bytes: usize = told[1..].iter().map(|sample| sample.key.len() + sample.body.len()).sum();
    assert!(bytes < 8 << 20 && told.len() > 3000, "{bytes} bytes of {} samples", told.len());
    assert_eq!(told.last().unwrap().key, Bytes::from(19_999_u32.to_le_bytes().repeat(8)));
}

fn any_sample() -> impl Strategy<Value = Sample> {
    (0..CARRIED.len(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(topic, key, body)| sample(&CARRIED[topic], key, &body))
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let set = proptest::collection::vec(0..CARRIED.len(), 0..12).prop_map(|topics| {
        Frame::Alive(topics.into_iter().filter_map(|index| Carried::all().nth(index)).collect())
    });
    prop_oneof![set, any_sample().prop_map(Frame::Sample)]
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
        frames in proptest::collection::vec(any_frame(), 0..20),
        cuts in proptest::collection::vec(1_usize..300, 1..50),
    ) {
        let mut stream = vec![STREAM_VERSION];
        for frame in &frames {
            frame.encode(&mut stream);
        }
        let (mut rest, mut received, mut decoder) = (&stream[..], BytesMut::new(), Decoder::default());
        let (mut out, mut cuts) = (Vec::new(), cuts.into_iter().cycle());
        while rest.has_remaining() {
            let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            received.extend_from_slice(piece);
            rest = after;
            while let Some(frame) = decoder.next(&mut received).unwrap() {
                out.push(frame);
            }
        }
        prop_assert_eq!(out, frames);
        prop_assert!(received.is_empty());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_and_what_it_takes_is_canonical(
        bytes in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..400),
    ) {
        let mut received = BytesMut::from(&[&[STREAM_VERSION][..], &bytes].concat()[..]);
        let (mut decoder, mut again) = (Decoder::default(), Vec::new());
        while let Ok(Some(frame)) = decoder.next(&mut received) {
            frame.encode(&mut again);
        }
        prop_assert_eq!(&again[..], &bytes[..again.len()]);
    }

    #[test]
    fn what_waits_is_bounded_and_every_sample_is_sent_superseded_or_counted(
        samples in proptest::collection::vec((any_sample(), 0_u8..3), 0..300),
        chunk_bytes in 300_usize..5000,
    ) {
        let mut hub = Hub::new(QueueLimits { chunk_bytes });
        for peer in [ONE, TWO] {
            hub.on_connected(peer);
            hub.on_wanted(peer, TopicSet::ALL);
        }
        let mut meant = std::collections::BTreeSet::new();
        let mut messages = 0;
        for (sample, from) in &samples {
            let from = [Side::Site, Side::Peer(ONE), Side::Peer(TWO)][usize::from(*from)];
            hub.on_sample(from, sample, NOW);
            if from != Side::Peer(TWO) {
                meant.insert((sample.topic, sample.key.clone()));
                messages += usize::from(sample.topic == of(&topics::EVENT));
            }
        }
        let sent = drain(&mut hub, Side::Peer(TWO), NOW);
        let chunks = sent.iter().filter(|sample| sample.topic.topic().body_bytes_max() == 49_200);
        let waited: usize = chunks.map(|chunk| chunk.key.len() + chunk.body.len()).sum();
        prop_assert!(waited <= chunk_bytes.max(300));
        let told = sent.iter().filter(|sample| sample.topic == of(&topics::EVENT)).count();
        prop_assert_eq!(told, messages);
        for sample in &sent {
            prop_assert!(meant.contains(&(sample.topic, sample.key.clone())), "it came from there");
        }
        let counts = hub.counts(Side::Peer(TWO));
        prop_assert_eq!(counts.samples as usize, sent.len());
        prop_assert_eq!(drain(&mut hub, Side::Peer(TWO), NOW), []);
    }
}
