//! What to read of a directory that grows: listings in, reads to do out. No I/O here.
//!
//! A growing CSV file is read up to its last complete line, and from there when it is longer. It is read
//! from its start when another file has its name (another id, fewer bytes, or other bytes before the
//! position). A file that was renamed keeps its position. Gzip files, Parquet and mails are read once, when they
//! are complete: gzip says so itself; the others count as complete when two looks find the same size.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::csv::Position;

/// A file as the directory lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name in the directory.
    pub name: String,
    /// What stays when it is renamed (the inode); 0 where the file system has no such thing.
    pub file_id: u64,
    /// Its size.
    pub bytes: u64,
}

/// How far each file of a directory is read. Keep it (serde) with the records taken so far, and a
/// restart neither loses nor repeats a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    files: BTreeMap<String, Followed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Followed {
    file_id: u64,
    stage: Stage,
}

/// How far one file is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A growing CSV file, read up to here.
    Lines(Position),
    /// To be read as a whole, but not complete when it had this size.
    Incomplete {
        /// Its size then.
        bytes: u64,
        /// Whether that was reported, because it did not grow any more.
        reported: bool,
    },
    /// Read as a whole, or refused. Opened again only when another file has its name.
    Closed {
        /// Its size then.
        bytes: u64,
    },
}

/// One read to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The file.
    pub name: String,
    /// Its size in the listing.
    pub bytes: u64,
    /// From where. At 0 the first bytes tell whether it is gzip.
    pub from: Position,
    /// It did not grow since the look before: what is missing now will not come.
    pub settled: bool,
}

impl Stage {
    /// Bytes that a file must have to be the one that this was said of.
    fn bytes(&self) -> u64 {
        match self {
            Self::Lines(position) => position.bytes,
            Self::Incomplete { bytes, .. } | Self::Closed { bytes } => *bytes,
        }
    }
}

impl Follow {
    /// Compares a listing with what is known, and says what to read: files that go on before new ones, so
    /// that the rest of a rotated file comes before its successor; else in the order of names.
    /// Files that are gone are forgotten.
    pub fn plan(&mut self, listing: &[Listed]) -> Vec<Read> {
        self.recognise(listing);
        let mut reads = Vec::new();
        for listed in listing {
            let known = self.files.get(&listed.name).map(|followed| &followed.stage);
            match decide(listed, known) {
                Decision::Nothing => (),
                Decision::Wait => {
                    self.set(listed, Stage::Incomplete { bytes: listed.bytes, reported: false });
                }
                Decision::Read { from, settled } => {
                    reads.push(Read { name: listed.name.clone(), bytes: listed.bytes, from, settled });
                }
            }
        }
        reads.sort_by(|a, b| (a.from.bytes == 0, &a.name).cmp(&(b.from.bytes == 0, &b.name)));
        reads
    }

    /// Notes how far a file was read.
    pub fn set(&mut self, listed: &Listed, stage: Stage) {
        self.files.insert(listed.name.clone(), Followed { file_id: listed.file_id, stage });
    }

    /// Keeps what is known of files that are still there, under their present names.
    fn recognise(&mut self, listing: &[Listed]) {
        let is_same = |listed: &Listed, followed: &Followed| {
            listed.file_id == followed.file_id && listed.bytes >= followed.stage.bytes()
        };
        let before = std::mem::take(&mut self.files);
        let mut unclaimed: BTreeMap<u64, &Followed> =
            before.values().filter(|followed| followed.file_id != 0).map(|f| (f.file_id, f)).collect();
        let mut new = BTreeSet::new();
        for listed in listing {
            match before.get(&listed.name).filter(|followed| is_same(listed, followed)) {
                Some(followed) => {
                    unclaimed.remove(&followed.file_id);
                    self.files.insert(listed.name.clone(), followed.clone());
                }
                None => _ = new.insert(listed),
            }
        }
        for listed in new {
            let renamed =
                unclaimed.get(&listed.file_id).copied().filter(|followed| is_same(listed, followed));
            if let Some(followed) = renamed {
                unclaimed.remove(&listed.file_id);
                self.files.insert(listed.name.clone(), followed.clone());
            }
        }
    }
}

enum Decision {
    Nothing,
    /// Look again before reading it.
    Wait,
    Read {
        from: Position,
        settled: bool,
    },
}

