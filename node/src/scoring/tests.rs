use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use common::crypto::TenantKey;
use common::crypto::bulk::InputKey;
use common::id::{RunId, TenantId};
use common::model::{Forecaster, Foresees, MetricName, Network, Task};
use custody::Vault;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::config::NodeConfig;
use crate::detect::{Decision, Detector, History, Preparation};
use crate::drift::{Drifted, read};
use crate::kept::RunNote;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A node's folder whose telemetry is a file that grows by a row a minute.
struct Node {
    dir: tempfile::TempDir,
    rows: usize,
    config: NodeConfig,
}

impl Node {
    /// With so many healthy rows.
    fn new(rows: usize, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web-1.csv");
        fs::write(&path, "x,y\n").unwrap();
        let source = format!("[[source]]\nkind = \"csv\"\npath = {:?}", path.display().to_string());
        let sample = include_str!("../../samples/node.toml").replace("[[source]]\nkind = \"host\"", &source);
        let mut node =
            Self { dir, rows: 0, config: NodeConfig::parse(&format!("{sample}\n{more}")).unwrap() };
        node.grow(rows, false);
        node
    }

    fn grow(&mut self, rows: usize, faulty: bool) {
        let mut lines = String::new();
        for _ in 0..rows {
            // Twenty rows a turn.
            let phase = self.rows as f32 * std::f32::consts::PI / 10.0;
            let y = if faulty { 40.0 } else { 10.0 * phase.cos() };
            writeln!(lines, "{},{y}", phase.sin()).unwrap();
            self.rows += 1;
        }
        let path = self.dir.path().join("web-1.csv");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before + &lines).unwrap();
    }

    fn telemetry(&self) -> Mutex<Telemetry> {
        let mut telemetry = Telemetry::open(&self.config).unwrap();
        assert_eq!(telemetry.look(NOW), [""; 0]);
        Mutex::new(telemetry)
    }

    /// Scoring of a node that starts, by a model that was calibrated on these records.
    fn scoring(&self, detector: Detector) -> Scoring {
        let newest = Newest::default();
        newest.put(detector, note());
        self.scoring_for(newest, Drifted::default())
    }

    fn scoring_for(&self, newest: Newest, drifted: Drifted) -> Scoring {
        let drift = Watching::open(self.dir.path(), vault(), self.config.drift, drifted).unwrap();
        Scoring::open(self.dir.path(), self.config.alarms, newest, drift).unwrap()
    }

    /// Number, whether it lasts, and the row at which it was raised.
    fn alarms(&self) -> Vec<(u64, bool, u64)> {
        let (alarms, _) = alarms::known(self.dir.path()).unwrap();
        alarms.values().map(|alarm| (alarm.id, alarm.open, alarm.raised_ms.unwrap() / 60_000)).collect()
    }
}

fn vault() -> Arc<Vault> {
    let key = TenantKey::new(TenantId::of_name("a"), InputKey([7; 32]));
    Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(1)))
}

fn note() -> RunNote {
    let text = "{\"run\":\"r\",\"rounds\":1,\"epochs\":1,\"batch\":1,\"optimizer\":\"adam\",\"learning_rate\":0.1,\
                \"proximal\":0.0,\"stride\":1,\"seed\":1}";
    serde_json::from_str(text).unwrap()
}

fn detector(telemetry: &Mutex<Telemetry>) -> Detector {
    let metrics = ["x", "y"].map(|name| MetricName::try_from(name).unwrap()).to_vec().try_into().unwrap();
    let hidden = vec![16].try_into().unwrap();
    let task = Forecaster {
        metrics,
        past_steps: 6,
        network: Network::default(),
        hidden,
        foresees: Foresees::Record,
    };
    let mut telemetry = telemetry.lock().unwrap();
    let history = History::prepare(&task, telemetry.records().0, &Preparation::default()).unwrap();
    let parameters = Task::Forecaster(task.clone()).initial(1).unwrap();
    Detector::fit(&task, parameters, &history).unwrap()
}

/// The node's file grows, and is looked at.
fn go_on(node: &mut Node, scoring: &mut Scoring, telemetry: &Mutex<Telemetry>, rows: usize, faulty: bool) {
    node.grow(rows, faulty);
    telemetry.lock().unwrap().look(NOW);
    scoring.look(telemetry, NOW).unwrap();
}

