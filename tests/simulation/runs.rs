//! Several runs at once, each as if it were alone.

use common::id::ModelHash;
use coordinator::engine::End;
use harness::world::{Fault, Network, Scene, World};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{LIMIT, SCENE};

/// Runs at once.
const RUNS: u8 = 8;

/// Worlds with faults.
const WORLDS: u64 = 24;

/// Things that go wrong in each.
const FAULTS: u64 = 12;

/// Every cohort is the whole fleet, so that no fault changes what a run makes.
const ALL: Scene = Scene { runs: RUNS, parameters: 300, attempts: 64, ..SCENE };

/// The models in which the runs ended, by their numbers.
fn results(world: &World, scene: &Scene) -> Vec<ModelHash> {
    let result = |run| match &world.ends[&run] {
        End::Finished(model) => *model,
        other => panic!("{other:?}: {:#?}", world.notes),
    };
    scene.runs().map(result).collect()
}

/// The model of each run that has the fleet and the network for itself.
fn alone() -> Vec<ModelHash> {
    let alone = |first| {
        let scene = Scene { first, runs: 1, ..ALL };
        let mut world = World::new(scene);
        world.prove(LIMIT).expect("nothing goes wrong");
        results(&world, &scene)[0]
    };
    (0..RUNS).map(alone).collect()
}

#[test]
fn eight_runs_at_once_end_in_the_models_of_the_same_runs_alone_whatever_goes_wrong() {
    let alone = alone();
    let mut different = alone.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), usize::from(RUNS), "each run has a model of its own");
    for seed in 0..WORLDS {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = |end: u32| dice.next_u32() % end;
        let network = Network { loss_percent: draw(20), twice_percent: draw(10), delay_micros: draw(5_000) };
        let scene = Scene { seed, network, ..ALL };
        let mut world = World::new(scene);
        for number in 0..FAULTS {
            let (node, outputs, down_ms) = (draw(4) as u8, draw(40) as u8, draw(300) as u16);
            let fault = match draw(6) {
                0 | 1 => Fault::KillCoordinator { outputs, down_ms },
                2 => Fault::CutPower { calls: outputs, down_ms },
                3 => Fault::KillNode { node, outputs, down_ms },
                4 => Fault::StopNode { node, length_ms: 10 * down_ms },
                _ => Fault::PauseRun { length_ms: down_ms },
            };
            world.plan(number * u64::from(draw(60_000)), fault);
        }
        world.prove(LIMIT).unwrap_or_else(|why| panic!("seed {seed}: {why}: {:#?}", world.notes));
        assert_eq!(results(&world, &scene), alone, "seed {seed}");
    }
}