fn decide(listed: &Listed, known: Option<&Stage>) -> Decision {
    let is_whole = super::file::is_whole(listed.name.as_ref());
    let from_start = |settled| Decision::Read { from: Position::default(), settled };
    match known {
        None if listed.bytes == 0 => Decision::Nothing,
        None if is_whole => Decision::Wait,
        None => from_start(false),
        Some(Stage::Lines(position)) if position.bytes == listed.bytes => Decision::Nothing,
        Some(Stage::Lines(position)) => Decision::Read { from: position.clone(), settled: false },
        Some(Stage::Incomplete { bytes, .. }) if *bytes != listed.bytes && is_whole => Decision::Wait,
        Some(Stage::Incomplete { bytes, .. }) if *bytes != listed.bytes => from_start(false),
        Some(Stage::Incomplete { reported: false, .. }) => from_start(true),
        Some(Stage::Incomplete { reported: true, .. } | Stage::Closed { .. }) => Decision::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, file_id: u64, bytes: u64) -> Listed {
        Listed { name: name.into(), file_id, bytes }
    }

    fn lines(bytes: u64) -> Stage {
        Stage::Lines(Position { bytes, ..Position::default() })
    }

    /// Name and offset of each read.
    fn reads(follow: &mut Follow, listing: &[Listed]) -> Vec<(String, u64)> {
        follow.plan(listing).into_iter().map(|read| (read.name, read.from.bytes)).collect()
    }

    #[test]
    fn a_file_is_read_from_where_it_was_left() {
        let mut follow = Follow::default();
        assert_eq!(reads(&mut follow, &[listed("a.csv", 1, 0)]), []);
        assert_eq!(reads(&mut follow, &[listed("a.csv", 1, 10)]), [("a.csv".into(), 0)]);
        follow.set(&listed("a.csv", 1, 10), lines(10));
        assert_eq!(reads(&mut follow, &[listed("a.csv", 1, 10)]), []);
        assert_eq!(reads(&mut follow, &[listed("a.csv", 1, 11)]), [("a.csv".into(), 10)]);
    }

    #[test]
    fn a_file_that_shrank_or_was_replaced_is_read_from_its_start() {
        let mut follow = Follow::default();
        follow.set(&listed("a.csv", 1, 10), lines(10));
        let mut other = follow.clone();
        assert_eq!(reads(&mut follow, &[listed("a.csv", 1, 9)]), [("a.csv".into(), 0)]);
        assert_eq!(reads(&mut other, &[listed("a.csv", 2, 10)]), [("a.csv".into(), 0)]);
    }

    #[test]
    fn a_rotated_file_keeps_its_position_under_its_new_name() {
        let mut follow = Follow::default();
        follow.set(&listed("a.csv", 1, 10), lines(10));
        let rotated = [listed("a.csv", 2, 5), listed("a.csv.1", 1, 12)];
        assert_eq!(reads(&mut follow, &rotated), [("a.csv.1".into(), 10), ("a.csv".into(), 0)]);
    }

    #[test]
    fn a_whole_file_is_tried_once_more_when_it_stopped_growing_and_then_left_alone() {
        let mut follow = Follow::default();
        let file = listed("a.csv.gz", 1, 10);
        assert!(!follow.plan(std::slice::from_ref(&file))[0].settled);
        follow.set(&file, Stage::Incomplete { bytes: 10, reported: false });
        assert!(follow.plan(std::slice::from_ref(&file))[0].settled);
        follow.set(&file, Stage::Incomplete { bytes: 10, reported: true });
        assert_eq!(follow.plan(std::slice::from_ref(&file)), []);
        assert_eq!(follow.plan(&[listed("a.csv.gz", 1, 11)]).len(), 1);
        follow.set(&file, Stage::Closed { bytes: 10 });
        assert_eq!(follow.plan(&[listed("a.csv.gz", 1, 11)]), []);
    }

    #[test]
    fn a_mail_is_read_when_two_looks_find_the_same_size() {
        let mut follow = Follow::default();
        let looks = [10, 20, 20].map(|bytes| follow.plan(&[listed("a.eml", 1, bytes)]).len());
        assert_eq!(looks, [0, 0, 1]);
    }

    #[test]
    fn a_file_that_is_gone_is_forgotten_and_the_state_survives_a_restart() {
        let mut follow = Follow::default();
        follow.set(&listed("a.csv", 1, 10), lines(10));
        follow.set(&listed("b.csv.gz", 2, 10), Stage::Closed { bytes: 10 });
        let text = serde_json::to_string(&follow).unwrap();
        let mut restarted: Follow = serde_json::from_str(&text).unwrap();
        assert_eq!(restarted, follow);
        assert_eq!(restarted.plan(&[listed("b.csv.gz", 2, 10)]), []);
        assert_eq!(reads(&mut restarted, &[listed("a.csv", 3, 10), listed("b.csv.gz", 2, 10)]).len(), 1);
    }
}
