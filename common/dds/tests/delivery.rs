//! Real DDS on loopback: what is written arrives, as its topic promises.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use dds::{Config, DdsError, Participant, Qos, Reader, Sample, Topic, Writer};
use tokio::time::timeout;

/// Long enough for a discovery announcement that was missed and came again 10 s later.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often a greeting is repeated until both sides have matched.
const REPEAT: Duration = Duration::from_millis(10);
const HELLO: &[u8] = b"hello";

const STATE: Topic = Topic::new("test_state", "test::State", 4, 1024, Qos::State { keys: 2 });
const MESSAGE: Topic = Topic::new("test_message", "test::Message", 0, 1024, Qos::Message { samples: 256 });
const CHUNK: Topic =
    Topic::new("test_chunk", "test::Chunk", 36, CHUNK_BYTES, Qos::Chunk { unread: 256, unsent: 64 });
const ACK: Topic = Topic::new("test_ack", "test::Ack", 4, 64, Qos::Message { samples: 256 });

/// The sealed chunk of the layer above.
const CHUNK_BYTES: usize = 49_200;

fn join(domain: u16) -> Participant {
    let interfaces = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    Participant::new(&Config { domain, interfaces, peers: vec![] }).unwrap()
}

/// The next sample that is not a greeting, or what was wrong with it.
async fn next_or_error(reader: &mut Reader) -> Result<Sample, DdsError> {
    loop {
        match timeout(PATIENCE, reader.next()).await.expect("nothing arrived") {
            Ok(sample) if sample.body == HELLO => {}
            other => return other,
        }
    }
}

async fn next(reader: &mut Reader) -> Sample {
    next_or_error(reader).await.unwrap()
}

/// Repeats a greeting until one arrives; some more may still be on their way.
async fn greet(writer: &Writer, reader: &mut Reader, key: &[u8]) {
    let greeted = async {
        loop {
            writer.write(key, HELLO).unwrap();
            if let Ok(sample) = timeout(REPEAT, reader.next()).await {
                assert_eq!(sample.unwrap().body, HELLO);
                break;
            }
        }
    };
    timeout(PATIENCE, greeted).await.expect("the two participants never matched");
}

#[tokio::test]
async fn bytes_arrive_as_they_were_written_on_every_kind_of_topic() {
    let (here, there) = (join(11), join(11));
    for (topic, key) in [(STATE, &[1; 4][..]), (MESSAGE, &[]), (CHUNK, &[7; 36])] {
        let (writer, mut reader) = (here.writer(&topic).unwrap(), there.reader(&topic).unwrap());
        greet(&writer, &mut reader, key).await;
        let body: Vec<u8> = (0..1024u32).map(|n| (n % 251) as u8).collect();
        for len in [0, 1, 2, 3, 4, 63, 1024] {
            writer.write(key, &body[..len]).unwrap();
            let sample = next(&mut reader).await;
            assert_eq!((&*sample.key, &*sample.body), (key, &body[..len]));
        }
    }
}

#[tokio::test]
async fn a_late_joiner_gets_the_last_sample_of_each_key() {
    let here = join(12);
    let writer = here.writer(&STATE).unwrap();
    // A reader that acknowledges lets the writer forget what is outside its history.
    let early = join(12);
    let mut early = early.reader(&STATE).unwrap();
    greet(&writer, &mut early, &[1; 4]).await;
    writer.write(&[1; 4], b"quiet").unwrap();
    for n in 0..100u8 {
        writer.write(&[2; 4], &[n]).unwrap();
    }

    let late = join(12);
    let mut late = late.reader(&STATE).unwrap();
    let (mut quiet, mut busy) = (None, None);
    while quiet.as_deref() != Some(&b"quiet"[..]) || busy.as_deref() != Some(&[99][..]) {
        let sample = next(&mut late).await;
        *if sample.key[0] == 1 { &mut quiet } else { &mut busy } = Some(sample.body);
    }
}

#[tokio::test]
async fn a_directed_sample_reaches_only_the_reader_it_is_addressed_to() {
    let (here, one, other) = (join(13), join(13), join(13));
    for (topic, key) in [(MESSAGE, &[][..]), (CHUNK, &[7; 36])] {
        let writer = here.writer(&topic).unwrap();
        let (mut one, mut other) = (one.reader(&topic).unwrap(), other.reader(&topic).unwrap());
        greet(&writer, &mut one, key).await;
        greet(&writer, &mut other, key).await;

        for n in 0..20u8 {
            writer.write_to(one.address(), key, &[n]).unwrap();
        }
        writer.write(key, b"to all").unwrap();
        for n in 0..20u8 {
            assert_eq!(&*next(&mut one).await.body, [n]);
        }
        assert_eq!(&*next(&mut one).await.body, b"to all");
        assert_eq!(&*next(&mut other).await.body, b"to all");
    }
}

#[tokio::test]
async fn samples_for_one_of_two_readers_are_noted_by_one_writer_after_the_other_and_arrive() {
    const SAMPLES: u32 = 10_000;
    let (here, one, other) = (join(15), join(15), join(15));
    let writer = here.writer(&CHUNK).unwrap();
    let (mut one, mut other) = (one.reader(&CHUNK).unwrap(), other.reader(&CHUNK).unwrap());
    greet(&writer, &mut one, &[7; 36]).await;
    greet(&writer, &mut other, &[7; 36]).await;

    let mut writers = BTreeSet::new();
    for index in 0..SAMPLES {
        loop {
            writer.write_to(one.address(), &[7; 36], &index.to_le_bytes()).unwrap();
            // A reader that has not heard of a new writer yet loses what it writes.
            if let Ok(sample) = timeout(REPEAT, next(&mut one)).await
                && *sample.body == index.to_le_bytes()
            {
                writers.insert(sample.writer);
                break;
            }
        }
    }
    assert!(writers.len() > SAMPLES as usize / 2048, "{} writers", writers.len());
    writer.write(&[7; 36], b"to all").unwrap();
    assert_eq!(&*next(&mut other).await.body, b"to all");
}

