//! One of each entry, however often it was sent.

use std::collections::{HashSet, VecDeque};

use super::{EntryId, Position, Reader, SpoolError};

/// The ids of the newest entries.
#[derive(Clone, Debug)]
pub struct Unique {
    known: HashSet<EntryId>,
    oldest_first: VecDeque<EntryId>,
    max: usize,
}

impl Unique {
    /// Remembers the newest `max` ids, at least one.
    pub fn remembering(max: usize) -> Self {
        Self { known: HashSet::new(), oldest_first: VecDeque::new(), max: max.max(1) }
    }

    /// Remembers what lies before `end`, from where the reader stands.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] when a file cannot be read; what is damaged has no id.
    pub fn meet(&mut self, reader: &mut Reader, end: Position) -> Result<(), SpoolError> {
        while reader.position() < end {
            match reader.next_entry() {
                Ok(Some(entry)) => _ = self.insert(entry.id),
                Ok(None) => break,
                Err(SpoolError::Damaged { .. } | SpoolError::Header { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this id is new; then it is remembered.
    pub fn insert(&mut self, id: EntryId) -> bool {
        let new = self.known.insert(id);
        if new {
            if self.oldest_first.len() == self.max
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.oldest_first.push_back(id);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_the_oldest_is_forgotten_first() {
        let mut unique = Unique::remembering(2);
        let seen: Vec<bool> =
            [1, 1, 2, 1, 3, 2, 1].map(|id| unique.insert(EntryId([id; 16]))).into_iter().collect();
        assert_eq!(seen, [true, false, true, false, true, false, true]);
    }
}
