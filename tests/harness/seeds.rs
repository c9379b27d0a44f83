//! Worlds by the thousand: a seed draws a fleet and what goes wrong in it. What breaks a promise is shrunk to the little
//! that is needed, and printed as a test to be pasted.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::crypto::Suite;
use common::units::Millis;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::world::{Bug, Fault, Network, STRATEGIES, Scene, World};

/// Virtual time in which a run ends, once everything that was to go wrong has: longer than all deadlines of its rounds.
const LIMIT: Millis = Millis(240_000);

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Microseconds of virtual time after the one before.
    pub after: u32,
    /// What.
    pub fault: Fault,
}

/// What a world told that kept every promise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Worlds.
    pub worlds: u64,
    /// Things that went wrong.
    pub faults: u64,
    /// Rounds committed.
    pub rounds: u64,
    /// Attempts at rounds that ended without a model.
    pub aborted: u64,
    /// Virtual time.
    pub time: Millis,
}

/// A world that broke a promise, as small as it could be made.
#[derive(Debug)]
pub struct Found {
    /// The seed that drew it.
    pub seed: u64,
    /// Which promise.
    pub why: String,
    /// The fleet.
    pub scene: Scene,
    /// What goes wrong in it.
    pub ops: Vec<Op>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, why, scene, ops } = self;
        writeln!(f, "seed {seed}: {why}\n\n#[test]\nfn seed_{seed}_keeps_its_promises() {{")?;
        writeln!(f, "    use Fault::*;\n    let scene = {scene:?};\n    let ops = [")?;
        ops.iter().try_for_each(|op| writeln!(f, "        {op:?},"))?;
        write!(f, "    ];\n    prove(scene, &ops, None).unwrap();\n}}")
    }
}

/// A world with this fleet in which this goes wrong keeps every promise.
///
/// # Errors
///
/// Which it breaks.
pub fn prove(scene: Scene, ops: &[Op], bug: Option<Bug>) -> Result<Tally, String> {
    let mut world = World::new(scene);
    if let Some(bug) = bug {
        world.put_in(bug);
    }
    let began = world.now;
    let mut at = 0;
    for op in ops {
        at += u64::from(op.after);
        world.plan(at, op.fault);
    }
    world.prove(Millis(at / 1_000 + LIMIT.0))?;
    Ok(Tally {
        worlds: 1,
        faults: ops.len() as u64,
        rounds: world.committed.len() as u64,
        aborted: world.aborted.len() as u64,
        time: world.now.since(began),
    })
}

