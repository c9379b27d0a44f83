//! What is a run worth when some of its nodes attack it?
//!
//! A fleet of machines out of a seed, whose telemetry and faults are made up, trains by the rounds and the training of
//! the real one (`coordinator-simulate`). Every fifth node attacks: it sends its update with the sign turned round, times ten.
//! The model of each strategy is then judged on the honest nodes, with and without the attack.

mod attack;
mod machines;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use edge::{Format, Listing};
use serde::Serialize;

use machines::Machines;

/// The allocator of the simulator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Judges strategies by how well their models detect faults while some nodes attack.
#[derive(Parser)]
#[command(name = "bench-robust")]
struct Options {
    /// Machines; one of five attacks.
    #[arg(long, default_value_t = 15)]
    nodes: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Seeds the fleet and the runs.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A strategy, and what its models are worth.
#[derive(Debug, Serialize)]
struct Worth {
    strategy: &'static str,
    seed: u64,
    nodes: usize,
    attackers: usize,
    /// Mean over the honest nodes.
    vus_pr_clean: f64,
    vus_pr_attacked: f64,
    /// Rounds that the attacked run came to.
    rounds_attacked: u32,
}

fn main() -> ExitCode {
    examples::ending("bench-robust", compare(&Options::parse()))
}

fn compare(options: &Options) -> Result<()> {
    let Options { nodes, rounds, seed, .. } = *options;
    ensure!(nodes >= 7, "--nodes: Bulyan with one attacker needs 7 nodes");
    let machines = Machines::make(seed, nodes)?;
    let mut table = Listing::begin(options.format);
    table.remark(|| {
        let attackers = attack::attackers(nodes);
        let what = format!("seed {seed}, {nodes} nodes, {attackers} of which attack, {rounds} rounds\n");
        let columns = "| strategy | VUS-PR without attack | with it | of that without | rounds with it |";
        vec![what, columns.to_owned(), "|---|---|---|---|---|".to_owned()]
    });
    table.flush();
    for (strategy, keys) in attack::strategies(nodes) {
        let worth = worth(&machines, (strategy, &keys), rounds, seed)?;
        table.item(&worth, || {
            let Worth { vus_pr_clean, vus_pr_attacked, rounds_attacked, .. } = worth;
            let share = 100.0 * vus_pr_attacked / vus_pr_clean;
            vec![format!(
                "| {strategy} | {vus_pr_clean:.3} | {vus_pr_attacked:.3} | {share:.0} % | {rounds_attacked} |"
            )]
        })?;
        table.flush();
    }
    table.end();
    Ok(())
}

/// Trains with and without the attack, and judges both.
fn worth(
    machines: &Machines,
    (strategy, keys): (&'static str, &str),
    rounds: u32,
    seed: u64,
) -> Result<Worth> {
    let nodes = machines.count();
    let config = machines.config(keys, rounds, seed);
    let run = |attacks: bool| attack::run(machines, &config, |node| attacks && attack::is_attacker(node));
    let (clean, attacked) = (run(false)?, run(true)?);
    let judge = |model| machines.judge(model, |node| !attack::is_attacker(node));
    Ok(Worth {
        strategy,
        seed,
        nodes,
        attackers: attack::attackers(nodes),
        vus_pr_clean: judge(clean.model()),
        vus_pr_attacked: judge(attacked.model()),
        rounds_attacked: attacked.rounds_done().0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_ten_nodes_that_attack_spoil_the_mean_and_not_the_median() {
        let machines = Machines::make(3, 10).unwrap();
        let worth = |keys| worth(&machines, ("", keys), 4, 3).unwrap();
        let (mean, median) = (worth(""), worth("combine = { kind = \"median\" }"));
        let kept = |worth: &Worth| worth.vus_pr_attacked / worth.vus_pr_clean;
        assert!(kept(&mean) < 0.8, "{mean:?}");
        assert!(kept(&median) > 0.95, "{median:?}");
        assert_eq!((median.attackers, median.rounds_attacked), (2, 4));
    }
}
