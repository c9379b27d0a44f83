//! Alarms of a node that runs while the file that it reads grows.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use harness::programs::{Daemon, are_built, complaint, edit, fleet, run, run_config, wait_until};
use serde_json::Value;

use crate::{METRICS, domain};

/// What disturbs nothing: each metric with a rhythm of its own.
pub(crate) fn rhythm(row: usize, column: usize) -> f32 {
    ((row * (column + 3)) as f32 / 17.0).sin() * 10.0
}

/// A node, and the file that it reads.
pub(crate) struct Node {
    pub(crate) dir: PathBuf,
    pub(crate) rows: usize,
}

impl Node {
    /// Rows are added to the file; in a fault the second metric stands where it never was.
    pub(crate) fn grow(&mut self, rows: usize, faulty: bool) {
        let row = |row| {
            let value = |column| if faulty && column == 1 { 60.0 } else { rhythm(row, column) };
            format!("{},{},{}\n", value(0), value(1), value(2))
        };
        let lines = (self.rows..self.rows + rows).map(row).collect::<Vec<_>>().concat();
        self.rows += rows;
        let file = OpenOptions::new().append(true).open(self.dir.join("train.csv"));
        file.and_then(|mut file| file.write_all(lines.as_bytes())).expect("the file can grow");
    }

    fn ask(&self, words: &[&str]) -> std::process::Output {
        run("node", &[&["--dir", &self.dir.display().to_string()][..], words].concat())
    }

    pub(crate) fn alarms(&self, more: &[&str]) -> Vec<Value> {
        let listed = self.ask(&[&["alarms", "--format", "jsonl"][..], more].concat());
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let lines = String::from_utf8(listed.stdout).expect("JSON is text");
        lines.lines().map(|line| serde_json::from_str(line).expect("an alarm is a line of JSON")).collect()
    }
}

fn daemons(dir: &Path) -> Vec<Daemon> {
    let words = [("coordinator", "serve"), ("node-1", "run"), ("node-2", "run")];
    let start = |(name, word): (&str, &str)| {
        let program = name.trim_end_matches(|last: char| last == '-' || last.is_ascii_digit());
        let folder = dir.join(name).display().to_string();
        Daemon::start(program, &["--dir", &folder, word], &dir.join(format!("{name}.log")))
    };
    words.into_iter().map(start).collect()
}

#[test]
fn a_fault_in_a_file_that_grows_is_raised_explained_and_over_and_a_node_started_again_goes_on() {
    if !are_built() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fleet(dir, domain(23), &METRICS, rhythm);
    let mut node = Node { dir: dir.join("node-1"), rows: 400 };
    edit(&node.dir.join("node.toml"), |text| text.replace("poll_ms = 1_000", "poll_ms = 50"));
    let logs = || {
        let log = |name| fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
        ["coordinator", "node-1", "node-2"].map(log).join("\n")
    };
    let mut daemons = daemons(dir);
    let config = run_config(dir, 3, &METRICS).display().to_string();
    let coordinator = dir.join("coordinator").display().to_string();
    let start = ["--dir", &coordinator, "run", "start", "--config", &config];
    wait_until(|| run("coordinator", &start).status.success(), logs);
    let scores = || fs::read_to_string(dir.join("node-1.log")).unwrap().contains("records are scored by");
    wait_until(scores, logs);

    node.grow(60, false);
    node.grow(20, true);
    let raised = || node.alarms(&["--open"]).len() == 1;
    wait_until(raised, logs);
    let [alarm] = &node.alarms(&[])[..] else { panic!("one alarm: {}", logs()) };
    assert_eq!((&alarm["id"], &alarm["open"], &alarm["label"]), (&1.into(), &true.into(), &Value::Null));
    assert_eq!(alarm["because"][0]["metric"], METRICS[1], "{alarm}");
    assert!(alarm["peak"].as_f64() > alarm["threshold"].as_f64(), "{alarm}");
    // The first rows of the fault, a minute each.
    let since = alarm["since_ms"].as_u64().unwrap() / 60_000;
    assert!((460..464).contains(&since), "{alarm}");
    assert!(logs().contains("alarm 1 raised: "));

    // It goes on while the node is away, and is over when it is back.
    assert!(daemons.remove(1).stop(), "{}", logs());
    node.grow(5, true);
    node.grow(120, false);
    let again = ["--dir", &node.dir.display().to_string(), "run"].map(ToOwned::to_owned);
    let again = again.each_ref().map(String::as_str);
    daemons.push(Daemon::start("node", &again, &dir.join("node-1.log")));
    wait_until(|| node.alarms(&["--open"]).is_empty(), logs);
    let [alarm] = &node.alarms(&[])[..] else { panic!("one alarm: {}", logs()) };
    assert_eq!((&alarm["id"], &alarm["event"]), (&1.into(), &"recovered".into()));
    assert!((485..600).contains(&(alarm["recovered_ms"].as_u64().unwrap() / 60_000)), "{alarm}");

    // Somebody says that nothing was wrong, and the same again is no alarm.
    assert!(complaint(&node.ask(&["label", "9", "refuted"])).contains("there is no alarm 9"));
    assert!(node.ask(&["label", "1", "refuted"]).status.success());
    assert_eq!(node.alarms(&[])[0]["label"], "refuted");
    let text = String::from_utf8(node.ask(&["alarms"]).stdout).unwrap();
    assert!(text.starts_with("1 recovered ") && text.trim().ends_with("; refuted"), "{text}");
    assert!(daemons.pop().unwrap().stop(), "{}", logs());
}
