use std::fs;
use std::path::Path;

use common::crypto::TenantKey;
use common::crypto::bulk::InputKey;
use common::id::{EpochId, RunId, TenantId};
use common::message::model::Optimizer;
use common::model::EVALUATION_ROUNDS;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::alarms::{Log, State};
use crate::config::NodeConfig;
use crate::detect::alarm::Change;
use crate::detect::alarm::samples::event;
use crate::detect::{Chosen, Decision};
use crate::learn::samples::forecaster;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// So many rows, a minute each.
fn write_rows(path: &Path, rows: usize) {
    let lines: Vec<String> = (0..rows).map(|row| format!("{},1\n", (row as f32).sin())).collect();
    fs::write(path, format!("x,y\n{}", lines.concat())).unwrap();
}

/// A trainer on a file of so many rows, and the name of its source.
fn trainer(dir: &Path, rows: usize) -> (TelemetryTrainer, String) {
    let path = dir.join("web-1.csv");
    write_rows(&path, rows);
    let source = format!("[[source]]\nkind = \"csv\"\npath = {:?}", path.display().to_string());
    let sample = include_str!("../../samples/node.toml").replace("[[source]]\nkind = \"host\"", &source);
    let config = NodeConfig::parse(&sample).unwrap();
    let mut telemetry = Telemetry::open(&config).unwrap();
    telemetry.look(NOW);
    let source = telemetry.records().0[0].source().to_owned();
    let key = TenantKey::new(TenantId::of_name("a"), InputKey([7; 32]));
    let vault = Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(1)));
    let telemetry = Arc::new(Mutex::new(telemetry));
    let kept = (telemetry, Newest::default());
    (TelemetryTrainer::new("n", (dir.to_owned(), vault), config.preparation, kept, || NOW), source)
}

/// The end of a run of twenty rounds; what the federation made says nothing here.
fn assignment(task: Forecaster) -> Assignment {
    let model = Arc::new(ParameterVector::zeros(Arc::new(Task::Forecaster(task.clone()).schema().unwrap())));
    let (task, flat) = (Task::Forecaster(task), Plan::flat(1, 20, 7));
    let plan = Plan { task, batch: 16, learning_rate: 0.01, optimizer: Optimizer::Adam, ..flat };
    let (run, round, epoch) = (RunId([1; 16]), RoundId(20), EpochId(1));
    Assignment { run, round, epoch, plan: Arc::new(plan), model, control: None }
}

#[test]
fn what_was_confirmed_is_a_gap_in_what_is_learned_and_what_is_refuted_is_learned() {
    let dir = tempfile::tempdir().unwrap();
    let (mut trainer, source) = trainer(dir.path(), 400);
    let task = forecaster(&["x", "y"], 6, &[4]);
    let mut learned = || -> (usize, Vec<[usize; 2]>) {
        let history = trainer.history(&task, 1).unwrap();
        let rows = |windows: &pipeline::Windows| windows.table().rows.len();
        let runs = history.training.runs().iter().map(|run| [run.start, run.end]).collect();
        (rows(&history.training) + rows(&history.validation), runs)
    };
    assert_eq!(learned(), (400, vec![[0, 360]]));
    let (mut log, _) = Log::open(dir.path()).unwrap();
    let rows = [200, 229].map(|row| row * 60_000);
    log.write(&mut State::default(), &[event(1, Change::Recovered, &source, rows, 2.0)]).unwrap();
    assert_eq!(learned().0, 400, "nobody has decided");
    alarms::label(dir.path(), 1, Decision::Confirmed, NOW).unwrap();
    assert_eq!(learned(), (370, vec![[0, 200], [200, 333]]));
    alarms::label(dir.path(), 1, Decision::Refuted, NOW).unwrap();
    assert_eq!(learned(), (400, vec![[0, 360]]));
}

