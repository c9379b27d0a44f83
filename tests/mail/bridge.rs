//! `node smtp-bridge` in a folder of its own, and what it took in.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use harness::programs::{Daemon, run};
use tempfile::TempDir;

/// A bridge that may be started, killed and started again.
pub(crate) struct Bridge {
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Bridge {
    /// A folder whose bridge trusts this host and takes mail to `telemetry@`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; what takes it in between makes the test fail at its start.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let made = run("coordinator", &["--dir", &at("coordinator"), "init"]);
        assert!(made.status.success());
        let key = at("coordinator/identity.pub");
        let made = run("node", &["--dir", &at("node"), "init", "--coordinator", &key, "--tenant", "acme"]);
        assert!(made.status.success());
        let config = folder.path().join("node/node.toml");
        let smtp = format!(
            "\n[smtp]\nlisten = [\"{address}\"]\nhostname = \"bridge.example.com\"\n\
             trusted_networks = [\"127.0.0.0/8\"]\nmailboxes = {{ telemetry = \"acme\" }}\nmails_per_minute = 1000000\n"
        );
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}{smtp}")).unwrap();
        Self { folder, address }
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&self) -> Daemon {
        let dir = self.node().display().to_string();
        let log = self.folder.path().join("log");
        let bridge = Daemon::start("node", &["--dir", &dir, "smtp-bridge"], &log);
        let listens = |_: &i32| TcpStream::connect(self.address).is_ok();
        assert!((0..2_000_000).any(|attempt| listens(&attempt)), "{}", self.log());
        bridge
    }

    /// How often each value of `metric` is among the records, and how many records there are.
    pub(crate) fn values(&self, metric: &str) -> (BTreeMap<u64, usize>, usize) {
        let records = self.records();
        let mut values = BTreeMap::new();
        for record in &records {
            if let Some(value) = record["values"][metric].as_f64() {
                *values.entry(value as u64).or_default() += 1;
            }
        }
        (values, records.len())
    }

    /// The records of everything that was accepted.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let dir = self.node().display().to_string();
        let output = run("node", &["--dir", &dir, "spool", "records", "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The file of this test's folder with this name.
pub(crate) fn script(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}