/// The world that this seed draws keeps every promise.
///
/// # Errors
///
/// One that does not, made small: so many worlds are tried for that.
pub fn explore(seed: u64, bug: Option<Bug>, shrinks: u32) -> Result<Tally, Box<Found>> {
    let config = Config {
        cases: 1,
        max_shrink_iters: shrinks,
        failure_persistence: None,
        verbose: 0,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = std::cell::Cell::new(Tally::default());
    let proven = runner.run(&(scene(), vec(op(), 0..24)), |(scene, ops)| {
        tally.set(prove(scene, &ops, bug).map_err(TestCaseError::fail)?);
        Ok(())
    });
    match proven {
        Ok(()) => Ok(tally.get()),
        Err(TestError::Fail(why, (scene, ops))) => {
            Err(Box::new(Found { seed, why: why.to_string(), scene, ops }))
        }
        Err(TestError::Abort(why)) => panic!("proptest gave up: {why}"),
    }
}

/// The worlds of these seeds, on every core; `told` hears of each that kept every promise.
///
/// # Errors
///
/// Of those that do not, the one of the smallest seed that was looked at; none begins after one is found.
pub fn explore_all(
    seeds: Range<u64>,
    bug: Option<Bug>,
    shrinks: u32,
    told: impl Fn(Tally) + Sync,
) -> Result<(), Box<Found>> {
    let next = AtomicU64::new(seeds.start);
    let look = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            match explore(seed, bug, shrinks) {
                Ok(tally) => told(tally),
                Err(found) => {
                    next.store(seeds.end, Ordering::Relaxed);
                    return Some(found);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        running.into_iter().filter_map(|thread| thread.join().expect("no thread panics")).collect()
    });
    found.into_iter().min_by_key(|found| found.seed).map_or(Ok(()), Err)
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.faults += other.faults;
        self.rounds += other.rounds;
        self.aborted += other.aborted;
        self.time = Millis(self.time.0 + other.time.0);
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let parameters = prop_oneof![4 => Just(10_u32), 2 => Just(300), 1 => Just(20_000)];
    let over_selection = prop_oneof![Just(1.0), Just(1.5)];
    let staleness = prop_oneof![2 => Just(0_u32), 1 => 1..4_u32];
    let runs = prop_oneof![2 => Just(1_u8), 1 => 2_u8..4];
    let sizes = (any::<u32>(), 3_u16..7, parameters, 1_u32..4, staleness, runs);
    (sizes, 0.0..1.0, over_selection, 0..STRATEGIES.len(), network()).prop_map(
        |(
            (seed, nodes, parameters, rounds, staleness_max, runs),
            minimum,
            over_selection,
            strategy,
            network,
        )| {
            let goal = (f64::from(nodes) / over_selection) as u32;
            Scene {
                seed: u64::from(seed),
                nodes,
                parameters,
                rounds,
                minimum: 1 + (f64::from(goal) * minimum) as u32,
                over_selection,
                staleness_max,
                rack: None,
                strategy: STRATEGIES[strategy],
                drift: 0.015_625,
                attempts: 64,
                network,
                suite: Suite::X25519,
                runs,
                first: 0,
            }
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    (0_u32..20, 0_u32..10, 0_u32..5_000).prop_map(|(loss_percent, twice_percent, delay_micros)| Network {
        loss_percent,
        twice_percent,
        delay_micros,
    })
}

fn op() -> impl Strategy<Value = Op> {
    // A round of this fleet takes some tens of milliseconds, and what falls silent is noticed after seconds.
    let after = prop_oneof![4 => 0_u32..40_000, 1 => 0_u32..4_000_000];
    (after, fault()).prop_map(|(after, fault)| Op { after, fault })
}

fn fault() -> impl Strategy<Value = Fault> {
    let node = 0_u8..6;
    let down_ms = prop_oneof![3 => 0_u16..200, 1 => 0_u16..5_000];
    let length_ms = prop_oneof![3 => 0_u16..300, 1 => 0_u16..8_000];
    prop_oneof![
        3 => (0_u8..40, down_ms.clone())
            .prop_map(|(outputs, down_ms)| Fault::KillCoordinator { outputs, down_ms }),
        3 => (any::<u8>(), down_ms.clone()).prop_map(|(calls, down_ms)| Fault::CutPower { calls, down_ms }),
        1 => length_ms.clone().prop_map(|length_ms| Fault::FillDisk { length_ms }),
        3 => (node.clone(), 0_u8..20, down_ms)
            .prop_map(|(node, outputs, down_ms)| Fault::KillNode { node, outputs, down_ms }),
        2 => (node.clone(), length_ms.clone())
            .prop_map(|(node, length_ms)| Fault::StopNode { node, length_ms }),
        1 => (node.clone(), length_ms.clone())
            .prop_map(|(node, length_ms)| Fault::HangNode { node, length_ms }),
        2 => (1_u8..64, length_ms.clone()).prop_map(|(nodes, length_ms)| Fault::CutOff { nodes, length_ms }),
        2 => (network(), length_ms.clone())
            .prop_map(|(network, length_ms)| Fault::Disturb { network, length_ms }),
        1 => length_ms.clone().prop_map(|length_ms| Fault::Alter { length_ms }),
        4 => (any::<u16>(), node.clone()).prop_map(|(ago, node)| Fault::Replay { ago, node }),
        1 => (node, length_ms.clone()).prop_map(|(node, length_ms)| Fault::Poison { node, length_ms }),
        1 => (0_u8..6).prop_map(|node| Fault::Revoke { node }),
        1 => (0_u8..6).prop_map(|node| Fault::Rotate { node }),
        1 => Just(Fault::HandOver),
        1 => length_ms.prop_map(|length_ms| Fault::PauseRun { length_ms }),
    ]
}
