//! Whole runs in one process: the coordinator's engine and the nodes' participants on a seeded network.

mod control;
mod drift;
mod membership;
mod runs;
mod seeds;
mod several;
mod stale;
mod suite;

use common::crypto::Suite;
use common::message::event::Fact;
use common::units::Millis;
use coordinator::engine::End;
use coordinator::round::{MemberOutcome, MemberRecord};
use harness::world::{Fault, Network, Scene, World};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Two chunks of model, so that transfers have an order to lose.
const SCENE: Scene = Scene {
    seed: 1,
    nodes: 4,
    parameters: 20_000,
    rounds: 3,
    minimum: 4,
    over_selection: 1.0,
    staleness_max: 0,
    rack: None,
    strategy: "",
    drift: 0.0,
    attempts: 3,
    network: Network { loss_percent: 0, twice_percent: 0, delay_micros: 200 },
    suite: Suite::X25519,
    runs: 1,
    first: 0,
};

/// Longer than all deadlines of a run together.
const LIMIT: Millis = Millis(600_000);

/// What three rounds of four nodes make of a model of zeros: the mean of their steps, weighted by samples.
fn expected(rounds: u32) -> f32 {
    let weighted: f32 = (1..=4_u8).map(|number| f32::from(number) * 0.25 * f32::from(number)).sum();
    rounds as f32 * weighted / 10.0
}

#[test]
fn a_run_on_a_quiet_network_ends_with_the_weighted_mean_on_every_node() {
    let mut world = World::new(SCENE);
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    assert_eq!(world.committed.len(), 3);
    assert!(world.aborted.is_empty());
    let model = world.model().unwrap();
    assert!(
        model.iter().all(|value| value.to_bits() == expected(3).to_bits()),
        "{} is not {}",
        model[0],
        expected(3)
    );
    assert_eq!(world.kept.len(), 4);
    assert!(world.kept.values().all(|(_, kept)| *kept == model));
}

#[test]
fn the_model_is_the_same_under_a_hundred_orders_of_arrival() {
    let hash = |seed| {
        let network = Network { delay_micros: 30_000, ..SCENE.network };
        let mut world = World::new(Scene { seed, parameters: 100, rounds: 2, network, ..SCENE });
        world.run(LIMIT);
        let order: Vec<_> = world.committed[1].reports().map(|(node, report)| (report.at, node)).collect();
        (world.model(), order)
    };
    let (first, _) = hash(0);
    assert!(first.is_some());
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let (model, mut order) = hash(seed);
        assert_eq!(model, first, "seed {seed}");
        order.sort();
        // Identities differ by seed too: the order is told by the rank of each node's id.
        let mut nodes: Vec<_> = order.iter().map(|(_, node)| *node).collect();
        nodes.sort_unstable();
        orders.insert(order.iter().map(|(_, node)| nodes.binary_search(node)).collect::<Vec<_>>());
    }
    assert!(orders.len() > 10, "the seeds gave only {} orders of arrival", orders.len());
}

#[test]
fn a_round_goes_on_without_a_node_that_dies_and_the_run_ends() {
    let mut world = World::new(Scene { minimum: 3, ..SCENE });
    while world.committed.is_empty() {
        world.step();
    }
    world.down.insert(0);
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    let last = world.committed.last().unwrap();
    assert_eq!(last.reports().count(), 3);
}

#[test]
fn too_few_nodes_end_the_run_with_numbers_and_without_a_model() {
    let mut world = World::new(SCENE);
    world.down.insert(0);
    world.run(LIMIT);
    let Some(End::Failed(why)) = world.end() else { panic!("{:?}", world.end()) };
    assert!(why.contains("3 nodes were there within 5.0 s; at least 4 are needed"), "{why}");
    assert!(world.committed.is_empty());
}

#[test]
fn an_update_that_is_not_finite_costs_its_sender_the_slot_and_never_the_round() {
    let mut world = World::new(Scene { minimum: 3, rounds: 1, ..SCENE });
    world.steps[2] = f32::NAN;
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    let record = &world.committed[0];
    let rejected: Vec<String> = record.missing().map(|(_, outcome)| outcome.to_string()).collect();
    assert_eq!(rejected, ["rejected: value 0 is NaN"]);
    assert!(
        record.members.iter().filter(|member| matches!(member.outcome, MemberOutcome::Reported(_))).count()
            == 3
    );
    assert!(world.model().unwrap().iter().all(|value| value.is_finite()));
}

