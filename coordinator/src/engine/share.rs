//! How runs share what all transfers together may have on their way: the receive buffers are there once.

use std::collections::BTreeMap;

use common::id::RunId;

use super::active::Active;
use crate::config::Transfer;

/// What one run may have on its way while others send and receive too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Chunks of its model without a receipt, to each node.
    pub(super) down_chunks: u32,
    /// Of its updates.
    pub(super) up: Transfer,
}

impl Share {
    /// The part of a run: equal to that of each other one that sends, or receives, now.
    pub(super) fn of(run: RunId, runs: &BTreeMap<RunId, Active>, all: Transfer) -> Self {
        let with_others = |busy: fn(&Active) -> bool| {
            1 + runs.iter().filter(|(id, active)| **id != run && busy(active)).count() as u32
        };
        Self::one_of(with_others(Active::is_sending), with_others(Active::is_receiving), all)
    }

    fn one_of(senders: u32, receivers: u32, all: Transfer) -> Self {
        let Transfer { window_chunks, uploads_bytes } = all;
        // Without a chunk a transfer never goes on.
        let chunks = |runs: u32| (window_chunks / runs).max(1);
        let up = Transfer {
            window_chunks: chunks(receivers),
            uploads_bytes: uploads_bytes / u64::from(receivers),
        };
        Self { down_chunks: chunks(senders), up }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_share_windows_and_bytes_and_each_has_a_chunk_at_least() {
        let all = Transfer { window_chunks: 32, uploads_bytes: 12_000_000 };
        let alone = Share::one_of(1, 1, all);
        assert_eq!((alone.down_chunks, alone.up), (32, all));
        let shared = Share::one_of(3, 8, all);
        let up = Transfer { window_chunks: 4, uploads_bytes: 1_500_000 };
        assert_eq!((shared.down_chunks, shared.up), (10, up));
        assert_eq!(Share::one_of(64, 64, all).down_chunks, 1);
    }
}
