use common::id::TenantId;
use common::model::Task;
use ingest::record::Origin;
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::detect::{History, Preparation};
use crate::learn::samples::{forecaster, names};

/// Seconds of a block, and its records.
const BLOCK_S: u64 = 800;
const ROWS: u64 = 8;

fn policy(false_alarm_rate: f64) -> DriftPolicy {
    DriftPolicy { false_alarm_rate, block_s: BLOCK_S }
}

fn model() -> Model {
    Model { run: "r".to_owned(), rounds: 1, chosen: Chosen::Federated, records: 9 }
}

/// What a block is about: how far the first metric is off, how much the second varies, and how high scores are.
#[derive(Clone, Copy)]
struct Usual {
    level: f32,
    spread: f32,
    score: f64,
}

const USUAL: Usual = Usual { level: 0.0, spread: 1.0, score: 0.2 };

/// The rows of a block: two metrics, and one that never changes.
fn rows(random: &mut ChaCha20Rng, usual: Usual) -> Vec<([f32; 3], f64)> {
    let off: f32 = random.random_range(-1.0..1.0);
    let row = |_| {
        let spread = usual.spread * random.random_range(-1.0..1.0);
        ([usual.level + off, spread, 0.5], usual.score * random.random_range(0.5..1.5))
    };
    (0..ROWS).map(row).collect()
}

/// A node that watches for drift, and the time that has come.
struct Node {
    watch: DriftWatch,
    random: ChaCha20Rng,
    block: u64,
}

impl Node {
    /// Whose history has so many blocks.
    fn after(blocks: u64, seed: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let metrics = names(&["x", "y", "still"]);
        let origin = Origin::new(TenantId::default(), "a");
        let mut records = Vec::new();
        for second in
            (0..blocks).flat_map(|block| (0..ROWS).map(move |row| block * BLOCK_S + row * BLOCK_S / ROWS))
        {
            let at = Timestamp::from_millis(second * 1000);
            records.push(TelemetryRecord {
                origin: origin.clone(),
                at,
                metrics: metrics.clone(),
                values: vec![0.0; 3],
            });
        }
        for block in records.chunks_mut(ROWS as usize) {
            for (record, (values, _)) in block.iter_mut().zip(rows(&mut random, USUAL)) {
                record.values = values.to_vec();
            }
        }
        let task = forecaster(&["x", "y", "still"], 2, &[2]);
        // Scaled as it is.
        let still = [-1.0, 1.0].map(|value| TelemetryRecord { values: vec![value; 3], ..records[0].clone() });
        let fitted: Vec<_> = (0..40).map(|row| at_second(&still[row % 2], row as u64)).collect();
        let history = History::prepare(&task, &fitted, &Preparation::default()).unwrap();
        let parameters = Task::Forecaster(task.clone()).initial(1).unwrap();
        let detector = Detector::fit(&task, parameters, &history).unwrap();
        let records: Vec<&TelemetryRecord> = records.iter().collect();
        let watch = DriftWatch::begin(model(), &detector, &policy(0.01), [&records[..]].into_iter());
        Self { watch, random, block: blocks }
    }

    /// One block goes by.
    fn live(&mut self, usual: Usual, policy: &DriftPolicy) -> Option<Drift> {
        let rows = rows(&mut self.random, usual);
        let mut drift = None;
        for (row, (values, score)) in (0..).zip(&rows) {
            let at = Timestamp::from_millis((self.block * BLOCK_S + row * BLOCK_S / ROWS) * 1000);
            let seen = Seen { at, row: values, score: Some(*score) };
            drift = drift.or(self.watch.observe(seen, policy));
        }
        self.block += 1;
        drift
    }

    /// The blocks until drift is told, and what of it.
    fn until_told(&mut self, most: u32, usual: Usual, policy: &DriftPolicy) -> Option<(u32, Drift)> {
        (0..most).find_map(|block| Some((block, self.live(usual, policy)?)))
    }
}

fn at_second(record: &TelemetryRecord, second: u64) -> TelemetryRecord {
    TelemetryRecord { at: Timestamp::from_millis(second * 1000), ..record.clone() }
}

#[test]
fn exchangeable_blocks_are_told_to_drift_no_more_often_than_the_rate_says() {
    let (nodes, rate) = (300, 0.2);
    let told =
        (0..nodes).filter(|seed| Node::after(20, *seed).until_told(100, USUAL, &policy(rate)).is_some());
    let expected = nodes as f64 * rate;
    // Three deviations of a binomial count.
    assert!((told.count() as f64) < expected + 3.0 * (expected * (1.0 - rate)).sqrt());
}

