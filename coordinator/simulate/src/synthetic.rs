//! Examples out of a seed, where no data are at hand: enough to see how fast a run is, and that it learns at all.

use common::model::{Classifier, Forecaster};
use common::units::Timestamp;
use node::learn::{LabelledSet, LearnError};
use pipeline::{Row, Table, Window, Windows, window};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::StandardNormal;

/// How far an example lies from the centre of its class, where centres are one apart in each value.
const SPREAD: f32 = 1.0;

/// Examples around a centre a class, the classes in turn.
///
/// # Errors
///
/// [`LearnError::Labels`] when they are too many.
pub fn labelled(task: &Classifier, count: usize, seed: u64) -> Result<LabelledSet, LearnError> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let (inputs, classes) = (task.inputs as usize, task.classes as usize);
    let mut normal = || random.sample::<f32, _>(StandardNormal);
    let centres: Vec<f32> = (0..inputs * classes).map(|_| normal()).collect();
    let labels: Vec<u32> = (0..count).map(|index| (index % classes) as u32).collect();
    let example = |label: &u32| centres[*label as usize * inputs..][..inputs].iter();
    let values = labels.iter().flat_map(example).map(|centre| centre + SPREAD * normal()).collect();
    LabelledSet::new(task.inputs, task.classes, values, labels)
}

/// So many windows of one node: each metric swings in a rhythm of its own, with noise.
pub fn windows(task: &Forecaster, count: usize, seed: u64, node: usize) -> Windows {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    random.set_stream(node as u64 + 1);
    let (columns, past_steps) = (task.metrics.len(), task.past_steps);
    let rhythms: Vec<[f32; 2]> =
        (0..columns).map(|_| [0.1 + random.random::<f32>(), random.random::<f32>() * 6.0]).collect();
    let rows = count + past_steps as usize;
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for [rate, phase] in &rhythms {
            values.push((row as f32 * rate + phase).sin() + 0.1 * random.sample::<f32, _>(StandardNormal));
        }
    }
    let at = |record: usize| Row {
        source: 0,
        at: Timestamp::from_millis(record as u64 * 1000),
        record,
        down: false,
    };
    let table = Table { columns, rows: (0..rows).map(at).collect(), values };
    window(table, &Window { past_steps, stride: 1, gap_steps: 3 })
}

#[cfg(test)]
mod tests {
    use common::model::{Foresees, Network};

    use super::*;

    #[test]
    fn examples_are_as_many_as_wanted_and_depend_on_the_seed_alone() {
        let task = Classifier { inputs: 4, hidden: vec![3].try_into().unwrap(), classes: 3 };
        let set = labelled(&task, 10, 7).unwrap();
        assert_eq!(set.labels(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(set, labelled(&task, 10, 7).unwrap());
        assert_ne!(set, labelled(&task, 10, 8).unwrap());
        let metrics = ["a", "b"].map(|name| name.try_into().unwrap()).to_vec().try_into().unwrap();
        let task = Forecaster {
            metrics,
            past_steps: 3,
            network: Network::default(),
            hidden: vec![].try_into().unwrap(),
            foresees: Foresees::default(),
        };
        assert_eq!(windows(&task, 20, 7, 0).count(), 20);
        assert_eq!(windows(&task, 20, 7, 0), windows(&task, 20, 7, 0));
        assert_ne!(windows(&task, 20, 7, 0), windows(&task, 20, 7, 1));
    }
}