#[test]
fn a_fault_is_an_alarm_with_its_metric_and_what_was_there_before_the_model_is_not_scored() {
    let mut node = Node::new(520, "");
    let telemetry = node.telemetry();
    let mut scoring = node.scoring(detector(&telemetry));
    scoring.look(&telemetry, NOW).unwrap();
    assert_eq!((scoring.scored, node.alarms()), (0, Vec::new()));
    go_on(&mut node, &mut scoring, &telemetry, 30, false);
    assert_eq!((scoring.scored, node.alarms()), (30, Vec::new()));
    go_on(&mut node, &mut scoring, &telemetry, 10, true);
    assert_eq!(node.alarms(), [(1, true, 552)]);
    go_on(&mut node, &mut scoring, &telemetry, 60, false);
    assert_eq!(node.alarms(), [(1, false, 552)]);
    let (alarms, _) = alarms::known(node.dir.path()).unwrap();
    let why = &alarms[&1].why;
    assert_eq!([&why.because[0], &why.attributed[0]].map(|part| &*part.metric), ["y"; 2]);
    assert!(why.because[0].share > 0.5 && alarms[&1].source.contains("web-1"), "{:?}", alarms[&1]);
}

#[test]
fn a_node_that_is_started_again_scores_each_record_once_and_goes_on_with_an_alarm() {
    let mut node = Node::new(400, "");
    let telemetry = node.telemetry();
    let detector = detector(&telemetry);
    let mut scoring = node.scoring(detector.clone());
    go_on(&mut node, &mut scoring, &telemetry, 50, false);
    go_on(&mut node, &mut scoring, &telemetry, 5, true);
    let before = node.alarms();
    assert!(matches!(before[..], [(1, true, _)]), "{before:?}");
    // Away while the fault goes on and ends.
    node.grow(5, true);
    node.grow(60, false);
    let telemetry = node.telemetry();
    let mut again = node.scoring(detector.clone());
    again.look(&telemetry, NOW).unwrap();
    assert_eq!(again.scored, 65);
    assert_eq!(node.alarms(), [(1, false, before[0].2)]);
    // And one that was never away says the same.
    let mut steady = Streams::new(detector).unwrap();
    let mut telemetry = telemetry.lock().unwrap();
    let last: Vec<Verdict> =
        telemetry.records().0.iter().map(|record| steady.score(record).unwrap()).collect();
    let streams = again.streams.as_ref().unwrap();
    let source = telemetry.records().0[0].source().to_owned();
    let sum: f64 = streams.reasons(&source).unwrap().first().iter().sum();
    let steady = last.last().unwrap().score().unwrap();
    assert!((sum - steady).abs() < 1e-9 * (1.0 + steady), "{sum} and {steady}");
}

#[test]
fn what_is_refuted_is_no_alarm_from_the_next_look_on() {
    let mut node = Node::new(400, "");
    let telemetry = node.telemetry();
    let mut scoring = node.scoring(detector(&telemetry));
    go_on(&mut node, &mut scoring, &telemetry, 20, false);
    let fault = |node: &mut Node, scoring: &mut Scoring| {
        go_on(node, scoring, &telemetry, 20, true);
        go_on(node, scoring, &telemetry, 80, false);
        node.alarms().len()
    };
    assert_eq!(fault(&mut node, &mut scoring), 1);
    let again = fault(&mut node, &mut scoring);
    assert_eq!(again, 2, "the same again is one too");
    for (id, ..) in node.alarms() {
        alarms::label(node.dir.path(), id, Decision::Refuted, NOW).unwrap();
    }
    assert_eq!(fault(&mut node, &mut scoring), 2);
    alarms::label(node.dir.path(), 1, Decision::Confirmed, NOW).unwrap();
    alarms::label(node.dir.path(), 2, Decision::Confirmed, NOW).unwrap();
    assert_eq!(fault(&mut node, &mut scoring), 3);
}

