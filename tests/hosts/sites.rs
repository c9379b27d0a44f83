//! Two sites with a line between them that is slow and long.

use common::units::Millis;

use crate::fleet::{Fleet, Run};

/// Bits per second, and bytes that wait for them.
const LINE: (u64, u64) = (20_000_000, 250_000);

#[test]
fn over_a_slow_line_each_model_goes_once_for_all_nodes_and_each_update_once() {
    const NODES: u64 = 3;
    let run = Run { rounds: 3, parameters: 250_000, minimum: NODES as usize };
    let Some(mut fleet) = Fleet::new(NODES as usize, false) else { return };
    fleet.gather(1);
    fleet.network.delay(1, Millis(20)).unwrap();
    fleet.network.limit(1, LINE.0, LINE.1).unwrap();
    fleet.start_coordinator();
    (1..=NODES as usize).for_each(|node| fleet.start_node(node));
    fleet.join(1);
    fleet.start_run(&run);
    fleet.ends_with_its_model_everywhere(&run);
    let [to_nodes, from_nodes] = [0, 1].map(|host| fleet.network.sent(host).unwrap().bytes);
    let (model, rounds) = (u64::from(run.parameters) * 4, u64::from(run.rounds));
    // The last result is one more model. A quarter is for headers, receipts, what was greeted and repaired.
    assert!(to_nodes < model * (rounds + 1) * 5 / 4, "{to_nodes} bytes to the nodes\n{}", fleet.logs());
    assert!(from_nodes < model * rounds * NODES * 5 / 4, "{from_nodes} bytes from them\n{}", fleet.logs());
}
