//! A fleet has one suite: with X-Wing it makes the same model, and a node with another suite takes no part.

use common::crypto::Suite;
use common::units::Millis;
use coordinator::engine::End;
use harness::world::{Scene, World};

use crate::{LIMIT, SCENE, expected};

#[test]
fn a_run_with_x_wing_ends_with_the_same_model_on_every_node() {
    let mut world = World::new(Scene { suite: Suite::XWing, ..SCENE });
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    let model = world.model().unwrap();
    assert!(model.iter().all(|value| value.to_bits() == expected(3).to_bits()), "{}", model[0]);
    assert_eq!(world.kept.len(), 4);
}

#[test]
fn a_node_of_another_suite_takes_no_part_and_both_sides_say_so_once() {
    for (ours, theirs) in [(Suite::X25519, Suite::XWing), (Suite::XWing, Suite::X25519)] {
        let mut world = World::new(Scene { suite: ours, minimum: 3, ..SCENE });
        world.restart_as(3, Some(theirs));
        world.run(Millis(60_000));
        assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
        assert!(world.committed.iter().all(|record| record.members.len() == 3));
        assert_eq!(world.kept.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
        let told = |who: &str, theirs, ours| {
            let what = format!("its suite is \"{theirs}\" and here it is \"{ours}\"");
            world.notes.iter().filter(|note| note.contains(who) && note.contains(&what)).count()
        };
        let at_node = told("node-3: the coordinator is not listened to", ours, theirs);
        assert_eq!((told("node node-3", theirs, ours), at_node), (1, 1), "{:#?}", world.notes);
        // An operator writes the right line, and it takes part in what comes next.
        world.restart_as(3, None);
        world.run(LIMIT);
        assert_eq!(world.kept.len(), 4);
    }
}
