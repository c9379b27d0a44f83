//! How many may be connected: all together, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of one listener.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    max: usize,
    per_source_max: usize,
}

/// One connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Connections,
    source: IpAddr,
}

impl Connections {
    pub(super) fn new(max: usize, per_source_max: usize) -> Self {
        Self { counts: Arc::default(), max, per_source_max }
    }

    /// One more connection from `source`, if there may be one.
    pub(super) fn admit(&self, source: IpAddr) -> Option<Connection> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.get(&source).copied().unwrap_or_default();
        if all >= self.max || own >= self.per_source_max {
            return None;
        }
        counts.insert(source, own + 1);
        Some(Connection { connections: self.clone(), source })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_source_and_all_together_have_their_limit_and_get_it_back() {
        let source = |number| IpAddr::V4(Ipv4Addr::new(192, 0, 2, number));
        let connections = Connections::new(3, 2);
        let first = connections.admit(source(1)).unwrap();
        let _second = connections.admit(source(1)).unwrap();
        assert!(connections.admit(source(1)).is_none(), "two are the limit of a source");
        let _third = connections.admit(source(2)).unwrap();
        assert!(connections.admit(source(3)).is_none(), "three are the limit of all");
        drop(first);
        assert!(connections.admit(source(3)).is_some());
    }
}