#[tokio::test]
async fn a_blob_of_64_mb_arrives_whole_in_acknowledged_windows() {
    const CHUNKS: u32 = 1300;
    let (here, there) = (join(14), join(14));
    let window = there.unread_max(&CHUNK).min(16) as u32;
    let (chunks, mut acks) = (here.writer(&CHUNK).unwrap(), here.reader(&ACK).unwrap());
    let (mut blob, ack) = (there.reader(&CHUNK).unwrap(), there.writer(&ACK).unwrap());
    greet(&ack, &mut acks, &[0xff; 4]).await;
    greet(&chunks, &mut blob, &[0xff; 36]).await;
    let address = blob.address();

    let key_of = |index: u32| {
        let mut key = [7; 36];
        key[32..].copy_from_slice(&index.to_le_bytes());
        key
    };
    let sent = async {
        let mut acknowledged = 0;
        for index in 0..CHUNKS {
            while index >= acknowledged + window {
                acknowledged = u32::from_le_bytes(next(&mut acks).await.key[..].try_into().unwrap());
            }
            chunks.write_to(address, &key_of(index), &vec![index as u8; CHUNK_BYTES]).unwrap();
        }
    };
    let received = async {
        for index in 0..CHUNKS {
            let sample = next(&mut blob).await;
            assert_eq!(&*sample.key, &key_of(index));
            assert_eq!(sample.body.len(), CHUNK_BYTES);
            assert!(sample.body.iter().all(|byte| *byte == index as u8));
            ack.write(&(index + 1).to_le_bytes(), b"").unwrap();
        }
    };
    tokio::join!(sent, received);
}

#[tokio::test]
async fn a_participant_made_again_in_the_same_process_works_like_the_first() {
    let there = join(15);
    let mut reader = there.reader(&MESSAGE).unwrap();
    for _ in 0..5 {
        let here = join(15);
        greet(&here.writer(&MESSAGE).unwrap(), &mut reader, &[]).await;
    }
}

#[tokio::test]
async fn a_sample_of_another_shape_is_refused_with_its_writer_and_the_next_is_read() {
    const WIDE: Topic = Topic::new("test_shape", "test::Shape", 0, 4096, Qos::Message { samples: 64 });
    const NARROW: Topic = Topic::new("test_shape", "test::Shape", 0, 8, Qos::Message { samples: 64 });
    let (here, there) = (join(16), join(16));
    let (writer, mut reader) = (here.writer(&WIDE).unwrap(), there.reader(&NARROW).unwrap());
    greet(&writer, &mut reader, &[]).await;
    writer.write(&[], &[0; 9]).unwrap();
    writer.write(&[], b"fits").unwrap();
    let refused = next_or_error(&mut reader).await.unwrap_err();
    let sample = next(&mut reader).await;
    assert_eq!(&*sample.body, b"fits");
    assert!(
        matches!(refused, DdsError::Malformed { topic: "test_shape", writer, .. } if writer == sample.writer)
    );
}

#[test]
fn what_does_not_fit_the_topic_is_not_written() {
    let writer = join(17);
    let writer = writer.writer(&STATE).unwrap();
    let errors =
        [writer.write(&[1; 3], b""), writer.write(&[1; 4], &[0; 1025])].map(|e| e.unwrap_err().to_string());
    assert_eq!(errors[0], "a key of topic test_state has 4 bytes, not 3");
    assert_eq!(errors[1], "a body of topic test_state has at most 1024 bytes, not 1025");
}

#[test]
fn the_window_of_a_topic_is_bounded_by_its_cache_and_by_the_kernel() {
    let here = join(18);
    assert!((1..=256).contains(&here.unread_max(&CHUNK)));
    assert!(here.unread_max(&CHUNK) <= here.unread_max(&MESSAGE));
    assert_eq!(CHUNK.reader_cache_bytes_max(), 256 * (36 + 4 + CHUNK_BYTES));
}

#[tokio::test]
async fn a_participant_does_not_take_a_number_of_which_another_program_has_a_port() {
    // The second port of the first number of domain 19.
    let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 7400 + 250 * 19 + 11)).unwrap();
    let (here, there) = (join(19), join(19));
    let (writer, mut reader) = (here.writer(&MESSAGE).unwrap(), there.reader(&MESSAGE).unwrap());
    greet(&writer, &mut reader, &[]).await;
    writer.write(&[], b"after all").unwrap();
    assert_eq!(&*next(&mut reader).await.body, b"after all");
    other.set_nonblocking(true).unwrap();
    assert!(other.recv(&mut [0; 64]).is_err(), "something was sent there");
}

#[test]
fn a_wrong_domain_or_interface_is_named() {
    let domain = Participant::new(&Config { domain: 232, ..Config::default() }).err().unwrap();
    assert_eq!(domain.to_string(), "domain 232 is over 231, the last one whose ports exist");
    let elsewhere = vec![IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))];
    let interface =
        Participant::new(&Config { domain: 17, interfaces: elsewhere, peers: vec![] }).err().unwrap();
    assert!(interface.to_string().starts_with("interface 198.51.100.1 cannot be used: "), "{interface}");
}
