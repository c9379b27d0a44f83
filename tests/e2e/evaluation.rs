//! A model that is evaluated on all nodes, and a node without a history that measures by what they know.

use std::path::Path;

use coordinator::view::ExplainedRound;
use coordinator::view::model::ModelView;
use harness::programs::{Daemon, are_built, edit, fleet_of, run, run_config, wait_until};

use crate::alarms::{Node, rhythm};
use crate::{METRICS, domain};

/// Of the 400 rows of a node, the last tenth is kept from training.
const TRAINING: usize = 360;

/// A coordinator's folder, and what its programs say.
struct Site<'d>(&'d Path);

impl Site<'_> {
    fn logs(&self) -> String {
        let log =
            |name: &str| std::fs::read_to_string(self.0.join(format!("{name}.log"))).unwrap_or_default();
        ["coordinator", "node-1", "node-2", "node-3"].map(log).join("\n")
    }

    fn daemon(&self, name: &str, word: &str) -> Daemon {
        let program = name.split('-').next().unwrap_or(name);
        let folder = self.0.join(name).display().to_string();
        Daemon::start(program, &["--dir", &folder, word], &self.0.join(format!("{name}.log")))
    }

    fn ask(&self, words: &[&str]) -> Option<String> {
        let folder = self.0.join("coordinator").display().to_string();
        let done = run("coordinator", &[&["--dir", &folder], words].concat());
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// Starts a run and waits for its end; its id.
    fn run(&self, words: &[&str]) -> String {
        let mut started = None;
        wait_until(
            || {
                started = self.ask(&[&["run", "start"], words].concat());
                started.is_some()
            },
            || self.logs(),
        );
        let id = started.expect("it was started");
        assert!(self.ask(&["run", "wait", &id, "--timeout", "60s"]).is_some(), "{}", self.logs());
        id
    }
}

#[test]
fn a_node_without_a_history_finds_a_fault_by_what_the_others_know() {
    if !are_built() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let site = Site(folder.path());
    fleet_of(&["node-1", "node-2", "node-3"], site.0, domain(24), &METRICS, rhythm);
    let mut newcomer = Node { dir: site.0.join("node-3"), rows: 12 };
    edit(&newcomer.dir.join("node.toml"), |text| text.replace("poll_ms = 1_000", "poll_ms = 50"));
    edit(&newcomer.dir.join("train.csv"), |text| {
        text.split_inclusive('\n').take(1 + newcomer.rows).collect()
    });
    let _daemons = [("coordinator", "serve"), ("node-1", "run"), ("node-2", "run")]
        .map(|(name, word)| site.daemon(name, word));
    let config = run_config(site.0, 3, &METRICS).display().to_string();
    let trained = site.run(&["--config", &config]);
    let evaluated = site.run(&["--config", &config, "--evaluate", &trained]);

    // Both nodes have the same telemetry, so that is what all of it is like.
    let shown = site.ask(&["model", "show", &evaluated, "--format", "json"]).unwrap();
    let shown: ModelView = serde_json::from_str(&shown).unwrap();
    let known = shown.file.unwrap().evaluated.unwrap();
    for (column, metric) in known.metrics.iter().enumerate() {
        let values = || (0..TRAINING).map(|row| f64::from(rhythm(row, column)));
        let mean = values().sum::<f64>() / TRAINING as f64;
        let sd = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / TRAINING as f64).sqrt();
        assert_eq!(metric.metric, METRICS[column]);
        assert!((metric.known - 1.0).abs() < 1e-6, "{metric:?}");
        assert!((metric.mean.unwrap() - mean).abs() < 1e-4 && (metric.sd.unwrap() - sd).abs() < 1e-4);
        assert!(metric.error_sd.unwrap() > 0.0);
    }
    assert!(known.scores.is_sorted_by_key(|known| known.score) && known.scores.len() == 5, "{known:?}");
    // How wrong the model is on each node, and on all.
    let explained = site.ask(&["run", "explain", &evaluated, "6", "--format", "json"]).unwrap();
    let explained: ExplainedRound = serde_json::from_str(&explained).unwrap();
    let [attempt] = &explained.attempts[..] else { panic!("{explained:?}") };
    let losses: Vec<f64> =
        attempt.cohort.values().filter_map(|node| Some(f64::from(node.update.as_ref()?.loss))).collect();
    let [first, second] = losses[..] else { panic!("{attempt:?}") };
    assert!((first - second).abs() < 1e-6 && first > 0.0, "{losses:?}");

    let _late = site.daemon("node-3", "run");
    wait_until(
        || site.logs().contains("with 12 records this node measures by what all nodes know"),
        || site.logs(),
    );
    wait_until(|| site.logs().matches("records are scored by").count() == 3, || site.logs());
    newcomer.grow(60, false);
    newcomer.grow(20, true);
    wait_until(|| newcomer.alarms(&["--open"]).len() == 1, || site.logs());
    let [alarm] = &newcomer.alarms(&[])[..] else { panic!("one alarm: {}", site.logs()) };
    assert_eq!(alarm["because"][0]["metric"], METRICS[1], "{alarm}");
    let since = alarm["since_ms"].as_u64().unwrap() / 60_000;
    assert!((72..76).contains(&since), "{alarm}");
    // With more records it measures by them too, without another run.
    let anew = format!("this node measures anew, by {} records of its own", newcomer.rows);
    wait_until(|| site.logs().contains(&anew), || site.logs());
    wait_until(|| site.logs().matches("records are scored by").count() > 3, || site.logs());
}
