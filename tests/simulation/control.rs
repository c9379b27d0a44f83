//! Runs whose nodes keep control variates: whatever happens to a node or to the coordinator, both count on the same ones.
//! The audit of every seed looks at that too.

use coordinator::engine::End;
use coordinator::round::MemberOutcome;
use harness::world::{Fault, Scene, World};

use super::{LIMIT, SCENE};

const SCAFFOLD: Scene = Scene { parameters: 10, strategy: "combine = { kind = \"scaffold\" }", ..SCENE };

#[test]
fn a_run_with_control_variates_ends_in_the_same_model_wherever_it_is_killed() {
    let mut aborted = 0;
    let mut model = |kill: Option<Fault>| {
        let mut world = World::new(SCAFFOLD);
        if let Some(kill) = kill {
            world.plan(0, kill);
        }
        world.prove(LIMIT).unwrap_or_else(|why| panic!("{kill:?}: {why}"));
        aborted += world.aborted.len();
        world.kept.get(&0).map(|(_, model)| model.clone())
    };
    let expected = model(None);
    for outputs in (0..120).step_by(5) {
        let coordinator = Fault::KillCoordinator { outputs, down_ms: 30 };
        assert_eq!(model(Some(coordinator)), expected, "{coordinator:?}");
        let node = Fault::KillNode { node: outputs, outputs: outputs / 4, down_ms: 30 };
        assert_eq!(model(Some(node)), expected, "{node:?}");
    }
    assert!(aborted > 5, "only {aborted} attempts were made again");
}

#[test]
fn a_node_that_lost_its_control_variate_sits_the_run_out() {
    let mut world = World::new(Scene { minimum: 3, ..SCAFFOLD });
    while world.committed.is_empty() {
        world.step();
    }
    world.held[2].clear();
    world.run(LIMIT);
    assert!(matches!(world.end(), Some(End::Finished(_))), "{:?} {:#?}", world.end(), world.notes);
    let declined = |outcome: &MemberOutcome| matches!(outcome, MemberOutcome::Declined);
    for record in &world.committed[1..] {
        assert_eq!(record.reports().count(), 3);
        assert!(record.missing().all(|(_, outcome)| declined(outcome)), "{:?}", record.members);
    }
    assert_eq!(world.kept.len(), 4, "it holds the result with all others");
}
