//! The files of a spool, damaged: each opens or is refused, and what is read is what was stored.
//!
//! The input is a list of changes to a spool of two files: what is cut off, overwritten, added, or renamed.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use common::crypto::bulk::InputKey;
use common::id::TenantId;
use common::units::Timestamp;
use ingest::spool::{
    Config, Entry, EntryId, Kind, Position, Reader, Spool, SpoolError, SpoolKey, tenant_dir,
};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

const TENANT: TenantId = TenantId([7; 16]);
const KEY: [u8; 32] = [7; 32];
const CONFIG: Config =
    Config { bytes_max: 1 << 30, segment_bytes: 400, keep_s: 60, pending_bytes_max: 1 << 20, sync: false };

/// The files of a spool that nobody touched, by name.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder for files");
    let spool = open(folder.path()).expect("a new spool");
    for entry in entries() {
        store(&spool, entry);
    }
    drop(spool);
    let listed = fs::read_dir(tenant_dir(folder.path(), TENANT)).expect("the folder of a tenant");
    let names = listed.map(|file| file.expect("a file").file_name().into_string().expect("a plain name"));
    let path = tenant_dir(folder.path(), TENANT);
    let mut files: Vec<_> = names.filter_map(|name| Some((fs::read(path.join(&name)).ok()?, name))).collect();
    files.sort_by(|(_, one), (_, other)| one.cmp(other));
    files.into_iter().map(|(bytes, name)| (name, bytes)).collect()
});

fn entries() -> impl Iterator<Item = Entry> {
    (0..4).map(|number: usize| {
        let body = Bytes::from(format!("entry {number} {}", "x".repeat(number * 60)));
        Entry {
            id: EntryId::of_content(TENANT, Kind::Mail, "ups-3@example.com", &body),
            tenant: TENANT,
            kind: Kind::Mail,
            received: Timestamp(1_000_000),
            source: "ups-3@example.com".try_into().expect("it is short"),
            body,
        }
    })
}

fn open(dir: &Path) -> Result<Spool, SpoolError> {
    Spool::open(dir, InputKey(KEY), CONFIG, ChaCha20Rng::seed_from_u64(1))
}

fn store(spool: &Spool, entry: Entry) {
    let answer = spool.offer(entry).expect("there is room").blocking_recv();
    answer.expect("an answer").expect("the disk takes it");
}

/// Reads on over damage; each entry is one that was stored, in the order in which it was stored.
fn read(mut reader: Reader, more: &[Entry]) -> usize {
    let mut stored: Vec<Entry> = entries().collect();
    stored.extend_from_slice(more);
    let (mut left, mut count) = (stored.into_iter(), 0);
    for _ in 0..1000 {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                assert!(left.any(|stored| stored == entry), "an entry that nobody stored, or out of order");
                count += 1;
            }
            Ok(None) => return count,
            Err(SpoolError::Damaged { .. } | SpoolError::Header { .. }) => (),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a reader that comes to no end");
}

/// One change: a file, what to do, where, and the bytes for it.
fn change(files: &mut Vec<(String, Vec<u8>)>, change: &[u8]) {
    let Some((&[which, what, high, low], bytes)) = change.split_first_chunk() else { return };
    let count = files.len();
    let Some((name, content)) = files.get_mut(usize::from(which) % count.max(1)) else { return };
    let at = usize::from(u16::from_be_bytes([high, low])) % (content.len() + 1);
    match what % 5 {
        0 => content.truncate(at),
        1 => {
            let end = content.len().min(at + bytes.len());
            content[at..end].copy_from_slice(&bytes[..end - at]);
        }
        2 => drop(content.splice(at..at, bytes.iter().copied())),
        3 => content.extend_from_slice(bytes),
        _ => {
            let digits = bytes.iter().take(16).map(|byte| char::from_digit(u32::from(byte % 16), 16));
            *name = format!("{}.spool", digits.map(|digit| digit.expect("below 16")).collect::<String>());
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut files = FILES.clone();
    data.split(|&byte| byte == 0xfe).for_each(|told| change(&mut files, told));
    let folder = TempDir::new().expect("a folder for files");
    let dir = tenant_dir(folder.path(), TENANT);
    fs::create_dir_all(&dir).expect("a folder for files");
    for (name, content) in &files {
        fs::write(dir.join(name), content).expect("a file of the test");
    }
    let key = SpoolKey { key: InputKey(KEY), tenant: TENANT };
    let before = read(Reader::offline(&dir, key, Position::default()), &[]);
    let Ok(spool) = open(folder.path()) else { return };
    let tenant = spool.tenant(TENANT).expect("it is open");
    assert!(read(tenant.reader(Position::default()), &[]) >= before, "opening a spool loses nothing");
    let mut new = entries().next().expect("there are four");
    new.body = Bytes::from_static(b"new");
    store(&spool, new.clone());
    assert!(read(tenant.reader(Position::default()), &[new]) > 0, "what is stored is read");
});
