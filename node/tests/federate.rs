//! A federation in one process over real server telemetry: the whole path from records to quality.
//!
//! Data: the Application Server Dataset (zhhlee/InterFusion, MIT), a folder a machine, from
//! `STARLING_ASD` or `../shared/data/asd` beside the workspace. Without it the test says that it is skipped.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::model::{Forecaster, MetricName, ParameterVector, Task};
use common::units::Timestamp;
use flate2::read::GzDecoder;
use node::detect::{Evaluation, History, Labelled, Plan, Preparation, evaluate};
use node::learn::{Training, train};
use node::record::TelemetryRecord;

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
    let metrics: Arc<[MetricName]> = names
        .iter()
        .map(|name| MetricName::try_from(name.as_str()).unwrap())
        .collect();
    (first as u64..)
        .zip(rows)
        .map(|(row, values)| TelemetryRecord {
            source: name.into(),
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
    let labels = rows(&folder.join("test_label.csv.gz"))
        .1
        .iter()
        .map(|row| row[0] != 0.0)
        .collect();
    Machine {
        name: name.to_owned(),
        training,
        test,
        labels,
    }
}

fn plan(machine: &Machine, rounds: u32) -> Plan {
    let metrics = machine.training[0].metrics.to_vec().try_into().unwrap();
    let hidden = vec![64, 16, 64].try_into().unwrap();
    Plan {
        task: Forecaster {
            metrics,
            past_steps: 19,
            hidden,
        },
        rounds,
        training: Training {
            seed: 7,
            ..Training::default()
        },
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
    let mut model = Task::Forecaster(plan.task.clone())
        .initial(plan.initial_seed)
        .unwrap();
    for round in 1..=plan.rounds {
        let mut sums = vec![0.0_f64; model.values().len()];
        let mut samples = 0;
        for (seed, history) in (plan.training.seed..).zip(histories) {
            let settings = Training {
                round,
                seed,
                ..plan.training
            };
            let trained = train(&plan.task, &model, &history.training, &settings, &mut go_on).unwrap();
            let weight = trained.samples as f64;
            sums.iter_mut()
                .zip(trained.parameters.values())
                .for_each(|(sum, value)| *sum += weight * f64::from(*value));
            samples += trained.samples;
        }
        let mean = |sum: f64| (sum / samples as f64) as f32;
        model
            .values_mut()
            .iter_mut()
            .zip(sums)
            .for_each(|(value, sum)| *value = mean(sum));
    }
    model
}

fn run(names: &[&str], folder: &Path, rounds: u32) -> Vec<(String, Evaluation)> {
    let machines: Vec<_> = names.iter().map(|name| machine(folder, name)).collect();
    let plan = plan(&machines[0], rounds);
    let prepare =
        |machine: &Machine| History::prepare(&plan.task, &machine.training, &plan.preparation).unwrap();
    let histories: Vec<_> = machines.iter().map(prepare).collect();
    let model = federate(&plan, &histories);
    assert_eq!(
        model,
        federate(&plan, &histories),
        "the same seeds give the same bits"
    );
    let judge = |machine: &Machine| {
        let node = Labelled {
            training: &machine.training,
            test: &machine.test,
            labels: &machine.labels,
        };
        let evaluation = evaluate(&plan, &node, &model, &mut go_on).unwrap();
        println!("{}: {evaluation:?}", machine.name);
        (machine.name.clone(), evaluation)
    };
    machines.iter().map(judge).collect()
}

#[test]
fn a_model_learned_together_finds_the_faults_of_real_servers() {
    let Some(folder) = asd() else { return };
    let names: Vec<String> = (1..=8).map(|n| format!("omi-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = run(&names, &folder, 20);
    let mean = results
        .iter()
        .map(|(_, evaluation)| evaluation.federated.vus_pr)
        .sum::<f64>()
        / results.len() as f64;
    let tuned = results
        .iter()
        .map(|(_, evaluation)| evaluation.tuned.vus_pr)
        .sum::<f64>()
        / results.len() as f64;
    let local = results
        .iter()
        .map(|(_, evaluation)| evaluation.local.vus_pr)
        .sum::<f64>()
        / results.len() as f64;
    println!("mean local {local} federated {mean} tuned {tuned}");
    assert!(mean >= 0.55, "mean VUS-PR {mean}");
}