#[test]
fn two_of_eleven_nodes_that_send_ten_times_the_opposite_break_the_mean_and_no_robust_rule() {
    let model = |strategy| {
        let mut world = World::new(Scene { nodes: 11, minimum: 11, parameters: 100, strategy, ..SCENE });
        world.steps = vec![0.5; 11];
        (world.steps[3], world.steps[7]) = (-5.0, -5.0);
        world.run(LIMIT);
        assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
        world.model().unwrap()
    };
    assert!(model("").iter().all(|value| *value < 0.0));
    let rules = [
        "combine = { kind = \"median\" }",
        "combine = { kind = \"trimmed_mean\", share = 0.2 }",
        "combine = { kind = \"krum\", byzantine = 2 }",
        "combine = { kind = \"multi_krum\", byzantine = 2, keep = 9 }",
        "combine = { kind = \"bulyan\", byzantine = 2 }",
    ];
    for rule in rules {
        assert_eq!(model(rule), [1.5; 100], "{rule}");
    }
    let drawn = model("combine = { kind = \"geometric_median\" }");
    assert!(drawn.iter().all(|value| (value - 1.5).abs() < 0.01), "{drawn:?}");
}

#[test]
fn a_server_remembers_from_round_to_round() {
    let strategy = "server = { kind = \"momentum\", learning_rate = 1.0, momentum = 0.5 }";
    let mut world = World::new(Scene { strategy, ..SCENE });
    world.steps.fill(0.5);
    world.run(LIMIT);
    // Moved by 0.5, by 0.5 + 0.5 / 2, by 0.5 + 0.75 / 2.
    assert!(world.model().unwrap().iter().all(|value| (value - 2.125).abs() < 1e-6), "{:?}", world.model());
}

#[test]
fn a_run_that_selects_by_label_neither_asks_nor_serves_other_nodes() {
    let mut world = World::new(Scene { nodes: 5, minimum: 3, rack: Some("A"), ..SCENE });
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    for record in &world.committed {
        assert_eq!((record.members.len(), record.reports().count()), (3, 3));
    }
    assert_eq!(world.kept.keys().copied().collect::<Vec<_>>(), [0, 2, 4]);
}

#[test]
fn nothing_that_crosses_the_network_holds_a_parameter_in_the_clear() {
    let mut world = World::new(SCENE);
    world.run(LIMIT);
    // Every parameter of a round's model has the same four bytes; ciphertext repeats none four times.
    let repeated = |bytes: &[u8], value: f32| {
        let pattern = [value.to_le_bytes(); 4].concat();
        bytes.windows(pattern.len()).any(|window| window == pattern)
    };
    let values = [0.25, 0.5, 0.75, 1.0, expected(1), expected(2), expected(3)];
    assert!(world.wire.len() > 50);
    for bytes in &world.wire {
        assert!(!values.iter().any(|value| repeated(bytes, *value)));
    }
}

