//! Nodes whose telemetry drifted from their model.

use common::id::RunId;
use harness::world::{Scene, World};

use super::{LIMIT, SCENE};

#[test]
fn a_node_that_says_that_its_telemetry_drifted_is_shown_and_told_of_once_and_takes_part_as_before() {
    let run = RunId([7; 16]);
    let mut world = World::new(Scene { minimum: 4, ..SCENE });
    world.nodes[2].on_drift(Some(run));
    while world.committed.is_empty() {
        world.step();
    }
    let drifted = |world: &World| -> Vec<Option<String>> {
        world.engine().nodes().into_iter().map(|node| node.drifted).collect()
    };
    let mut shown = drifted(&world);
    shown.sort();
    assert_eq!(shown, [None, None, None, Some(run.to_string())]);
    world.nodes[2].on_drift(None);
    world.prove(LIMIT).unwrap_or_else(|why| panic!("{why}: {:#?}", world.notes));
    let told = world.notes.iter().filter(|note| note.contains("drifted from the model of run 07070707"));
    assert_eq!(told.count(), 1, "{:#?}", world.notes);
}