#[test]
fn records_of_stages_that_look_at_several_are_scored_once_when_nothing_can_change_them_any_more() {
    let mut node = Node::new(600, "[[stage]]\nkind = \"resample\"\nevery_s = 120\n");
    let telemetry = node.telemetry();
    let mut scoring = node.scoring(detector(&telemetry));
    scoring.look(&telemetry, NOW).unwrap();
    assert_eq!(scoring.scored, 0);
    for look in 1..=20 {
        node.grow(1, false);
        telemetry.lock().unwrap().look(NOW);
        scoring.look(&telemetry, NOW + Millis(look * STAGED.0)).unwrap();
    }
    // Of 310 cells the last may go on.
    let source = telemetry.lock().unwrap().records().0[0].source().to_owned();
    assert_eq!(scoring.state.source(&source).unwrap().scored_to_micros, 308 * 120_000_000);
    assert_eq!((scoring.scored, scoring.late), (10, 0));
}

#[test]
fn telemetry_that_drifts_is_told_once_also_over_a_restart_and_a_new_model_begins_anew() {
    // Blocks of two turns of the telemetry, 20 minutes each.
    let mut node = Node::new(1000, "");
    node.config.drift.block_s = 2400;
    let telemetry = node.telemetry();
    let (newest, drifted) = (Newest::default(), Drifted::default());
    let note = RunNote { run: RunId([7; 16]).to_string(), ..note() };
    newest.put(detector(&telemetry), note.clone());
    let mut scoring = node.scoring_for(newest.clone(), drifted.clone());
    go_on(&mut node, &mut scoring, &telemetry, 200, false);
    scoring.close(NOW).unwrap();
    let policy = node.config.drift;
    let standing = |node: &Node| read(node.dir.path(), &vault()).unwrap().unwrap().standing(&policy);
    assert_eq!((standing(&node).blocks, standing(&node).drift, drifted.run()), (29, None, None));
    go_on(&mut node, &mut scoring, &telemetry, 400, true);
    assert_eq!(drifted.run(), Some(RunId([7; 16])));
    let told = standing(&node).drift.unwrap();
    assert_eq!((told.because[0].metric.as_deref(), told.because[0].higher), (Some("y"), true));
    assert!(told.since_ms.abs_diff(1200 * 60_000) <= 2_400_000, "{told}");
    // Another process, with the same model, and then with the next one.
    let drifted = Drifted::default();
    newest.put(detector(&telemetry), note.clone());
    let mut again = node.scoring_for(newest.clone(), drifted.clone());
    again.look(&telemetry, NOW).unwrap();
    assert_eq!((drifted.run(), standing(&node).drift), (Some(RunId([7; 16])), Some(told)));
    newest.put(detector(&telemetry), RunNote { rounds: 2, ..note });
    again.look(&telemetry, NOW).unwrap();
    again.close(NOW).unwrap();
    assert_eq!((drifted.run(), standing(&node).drift), (None, None));
}

#[test]
fn a_record_that_is_late_or_far_ahead_is_not_scored_and_the_source_goes_on() {
    let node = Node::new(400, "");
    let telemetry = node.telemetry();
    let mut scoring = node.scoring(detector(&telemetry));
    scoring.look(&telemetry, NOW).unwrap();
    let last = telemetry.lock().unwrap().records().0.last().unwrap().clone();
    let at =
        |minutes: u64| TelemetryRecord { at: Timestamp(last.at.0 + minutes * 60_000_000), ..last.clone() };
    scoring.score_in_order(vec![at(2), at(1)]);
    assert_eq!((scoring.scored, scoring.late), (2, 0), "they came together");
    scoring.score_in_order(vec![at(1)]);
    assert_eq!((scoring.scored, scoring.late), (2, 1));
    scoring.score_in_order(vec![TelemetryRecord { at: NOW + Millis(90_000_000), ..last.clone() }, at(3)]);
    assert_eq!((scoring.scored, scoring.told.len()), (3, 1));
}

#[test]
fn a_source_without_a_metric_of_the_model_is_told_once_and_others_are_scored() {
    let mut node = Node::new(400, "");
    let telemetry = node.telemetry();
    let mut scoring = node.scoring(detector(&telemetry));
    scoring.look(&telemetry, NOW).unwrap();
    let last = telemetry.lock().unwrap().records().0.last().unwrap().clone();
    let strange = TelemetryRecord { metrics: last.metrics[..1].into(), values: vec![1.0], ..last };
    scoring.score_in_order(vec![strange.clone(), strange]);
    assert_eq!((scoring.scored, scoring.told.len()), (0, 1));
    go_on(&mut node, &mut scoring, &telemetry, 5, false);
    assert_eq!(scoring.scored, 5);
}
