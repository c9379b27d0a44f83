//! `node smtp-bridge` in a folder of its own, and what it took in.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{Daemon, run, wait_until};

/// A bridge that may be started, killed and started again.
pub struct Bridge {
    folder: TempDir,
    /// Where it listens, over TCP and UDP.
    pub addresses: Vec<SocketAddr>,
}

/// An address of this host that was free a moment ago, over TCP and UDP; what takes it in between makes the test
/// fail at its start.
///
/// # Panics
///
/// When there is none.
pub fn free_address() -> SocketAddr {
    let both = || {
        let stream = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = stream.local_addr().ok()?;
        UdpSocket::bind(address).is_ok().then_some(address)
    };
    (0..100).find_map(|_| both()).expect("a port is free")
}

impl Bridge {
    /// A node's folder, with as many free addresses and what is added to its configuration.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new(addresses: usize, config: impl FnOnce(&Self) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let bridge = Self { folder, addresses: (0..addresses).map(|_| free_address()).collect() };
        let at = |name: &str| bridge.file(name).display().to_string();
        let made = run("coordinator", &["--dir", &at("coordinator"), "init"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let key = at("coordinator/operator.pub");
        let made = run("node", &["--dir", &at("node"), "init", "--operator", &key, "--tenant", "acme"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = bridge.file("node/node.toml");
        let text = fs::read_to_string(&path).expect("init wrote it");
        let config = config(&bridge);
        fs::write(&path, format!("{text}\n{config}\n")).expect("the configuration can be written");
        bridge
    }

    /// A file or folder of the test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the test.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).expect("the file can be written");
        path
    }

    /// What the program said since it was started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Starts it and waits until it listens everywhere.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(&self) -> Daemon {
        let mut bridge = Daemon::start("node", &["--dir", &self.dir(), "smtp-bridge"], &self.file("log"));
        // A line of its log tells the addresses of a protocol when all of them are bound.
        let listens = || {
            let log = self.log();
            self.addresses.iter().all(|address| log.contains(&address.to_string()))
        };
        wait_until(|| listens() || !bridge.is_running(), || self.log());
        assert!(bridge.is_running(), "{}", self.log());
        bridge
    }

    /// The records of everything that was accepted, while it runs or after.
    ///
    /// # Panics
    ///
    /// When they cannot be printed.
    pub fn records(&self) -> Vec<Value> {
        records(&self.file("node"))
    }

    /// How often each value of `metric` is among the records.
    pub fn values(&self, metric: &str) -> BTreeMap<u64, usize> {
        let mut values = BTreeMap::new();
        for value in self.records().iter().filter_map(|record| record["values"][metric].as_f64()) {
            *values.entry(value as u64).or_default() += 1;
        }
        values
    }

    /// The sum of each metric of a source, as [`sums_of`] has it.
    pub fn sums(&self, source: &str) -> BTreeMap<String, f64> {
        sums_of(&self.records(), source)
    }

    fn dir(&self) -> String {
        self.file("node").display().to_string()
    }
}

/// The records in the spool of a node or a bridge with this folder.
///
/// # Panics
///
/// When they cannot be printed.
pub fn records(folder: &Path) -> Vec<Value> {
    let output =
        run("node", &["--dir", &folder.display().to_string(), "spool", "records", "--format", "jsonl"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The sum of each metric of a source, without those that are 0; for counts, and what is told once.
pub fn sums_of(records: &[Value], source: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for record in records.iter().filter(|record| record["source"] == source) {
        let values = record["values"].as_object().into_iter().flatten();
        for (metric, value) in values {
            *sums.entry(metric.clone()).or_default() += value.as_f64().unwrap_or_default();
        }
    }
    sums.retain(|_, sum| *sum != 0.0);
    sums
}

/// The sums that are expected, to compare with [`sums_of`].
pub fn sums(expected: &[(&str, f64)]) -> BTreeMap<String, f64> {
    expected.iter().map(|(metric, sum)| ((*metric).to_owned(), *sum)).collect()
}