#[test]
fn a_relay_that_alters_a_byte_of_each_chunk_delays_a_run_and_never_changes_its_model() {
    let mut world = World::new(SCENE);
    let until = world.now + Millis(2_000);
    world.altered_until = until;
    while world.now < until {
        assert!(world.committed.is_empty() && world.kept.is_empty(), "nothing altered was taken");
        world.step();
    }
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    assert!(world.model().unwrap().iter().all(|value| value.to_bits() == expected(SCENE.rounds).to_bits()));
    assert_eq!(world.kept.len(), usize::from(SCENE.nodes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_run_ends_with_the_same_model_whatever_is_lost_repeated_or_overtaken(
        seed: u64, loss_percent in 0_u32..30, twice_percent in 0_u32..20, delay_micros in 0_u32..20_000,
    ) {
        let network = Network { loss_percent, twice_percent, delay_micros };
        let mut world = World::new(Scene { seed, network, rounds: 2, ..SCENE });
        world.run(LIMIT);
        prop_assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
        prop_assert!(world.model().unwrap().iter().all(|value| value.to_bits() == expected(2).to_bits()));
        prop_assert_eq!(world.kept.len(), 4);
    }
}

fn away(world: &World, why: &str) -> usize {
    let tells = |fact: &&Fact| matches!(fact, Fact::NodeAway { reason, .. } if reason.contains(why));
    world.events.iter().filter(tells).count()
}

#[test]
fn a_trainer_that_hangs_is_reported_within_three_seconds_and_not_waited_for() {
    let mut world = World::new(Scene { minimum: 3, rounds: 1, ..SCENE });
    world.hanging.insert(2);
    let before = world.now;
    while away(&world, "took no step") == 0 {
        world.step();
    }
    assert!(world.now.since(before) < Millis(3_500), "{}", world.now.since(before));
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    assert_eq!(world.committed[0].reports().count(), 3);
    assert_eq!(away(&world, "took no step"), 1, "it is told once");
}

#[test]
fn a_node_that_is_stopped_falls_silent_within_three_seconds_and_comes_back_at_once() {
    let mut world = World::new(Scene { minimum: 3, ..SCENE });
    while world.committed.is_empty() {
        world.step();
    }
    let before = world.now;
    world.pause(1, Millis(10_000));
    while away(&world, "not heard") == 0 {
        world.step();
    }
    assert!(world.now.since(before) <= Millis(3_000), "{}", world.now.since(before));
    while !world.events.iter().rev().any(|fact| matches!(fact, Fact::NodeBack { .. })) {
        world.step();
    }
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
}

#[test]
fn a_node_that_was_cut_off_when_the_run_ended_gets_its_result_when_it_is_back() {
    let mut world = World::new(Scene { minimum: 3, rounds: 2, ..SCENE });
    while world.committed.is_empty() {
        world.step();
    }
    world.plan(0, Fault::CutOff { nodes: 1 << 2, length_ms: 10_000 });
    world.prove(LIMIT).unwrap();
    assert_eq!(away(&world, "not heard"), 1);
    assert_eq!(world.kept.len(), 4);
}

#[test]
fn a_coordinator_that_is_killed_after_its_run_ended_offers_the_result_again() {
    let mut world = World::new(Scene { rounds: 1, ..SCENE });
    while world.committed.is_empty() {
        world.step();
    }
    assert!(world.kept.is_empty());
    world.plan(0, Fault::KillCoordinator { outputs: 0, down_ms: 50 });
    world.prove(LIMIT).unwrap();
    assert_eq!(world.kept.len(), 4);
}

#[test]
fn a_node_whose_tether_ends_is_away_at_once_and_a_foreign_end_changes_nothing() {
    let mut world = World::new(Scene { minimum: 3, ..SCENE });
    while world.committed.is_empty() {
        world.step();
    }
    world.sever_as(b"not a presence");
    assert_eq!(away(&world, "its process ended"), 0);
    world.sever(0);
    world.down.insert(0);
    assert_eq!(away(&world, "its process ended"), 1);
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
}

#[test]
fn an_upload_that_stops_in_the_middle_keeps_no_other_waiting() {
    // More than the budget of all uploads, so they come one after the other.
    let mut world = World::new(Scene { rounds: 1, parameters: 1_600_000, ..SCENE });
    let uploading = |world: &World| {
        let round = world.engine().current_round(SCENE.runs().next()?, world.now)?;
        let found =
            round.cohort.iter().find(|(_, member)| member.state == "uploading" && member.bytes > 0)?;
        found.0.strip_prefix("node-")?.parse::<usize>().ok()
    };
    let unlucky = loop {
        world.step();
        if let Some(node) = uploading(&world) {
            break node;
        }
    };
    let stopped = world.now;
    world.pause(unlucky, Millis(2_000));
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    let unlucky = world.nodes[unlucky].node();
    assert_eq!(world.committed[0].reports().count(), 4);
    for (node, report) in world.committed[0].reports() {
        let after = report.at.since(stopped);
        assert!((node == unlucky) == (after >= Millis(2_000)), "{node:?} after {after}");
        assert!(node == unlucky || after < Millis(1_000), "{node:?} after {after}");
    }
}

#[test]
fn a_thousand_nodes_come_train_and_hold_the_result() {
    let network = Network { loss_percent: 1, twice_percent: 1, delay_micros: 500 };
    let scene = Scene { nodes: 1000, minimum: 1000, parameters: 100, rounds: 1, network, ..SCENE };
    let mut world = World::new(scene);
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    assert_eq!(world.committed[0].reports().count(), 1000);
    assert_eq!(world.kept.len(), 1000);
    let model = world.model().unwrap();
    assert!(world.kept.values().all(|(_, kept)| *kept == model));
    // Steps of a quarter to one, weighted by one sample to a thousand.
    let weighted: f64 = (0..1000).map(|index| f64::from(index % 4 + 1) * 0.25 * f64::from(index + 1)).sum();
    let mean = (weighted / 500_500.0) as f32;
    assert!(model.iter().all(|value| (value - mean).abs() < 1e-5), "{} is not {mean}", model[0]);
}

#[test]
fn with_half_as_many_nodes_more_no_round_is_repeated_though_three_of_ten_are_killed_in_each() {
    const NODES: u16 = 20;
    for seed in 0..5 {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let scene = Scene {
            seed,
            nodes: NODES,
            minimum: 13,
            over_selection: 1.5,
            rounds: 10,
            parameters: 100,
            ..SCENE
        };
        let mut world = World::new(scene);
        let (mut opened, mut lost) = (0, 0);
        let until = world.now + LIMIT;
        while world.end().is_none() && world.now < until {
            world.step();
            let rounds = world.events.iter().filter(|fact| matches!(fact, Fact::RoundOpened { .. })).count();
            if rounds == opened {
                continue;
            }
            opened = rounds;
            (0..dice.next_u32() % 50).for_each(|_| world.step());
            let mut nodes: Vec<usize> = (0..usize::from(NODES)).collect();
            nodes.shuffle(&mut dice);
            for killed in &nodes[..6] {
                world.sever(*killed);
                world.restart(*killed);
            }
            world.pause(nodes[6], Millis(u64::from(dice.next_u32() % 2_000)));
        }
        assert!(
            matches!(world.end(), Some(End::Finished(_))),
            "seed {seed}: {:?} {:#?}",
            world.end(),
            world.notes
        );
        assert!(world.aborted.is_empty(), "seed {seed}: {:#?}", world.aborted);
        for record in &world.committed {
            assert_eq!(record.attempt, 1);
            assert!(record.reports().count() >= 13);
            let was_lost = |member: &&MemberRecord| {
                matches!(member.outcome, MemberOutcome::Declined | MemberOutcome::Gone)
            };
            lost += record.members.iter().filter(was_lost).count();
        }
        assert!(lost >= 20, "seed {seed}: {lost} nodes were lost in the middle of a round");
    }
}

/// Worlds of four nodes and three rounds; each holds four transfers down and four up a round.
const WORLDS: u64 = 45;

#[test]
fn nothing_is_lost_in_a_thousand_transfers_with_loss_delay_pauses_and_restarts() {
    let mut transfers = 0;
    for seed in 0..WORLDS {
        let mut dice = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = |end: u32| dice.next_u32() % end;
        let network = Network { loss_percent: draw(40), twice_percent: draw(20), delay_micros: draw(30_000) };
        let bits = 4 + draw(15);
        let parameters = 1 + draw(1 << bits);
        let mut world = World::new(Scene { seed, parameters, network, minimum: 3, ..SCENE });
        let until = world.now + LIMIT;
        while world.end().is_none() && world.now < until {
            (0..200).for_each(|_| world.step());
            let index = draw(4) as usize;
            match draw(40) {
                0 => world.restart(index),
                1 => world.pause(index, Millis(u64::from(draw(4_000)))),
                _ => (),
            }
        }
        world.run(LIMIT);
        assert!(
            matches!(world.end(), Some(End::Finished(_))),
            "seed {seed}: {:?} {:#?}",
            world.end(),
            world.notes
        );
        assert_eq!(world.kept.len(), 4, "seed {seed}: every node has the result");
        let model = world.model().unwrap();
        assert!(world.kept.values().all(|(_, kept)| *kept == model), "seed {seed}");
        // The model is the sum of exactly the updates that the records name.
        let mut sum = 0.0;
        for record in &world.committed {
            let reports = record.reports().map(|(_, report)| report.weight as f32);
            let weights: Vec<f32> = reports.collect();
            let steps = weights.iter().map(|weight| weight * weight * 0.25).sum::<f32>();
            sum += steps / weights.iter().sum::<f32>();
            transfers += 4 + weights.len();
        }
        assert!(
            model.iter().all(|value| (value - sum).abs() < 1e-3),
            "seed {seed}: {} is not {sum}",
            model[0]
        );
    }
    assert!(transfers > 950, "{transfers} transfers");
}
