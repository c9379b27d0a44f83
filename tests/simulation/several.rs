//! One node that works on several runs at once, on a seeded network that loses, repeats and delays, while its process
//! is killed now and then.

mod world;

use std::collections::BTreeSet;

use common::id::RunId;
use common::message::presence::{Activity, Standing};
use common::units::Millis;
use node::participant::Participant;
use rand_chacha::rand_core::Rng;

use world::{BEGAN, Datagram, ROUNDS, TRAINING, World};

#[test]
fn two_runs_and_eight_each_get_every_update_of_a_node_once() {
    for (runs, loss_percent) in [(2, 0), (8, 0), (2, 15), (8, 15)] {
        for seed in 0..6 {
            let mut world = World::new(seed, runs, loss_percent);
            world.run();
            assert!(world.begun.len() >= usize::from(runs) * ROUNDS as usize);
        }
    }
}

#[test]
fn a_node_that_is_killed_in_its_works_comes_back_to_all_of_them() {
    for seed in 0..12 {
        let runs = [2, 8][seed as usize % 2];
        let mut world = World::new(seed, runs, 10);
        // Less than all trainings take together.
        let latest = u32::from(runs) * ROUNDS * TRAINING.0 as u32;
        for _ in 0..4 {
            let at = BEGAN + Millis(u64::from(world.random.next_u32() % latest));
            world.at(at, Datagram::Killed);
        }
        world.run();
        assert_eq!(world.life, 4, "seed {seed}");
    }
}

#[test]
fn runs_take_turns_at_the_trainer() {
    let mut world = World::new(1, 4, 0);
    world.run();
    let rounds: Vec<BTreeSet<RunId>> =
        world.order.chunks(4).map(|round| round.iter().copied().collect()).collect();
    assert!(rounds.iter().all(|round| round.len() == 4), "each run has its turn: {:?}", world.order);
}

#[test]
fn a_node_that_is_asked_to_end_brings_its_works_to_an_end_and_takes_nothing_new() {
    let mut world = World::new(3, 3, 5);
    while world.training.is_none() || world.runs.iter().any(|run| run.open.is_none()) {
        world.step();
    }
    let in_work = world.presence.as_ref().map_or(0, |told| told.works.len());
    world.node(Participant::on_drain);
    let rounds: u32 = world.runs.iter().map(|run| run.done).sum();
    let limit = world.now + Millis(2000);
    while !world.participant.is_idle() {
        assert!(world.now < limit, "it works on");
        world.step();
    }
    world.step();
    let after: u32 = world.runs.iter().map(|run| run.done).sum();
    assert!(after > rounds && after as usize <= rounds as usize + in_work.max(3), "{rounds} to {after}");
    let begun = world.begun.len();
    while world.now < limit {
        world.step();
    }
    assert_eq!(world.begun.len(), begun, "what was announced since is declined");
    assert_eq!(world.presence.as_ref().unwrap().standing, Standing::Draining);
}

#[test]
fn only_the_run_that_trains_hangs() {
    let mut world = World::new(5, 3, 0);
    while world.order.len() < 2 {
        world.step();
    }
    let (trains, _) = world.training.unwrap();
    let (stuck, now) = (world.now + Millis(1), world.now + Millis(4000));
    world.now = now;
    world.node(|node, now, out| node.on_step(stuck, now, out));
    let hangs = |world: &World| {
        let works = world.presence.as_ref().unwrap().works.iter();
        works.filter(|work| work.activity == Activity::Hanging).map(|work| work.run).collect::<Vec<_>>()
    };
    while hangs(&world).is_empty() {
        world.step();
    }
    assert_eq!(hangs(&world), [trains]);
}
