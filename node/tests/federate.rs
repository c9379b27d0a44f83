//! A federation in one process over real server telemetry: the whole path from records to quality.
//!
//! Data: the Application Server Dataset (zhhlee/InterFusion, MIT), a folder a machine, from
//! `STARLING_ASD` or `../shared/data/asd` beside the workspace. Without it the test says that it is skipped.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is tests")]

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::id::TenantId;
use common::model::{Forecaster, Foresees, MetricName, Network, ParameterVector, Task};
use common::units::Timestamp;
use flate2::read::GzDecoder;
use ingest::record::{Origin, TelemetryRecord};
use node::detect::metrics::vus;
use node::detect::{Detector, History, Labelled, Plan, Preparation, evaluate};
use node::learn::{Training, train};

const STEP_MS: u64 = 5 * 60 * 1000;

struct Machine {
    name: String,
    training: Vec<TelemetryRecord>,
    test: Vec<TelemetryRecord>,
    labels: Vec<bool>,
}

fn asd() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/asd");
    let folder = std::env::var_os("STARLING_ASD").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
    }
    folder.is_dir().then_some(folder)
}

fn rows(file: &Path) -> (Vec<String>, Vec<Vec<f32>>) {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(file).unwrap()));
    let names = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(|value| value.parse().unwrap()).collect())
        .collect();
    (names, rows)
}

fn records(file: &Path, name: &str, first: usize) -> Vec<TelemetryRecord> {
    let (names, rows) = rows(file);
    let metrics: Arc<[MetricName]> =
        names.iter().map(|name| MetricName::try_from(name.as_str()).unwrap()).collect();
    (first as u64..)
        .zip(rows)
        .map(|(row, values)| TelemetryRecord {
            origin: Origin::new(TenantId::default(), name),
            at: Timestamp::from_millis(row * STEP_MS),
            metrics: Arc::clone(&metrics),
            values,
        })
        .collect()
}

fn machine(folder: &Path, name: &str) -> Machine {
    let folder = folder.join(name);
    let training = records(&folder.join("train.csv.gz"), name, 0);
    let test = records(&folder.join("test.csv.gz"), name, training.len());
    let labels = rows(&folder.join("test_label.csv.gz")).1.iter().map(|row| row[0] != 0.0).collect();
    Machine { name: name.to_owned(), training, test, labels }
}

fn plan(machine: &Machine, rounds: u32) -> Plan {
    let metrics = machine.training[0].metrics.to_vec().try_into().unwrap();
    let hidden = vec![64, 16, 64].try_into().unwrap();
    Plan {
        task: Forecaster {
            metrics,
            past_steps: 19,
            network: Network::default(),
            hidden,
            foresees: Foresees::default(),
        },
        rounds,
        training: Training { seed: 7, ..Training::default() },
        initial_seed: 7,
        preparation: Preparation::default(),
        tune_epochs: 5,
        usual_records: 8640,
        tune_share_min: 0.05,
        width: 20,
    }
}

fn go_on(_: node::learn::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Rounds of training on every machine and averaging by samples.
fn federate(plan: &Plan, histories: &[History]) -> ParameterVector {
    let mut model = Task::Forecaster(plan.task.clone()).initial(plan.initial_seed).unwrap();
    for round in 1..=plan.rounds {
        let mut sums = vec![0.0_f64; model.values().len()];
        let mut samples = 0;
        for (seed, history) in (plan.training.seed..).zip(histories) {
            let settings = Training { round, seed, ..plan.training };
            let trained = train(&plan.task, &model, &history.training, &settings, &mut go_on).unwrap();
            let weight = trained.samples as f64;
            sums.iter_mut()
                .zip(trained.parameters.values())
                .for_each(|(sum, value)| *sum += weight * f64::from(*value));
            samples += trained.samples;
        }
        let mean = |sum: f64| (sum / samples as f64) as f32;
        model.values_mut().iter_mut().zip(sums).for_each(|(value, sum)| *value = mean(sum));
    }
    model
}

fn prepare(plan: &Plan, machines: &[Machine]) -> Vec<History> {
    let one = |machine: &Machine| History::prepare(&plan.task, &machine.training, &plan.preparation).unwrap();
    machines.iter().map(one).collect()
}

#[test]
fn a_model_learned_together_finds_the_faults_of_real_servers() {
    let Some(folder) = asd() else { return };
    let machines: Vec<_> = (1..=8).map(|number| machine(&folder, &format!("omi-{number}"))).collect();
    let plan = plan(&machines[0], 20);
    let histories = prepare(&plan, &machines);
    let model = federate(&plan, &histories);
    let mut sum = 0.0;
    for (machine, history) in machines.iter().zip(&histories) {
        let detector = Detector::fit(&plan.task, model.clone(), history).unwrap();
        let verdicts = detector.score(&machine.test).unwrap();
        let scores: Vec<f64> = verdicts.iter().map(|verdict| verdict.unwrap().score).collect();
        let quality = vus(&machine.labels, &scores, plan.width).unwrap().pr;
        println!("{}: VUS-PR {quality:.3}", machine.name);
        sum += quality;
    }
    let mean = sum / machines.len() as f64;
    assert!(mean >= 0.55, "mean VUS-PR {mean}: chance is 0.06, a reference in PyTorch 0.61");
}

#[test]
fn the_same_seeds_and_telemetry_give_the_same_bits() {
    let Some(folder) = asd() else { return };
    let machines = ["omi-1", "omi-2"].map(|name| machine(&folder, name));
    let plan = plan(&machines[0], 2);
    let histories = prepare(&plan, &machines);
    assert_eq!(federate(&plan, &histories), federate(&plan, &histories));
}

#[test]
fn a_newcomer_with_little_history_gains_from_the_others() {
    let Some(folder) = asd() else { return };
    let mut machines = ["omi-5", "omi-7", "omi-8"].map(|name| machine(&folder, name));
    let newcomer = &mut machines[1];
    // 3 % of what the others have.
    newcomer.training.drain(..newcomer.training.len() - 260);
    let plan = plan(newcomer, 5);
    let model = federate(&plan, &prepare(&plan, &machines));
    let [_, Machine { training, test, labels, .. }, _] = &machines;
    let evaluation = evaluate(&plan, &Labelled { training, test, labels }, &model, &mut go_on).unwrap();
    println!("{evaluation:?}");
    assert_eq!(evaluation.tuned, evaluation.federated, "it has too little history to be tuned");
    assert!(evaluation.federated.vus_pr > evaluation.local.vus_pr, "{evaluation:?}");
}