#[test]
fn a_node_scores_by_a_model_of_its_own_when_that_foresees_better_and_keeps_the_federated_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut trainer, _) = trainer(dir.path(), 400);
    let task = forecaster(&["x", "y"], 6, &[8]);
    let assignment = assignment(task);
    let kept = |trainer: &TelemetryTrainer| {
        let kept = kept::read(dir.path(), &trainer.vault).unwrap();
        assert_eq!(kept.federated, *assignment.model);
        (kept.note.chosen, kept.detector)
    };
    trainer.keep(&assignment).unwrap();
    assert_eq!(kept(&trainer).0, Chosen::Federated);
    let stopped = trainer.choose(&assignment, &mut || ControlFlow::Break(()));
    assert_eq!((stopped.is_err(), kept(&trainer).0), (true, Chosen::Federated));
    let told = trainer.choose(&assignment, &mut || ControlFlow::Continue(())).unwrap().unwrap();
    let (chosen, detector) = kept(&trainer);
    assert_ne!(chosen, Chosen::Federated);
    assert!(told.contains(&chosen.to_string()), "{told}");
    assert_ne!(detector.parameters(), &*assignment.model);
    // Killed between the two steps that put a model in place of another.
    fs::rename(dir.path().join("model"), dir.path().join("model.old")).unwrap();
    assert_eq!(kept(&trainer), (chosen, detector.clone()));
    assert_eq!(trainer.newest.take().map(|(newest, _)| newest), Some(detector));
}

#[test]
fn a_node_measures_anew_while_its_records_grow_also_after_a_restart_until_it_has_settled() {
    let dir = tempfile::tempdir().unwrap();
    let (mut trainer, _) = trainer(dir.path(), 60);
    trainer.preparation.newcomer.settled_records = 100;
    trainer.keep(&assignment(forecaster(&["x", "y"], 6, &[8]))).unwrap();
    let kept = |trainer: &TelemetryTrainer| kept::read(dir.path(), &trainer.vault).unwrap();
    let grow = |trainer: &TelemetryTrainer, rows: usize| {
        write_rows(&dir.path().join("web-1.csv"), rows);
        trainer.telemetry.lock().unwrap().look(NOW);
    };
    let first = kept(&trainer);
    assert_eq!((first.note.records, trainer.idle()), (60, Ok(None)));
    grow(&trainer, 74);
    assert_eq!(trainer.idle(), Ok(None), "not by a quarter");
    grow(&trainer, 75);
    assert_eq!(trainer.idle().unwrap().unwrap(), "this node measures anew, by 75 records of its own");
    let anew = kept(&trainer);
    assert_eq!((anew.note.records, anew.note.rounds, &anew.federated), (75, 20, &first.federated));
    assert_ne!(anew.detector, first.detector);
    assert_eq!(trainer.newest.take().map(|(newest, _)| newest), Some(anew.detector.clone()));
    assert_eq!(trainer.idle(), Ok(None));
    trainer.growing = None;
    trainer = trainer.going_on(anew);
    grow(&trainer, 100);
    assert!(trainer.idle().unwrap().is_some());
    grow(&trainer, 400);
    assert_eq!((trainer.idle(), kept(&trainer).note.records), (Ok(None), 100));
}

#[test]
fn a_newcomer_that_has_an_evaluated_model_already_goes_on_with_it_and_measures_by_what_all_know() {
    let dir = tempfile::tempdir().unwrap();
    let (mut trainer, _) = trainer(dir.path(), 100);
    let task = forecaster(&["x", "y"], 6, &[8]);
    let ended = assignment(task.clone());
    trainer.keep(&ended).unwrap();
    let evaluation = Task::Evaluation(task);
    let model = Arc::new(evaluation.initial(1).unwrap());
    let nothing = vec![0.0; model.values().len()];
    let model = ParameterVector::new(Arc::clone(model.schema()), nothing).unwrap();
    let plan = Arc::new(Plan { task: evaluation, ..(*ended.plan).clone() });
    let (run, mut model) = (RunId([2; 16]), Arc::new(model));
    for round in 1..=EVALUATION_ROUNDS {
        let assignment =
            Assignment { run, round: RoundId(round), plan: Arc::clone(&plan), model, ..ended.clone() };
        model = Arc::new(trainer.train(&assignment, &mut |_| ControlFlow::Continue(())).unwrap().parameters);
    }
    let evaluated = Assignment { run, plan, model, ..ended.clone() };
    let told = trainer.keep(&evaluated).unwrap();
    assert!(told.contains("with 100 records this node measures by what all nodes know"), "{told}");
    let kept = kept::read(dir.path(), &trainer.vault).unwrap();
    assert_eq!((kept.note.run, kept.note.rounds), (ended.run.to_string(), 20), "it can be compared still");
    assert!(kept.known.is_some());
    let profile = serde_json::to_string(&kept.detector.profile()).unwrap();
    assert!(profile.contains("excess_max"), "{profile}");
    // With a history of its own it would not look at what all know.
    trainer.preparation.newcomer.known_records = 100;
    assert!(trainer.keep(&evaluated).unwrap().contains("goes on scoring by its own history"));
}
