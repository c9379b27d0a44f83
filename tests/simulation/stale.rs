//! Rounds whose stragglers count later (FedBuff), over the whole protocol.

use common::id::RoundId;
use coordinator::engine::End;
use harness::world::{Network, Scene, World};

use crate::{LIMIT, SCENE};

/// Six nodes train at once, and three updates make a model.
const BUFFERED: Scene = Scene {
    nodes: 6,
    minimum: 2,
    over_selection: 2.0,
    staleness_max: 3,
    rounds: 12,
    drift: 0.015_625,
    network: Network { loss_percent: 2, twice_percent: 2, delay_micros: 20_000 },
    ..SCENE
};

#[test]
fn updates_that_come_late_count_in_a_later_round_and_each_model_is_made_of_what_its_record_names() {
    let mut late = 0;
    for seed in 0..10 {
        let mut world = World::new(Scene { seed, ..BUFFERED });
        world.prove(LIMIT).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(matches!(world.end(), Some(End::Finished(_))), "seed {seed}: {:#?}", world.notes);
        assert!(world.aborted.is_empty(), "seed {seed}");
        for record in &world.committed {
            let ages = record.reports().map(|(_, report)| report.base.staleness(record.round));
            late += ages.inspect(|age| assert!(*age <= 3)).filter(|age| *age > 0).count();
        }
    }
    assert!(late > 50, "of 360 updates {late} were for a later round");
}

#[test]
fn a_node_that_is_slow_is_not_waited_for_and_its_update_is_not_lost() {
    let mut world = World::new(Scene { minimum: 3, network: SCENE.network, ..BUFFERED });
    while world.committed.is_empty() {
        world.step();
    }
    let slow: Vec<_> = world.committed[0].missing().map(|(node, _)| node).collect();
    assert_eq!(slow.len(), 3, "three updates closed the round");
    world.prove(LIMIT).unwrap();
    let of_first = world.committed.iter().flat_map(|record| {
        record.reports().filter(|(_, report)| report.base.round == RoundId(1)).map(|(node, _)| node)
    });
    let of_first: Vec<_> = of_first.collect();
    assert!(slow.iter().all(|node| of_first.contains(node)), "all six updates of the first model count");
}