#[test]
fn a_metric_that_moves_varies_more_or_is_foreseen_worse_is_told_by_name_with_its_first_block() {
    let cases = [
        (Usual { level: 2.0, ..USUAL }, (Number::Level, Some("x"), true)),
        (Usual { level: -2.0, ..USUAL }, (Number::Level, Some("x"), false)),
        (Usual { spread: 2.0, ..USUAL }, (Number::Spread, Some("y"), true)),
        (Usual { score: 1.0, ..USUAL }, (Number::Score, None, true)),
    ];
    for (seed, (changed, expected)) in (0..).zip(cases) {
        let mut node = Node::after(20, seed);
        assert_eq!(node.until_told(BLOCKS_MIN as u32 + 2, USUAL, &policy(0.01)), None);
        let changed_ms = node.block * BLOCK_S * 1000;
        let (blocks, drift) = node.until_told(12, changed, &policy(0.01)).expect("it is told");
        let Moved { number, metric, higher, evidence, enough } = &drift.because[0];
        assert_eq!((*number, metric.as_deref(), *higher), expected);
        assert!(blocks <= 9 && evidence >= enough, "{blocks} {drift}");
        // Luck before the change may count.
        assert!(drift.since_ms.abs_diff(changed_ms) <= 10 * BLOCK_S * 1000, "{changed_ms}: {drift}");
        assert_eq!(node.until_told(12, changed, &policy(0.01)), None, "it is told once");
        assert_eq!(node.watch.drift(), Some(&drift));
    }
}

#[test]
fn with_too_few_blocks_nothing_is_said_and_they_become_enough_as_they_come() {
    let mut node = Node::after(4, 1);
    let policy = policy(0.01);
    let standing = node.watch.standing(&policy);
    assert_eq!(
        (standing.blocks, standing.inputs_watched, standing.score_watched),
        (3, 0, false),
        "the last goes on"
    );
    assert_eq!(
        standing.to_string(),
        "drift: 3 whole blocks of 800 s are known; with fewer than 14 nothing is said"
    );
    assert_eq!(node.until_told(BLOCKS_MIN as u32 + 1, USUAL, &policy), None);
    let standing = node.watch.standing(&policy);
    assert!(standing.inputs_watched + standing.inputs_wandering == 6 && standing.score_watched, "{standing}");
    assert!(node.until_told(20, Usual { level: 3.0, spread: 3.0, score: 2.0 }, &policy).is_some());
}

#[test]
fn half_a_block_does_not_count_and_neither_does_what_comes_after_its_block() {
    let mut node = Node::after(20, 1);
    let policy = policy(0.01);
    let (before, row) = (node.watch.blocks, [4.0, 4.0, 4.0]);
    let mut see = |second: u64| {
        let seen =
            Seen { at: Timestamp::from_millis((20 * BLOCK_S + second) * 1000), row: &row, score: None };
        node.watch.observe(seen, &policy);
        node.watch.blocks
    };
    assert_eq!(see(0), before + 1, "the last one of the history is whole");
    assert_eq!([BLOCK_S / 2, BLOCK_S, 10].map(&mut see), [before + 1; 3], "half of one, and the next one");
    for part in 1..ROWS {
        see(BLOCK_S + part * BLOCK_S / ROWS);
    }
    assert_eq!(see(2 * BLOCK_S), before + 2);
}

#[test]
fn another_model_or_length_of_blocks_begins_anew() {
    let watch = Node::after(20, 1).watch;
    assert!(watch.is_of(&model(), &policy(0.3)));
    assert!(!watch.is_of(&model(), &DriftPolicy { block_s: BLOCK_S + 1, ..policy(0.01) }));
    assert!(!watch.is_of(&Model { rounds: 2, ..model() }, &policy(0.01)));
    assert!(!watch.is_of(&Model { chosen: Chosen::Tuned, ..model() }, &policy(0.01)));
    assert!(!watch.is_of(&Model { records: 12, ..model() }, &policy(0.01)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_node_that_is_started_again_says_what_one_says_that_was_never_away(
        seed in 0_u64..1000,
        history in 0_u64..80,
        away in 0_u32..40,
        level in prop::sample::select(vec![0.0_f32, 0.7, 3.0]),
    ) {
        let policy = policy(0.05);
        let mut steady = Node::after(history.max(1), seed);
        let before = steady.until_told(away, USUAL, &policy);
        let text = serde_json::to_string(&steady.watch).unwrap();
        let watch: DriftWatch = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&watch, &steady.watch);
        let mut again = Node { watch, random: steady.random.clone(), ..steady };
        let changed = Usual { level, ..USUAL };
        let told = [&mut steady, &mut again].map(|node| node.until_told(30, changed, &policy));
        prop_assert_eq!(&told[0], &told[1]);
        prop_assert!(before.is_none() || told[0].is_none());
    }
}
