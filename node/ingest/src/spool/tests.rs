use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

use super::entry::sample;
use super::*;
use crate::limits::ENTRY_BODY_BYTES_MAX;

const KEY: [u8; 32] = [7; 32];

/// The tenant of the samples.
const TENANT: TenantId = TenantId([1; 16]);

fn key() -> SpoolKey {
    SpoolKey { key: InputKey(KEY), tenant: TENANT }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Opens the spool of a folder as a new process would: with randomness of its own.
fn open(dir: &Path, config: Config, process: u64) -> TenantSpool {
    TenantSpool::open(dir, key(), config, ChaCha20Rng::seed_from_u64(process)).unwrap()
}

fn store(spool: &TenantSpool, body: &[u8]) -> Result<Position, Refusal> {
    spool.offer(sample(body))?.blocking_recv().unwrap()
}

fn body(number: usize) -> Vec<u8> {
    format!("entry {number} {}", "x".repeat(number * 7)).into_bytes()
}

/// The bodies that a reader finds, and how often it met damage.
fn read_all(mut reader: Reader) -> (Vec<Vec<u8>>, usize) {
    let (mut bodies, mut damaged) = (Vec::new(), 0);
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => bodies.push(entry.body.to_vec()),
            Ok(None) => return (bodies, damaged),
            Err(SpoolError::Damaged { .. } | SpoolError::Header { .. }) => damaged += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

fn offline(dir: &Path) -> Reader {
    Reader::offline(dir, key(), Position::default())
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

#[test]
fn what_was_acknowledged_is_read_in_its_order_by_this_process_and_the_next() {
    let folder = folder();
    let small = Config { segment_bytes: 1000, ..Config::default() };
    let expected: Vec<Vec<u8>> = (0..60).map(body).collect();
    for process in 0..3 {
        let spool = open(folder.path(), small, process);
        for body in &expected[process as usize * 20..][..20] {
            store(&spool, body).unwrap();
        }
        let so_far = (process as usize + 1) * 20;
        assert_eq!(read_all(spool.reader(Position::default())), (expected[..so_far].to_vec(), 0));
    }
    assert_eq!(read_all(offline(folder.path())), (expected, 0));
    assert!(segment_files(folder.path()).len() > 5, "segments were begun");
}

#[test]
fn a_reader_goes_on_from_the_position_of_an_entry() {
    let folder = folder();
    let spool = open(folder.path(), Config { segment_bytes: 500, ..Config::default() }, 0);
    let positions: Vec<Position> = (0..20).map(|number| store(&spool, &body(number)).unwrap()).collect();
    for (number, position) in positions.into_iter().enumerate() {
        let rest: Vec<Vec<u8>> = (number + 1..20).map(body).collect();
        assert_eq!(read_all(spool.reader(position)), (rest, 0));
    }
}

#[test]
fn a_batch_is_one_commit_and_a_live_reader_sees_nothing_before_it() {
    let folder = folder();
    let config = Config::default();
    let mut log = log::Log::open(folder.path(), key(), config, ChaCha20Rng::seed_from_u64(1)).unwrap();
    let mut reader = Reader::new(folder.path(), key(), Position::default(), Some(log.watch_end()));
    assert!(reader.next_entry().unwrap().is_none());
    let entries: Vec<Entry> = (0..100).map(|number| sample(&body(number))).collect();
    let results = log.commit(entries.iter(), 0);
    assert!(results.iter().all(Result::is_ok) && results.is_sorted_by_key(|result| result.clone().unwrap()));
    assert_eq!(log.watch_status().borrow().commits, 1);
    assert_eq!(reader.next_entry().unwrap(), Some(entries[0].clone()));
    assert_eq!(read_all(reader).0.len(), 99);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_nothing_before_it() {
    let folder = folder();
    let spool = open(folder.path(), Config::default(), 0);
    let ends: Vec<u64> = (0..3).map(|number| store(&spool, &body(number)).unwrap().offset).collect();
    drop(spool);
    let whole = std::fs::read(&segment_files(folder.path())[0]).unwrap();
    for cut in 0..=whole.len() {
        let torn = self::folder();
        std::fs::write(torn.path().join(segment_files(folder.path())[0].file_name().unwrap()), &whole[..cut])
            .unwrap();
        let survivors = ends.iter().filter(|end| **end <= cut as u64).count();
        let spool = open(torn.path(), Config::default(), 1);
        store(&spool, b"after the crash").unwrap();
        let mut expected: Vec<Vec<u8>> = (0..survivors).map(body).collect();
        expected.push(b"after the crash".to_vec());
        assert_eq!(read_all(spool.reader(Position::default())), (expected, 0), "cut at {cut}");
    }
}

#[test]
fn a_damaged_frame_is_named_and_the_others_are_read() {
    let folder = folder();
    let spool = open(folder.path(), Config::default(), 0);
    let ends: Vec<u64> = (0..3).map(|number| store(&spool, &body(number)).unwrap().offset).collect();
    drop(spool);
    let path = &segment_files(folder.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    bytes[ends[0] as usize + 10] ^= 1;
    std::fs::write(path, &bytes).unwrap();
    let mut reader = offline(folder.path());
    assert_eq!(reader.next_entry().unwrap().unwrap().body, body(0));
    let error = reader.next_entry().unwrap_err().to_string();
    assert!(error.ends_with(&format!("at byte {}: frame 1 is damaged", ends[0])), "{error}");
    assert_eq!(reader.next_entry().unwrap().unwrap().body, body(2));
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn every_changed_byte_of_a_segment_loses_at_most_what_it_is_in() {
    let folder = folder();
    let spool = open(folder.path(), Config::default(), 0);
    let stored: Vec<Vec<u8>> = (0..3).map(body).collect();
    for body in &stored {
        store(&spool, body).unwrap();
    }
    drop(spool);
    let path = &segment_files(folder.path())[0];
    let whole = std::fs::read(path).unwrap();
    for index in 0..whole.len() {
        let mut changed = whole.clone();
        changed[index] ^= 0x41;
        std::fs::write(path, &changed).unwrap();
        let (bodies, _) = read_all(offline(folder.path()));
        assert!(bodies.len() < 3, "a change of byte {index} was not noticed");
        assert!(bodies.iter().all(|body| stored.contains(body)), "byte {index} made an entry");
    }
}

#[test]
fn a_full_spool_refuses_until_what_was_read_may_go() {
    let folder = folder();
    let config = Config { bytes_max: 10_000, segment_bytes: 2000, ..Config::default() };
    let spool = open(folder.path(), config, 0);
    let mut last = Position::default();
    let refusal = loop {
        match store(&spool, &[1; 900]) {
            Ok(position) => last = position,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Full { max: 10_000, .. }), "{refusal}");
    assert!(spool.status().bytes <= 10_000);
    assert_eq!(spool.status().refused, 1);
    let mut cursor = spool.cursor("pipeline").unwrap();
    cursor.advance(last, Timestamp(1)).unwrap();
    store(&spool, &[2; 900]).unwrap();
    let (bodies, damaged) = read_all(spool.reader(Position::default()));
    assert_eq!((bodies.last().unwrap().as_slice(), damaged), (&[2; 900][..], 0));
    assert!(spool.status().bytes <= 10_000, "old segments made room");
}

#[test]
fn an_entry_that_is_too_large_or_too_much_at_once_is_refused() {
    let folder = folder();
    let spool = open(folder.path(), Config { pending_bytes_max: 10, ..Config::default() }, 0);
    let bytes = ENTRY_BODY_BYTES_MAX + 1;
    assert_eq!(store(&spool, &vec![0; bytes]).unwrap_err(), Refusal::TooLarge { bytes });
    store(&spool, &[0; 100]).expect("one entry is always let in");
}

#[test]
fn a_second_writer_and_a_wrong_key_are_refused_by_name() {
    let folder = folder();
    let open = |key, process| {
        let random = ChaCha20Rng::seed_from_u64(process);
        Spool::open(folder.path(), InputKey(key), Config::default(), random)
    };
    let spool = open(KEY, 0).unwrap();
    spool.offer(sample(b"x")).unwrap().blocking_recv().unwrap().unwrap();
    assert!(matches!(open(KEY, 1), Err(SpoolError::Locked(path)) if path == folder.path()));
    drop(spool);
    let wrong = open([8; 32], 2).unwrap_err().to_string();
    assert!(
        wrong.ends_with("written with another key, for another tenant, or under another name"),
        "{wrong}"
    );
}

#[test]
fn tenants_share_no_file_and_each_reads_its_own() {
    let folder = folder();
    let random = ChaCha20Rng::seed_from_u64(0);
    let spool = Spool::open(folder.path(), InputKey(KEY), Config::default(), random).unwrap();
    let other = TenantId([2; 16]);
    for (tenant, body) in [(TENANT, "a"), (other, "b"), (TENANT, "c")] {
        let entry = Entry { tenant, ..sample(body.as_bytes()) };
        spool.offer(entry).unwrap().blocking_recv().unwrap().unwrap();
    }
    let read = |tenant| read_all(spool.tenant(tenant).unwrap().reader(Position::default())).0;
    assert_eq!((read(TENANT), read(other)), (vec![b"a".to_vec(), b"c".to_vec()], vec![b"b".to_vec()]));
    assert_eq!(tenants(folder.path()).unwrap(), [TENANT, other]);
    assert_eq!(spool.status().accepted, 3);
    // A file of one tenant opens as nothing of the other's.
    let file = &segment_files(&tenant_dir(folder.path(), TENANT))[0];
    let moved = tenant_dir(folder.path(), other).join(file.file_name().unwrap());
    std::fs::rename(file, moved).unwrap();
    let key = SpoolKey { key: InputKey(KEY), tenant: other };
    let mut reader = Reader::offline(&tenant_dir(folder.path(), other), key, Position::default());
    assert!(matches!(reader.next_entry(), Err(SpoolError::Header { fault: HeaderFault::WrongKey, .. })));
}

#[test]
fn a_consumer_goes_on_where_its_cursor_stands_whoever_restarts() {
    let folder = folder();
    let small = Config { segment_bytes: 500, ..Config::default() };
    for process in 0..4 {
        let spool = open(folder.path(), small, process);
        for number in 0..5 {
            store(&spool, &body(process as usize * 5 + number)).unwrap();
        }
        // Each process reads three entries and is done with two.
        let mut cursor = spool.cursor("pipeline").unwrap();
        let mut reader = spool.reader(cursor.position());
        for _ in 0..2 {
            let entry = reader.next_entry().unwrap().unwrap();
            cursor.advance(reader.position(), entry.received).unwrap();
        }
        let next = reader.next_entry().unwrap().unwrap();
        assert_eq!(next.body, body(process as usize * 2 + 2));
    }
}

#[test]
fn nothing_goes_that_a_consumer_has_to_read_even_if_it_is_not_there() {
    let folder = folder();
    let config = Config { bytes_max: 10_000, segment_bytes: 2000, ..Config::default() };
    let spool = open(folder.path(), config, 0);
    let mut fast = spool.cursor("fast").unwrap();
    spool.cursor("away").unwrap();
    let mut stored = 0;
    while let Ok(position) = store(&spool, &[1; 900]) {
        fast.advance(position, Timestamp(5)).unwrap();
        stored += 1;
    }
    drop((spool, fast));
    let spool = open(folder.path(), config, 1);
    assert!(matches!(store(&spool, &[2; 900]), Err(Refusal::Full { .. })));
    assert_eq!(read_all(spool.reader(spool.cursor("away").unwrap().position())).0.len(), stored);
    spool.cursor("away").unwrap().retire().unwrap();
    store(&spool, &[2; 900]).expect("the other consumer is done with all of it");
}

#[test]
fn a_lag_is_what_is_still_to_be_read() {
    let folder = folder();
    let spool = open(folder.path(), Config { segment_bytes: 1500, ..Config::default() }, 0);
    let mut cursor = spool.cursor("pipeline").unwrap();
    let at = |second: u64| Entry { received: Timestamp(second * 1_000_000), ..sample(&[1; 400]) };
    let positions: Vec<Position> =
        (1..=9).map(|second| spool.offer(at(second)).unwrap().blocking_recv().unwrap().unwrap()).collect();
    let lag = |spool: &TenantSpool| spool.lags()["pipeline"];
    assert_eq!(lag(&spool), Lag { bytes: spool.status().bytes, behind: None });
    cursor.advance(positions[3], Timestamp(4_000_000)).unwrap();
    let behind = lag(&spool);
    assert_eq!(behind.behind, Some(Millis(5000)));
    assert!((5 * 400..6 * 400 + 300).contains(&behind.bytes), "{behind:?}");
    cursor.advance(positions[8], Timestamp(9_000_000)).unwrap();
    assert_eq!(lag(&spool), Lag { bytes: 0, behind: Some(Millis(0)) });
    cursor.advance(positions[3], Timestamp(4_000_000)).unwrap();
    assert_eq!(cursor.position(), positions[8], "a cursor never goes back");
}

#[test]
fn a_cursor_that_nobody_wrote_is_named_and_a_half_written_one_is_none() {
    let folder = folder();
    let cursors = folder.path().join("cursors");
    std::fs::create_dir(&cursors).unwrap();
    std::fs::write(cursors.join("pipeline.new"), "1 2").unwrap();
    assert_eq!(
        open(folder.path(), Config::default(), 0).cursor("pipeline").unwrap().position(),
        Position::default()
    );
    std::fs::write(cursors.join("pipeline"), "1 2").unwrap();
    let random = ChaCha20Rng::seed_from_u64(0);
    let error = TenantSpool::open(folder.path(), key(), Config::default(), random).unwrap_err().to_string();
    assert!(error.contains("cursors/pipeline: not the cursor of a consumer"), "{error}");
    let spool = open(self::folder().path(), Config::default(), 0);
    assert!(spool.cursor("../elsewhere").is_err());
}

#[test]
fn nothing_of_an_entry_is_on_the_disk_in_the_clear() {
    let folder = folder();
    let spool = open(folder.path(), Config::default(), 0);
    store(&spool, b"temperature of the server room").unwrap();
    drop(spool);
    for path in segment_files(folder.path()) {
        let bytes = std::fs::read(path).unwrap();
        for word in [&b"temperature"[..], b"example.com"] {
            assert!(bytes.windows(word.len()).all(|window| window != word));
        }
    }
}

#[test]
fn a_file_with_the_last_number_or_one_written_otherwise_is_no_segment() {
    let folder = folder();
    store(&open(folder.path(), Config::default(), 0), &body(1)).unwrap();
    for name in ["ffffffffffffffff.spool", "+1.spool", "1.spool", "00000000000000AA.spool"] {
        std::fs::write(
            folder.path().join(name),
            b"not a segment of this spool, but as long as its header is, which has 72 bytes",
        )
        .unwrap();
    }
    assert_eq!(read_all(offline(folder.path())), (vec![body(1)], 0));
    assert_eq!(read_all(open(folder.path(), Config::default(), 1).reader(Position::default())).0, [body(1)]);
}
