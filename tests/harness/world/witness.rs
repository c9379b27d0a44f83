//! Who sees all of a world, and says what must never be: two models for a round, an update counted twice or never
//! trained, an announcement acted on twice, a storm of datagrams.

use std::collections::BTreeMap;

use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::message::event::{Event, Fact};
use common::units::Timestamp;
use coordinator::config::RunConfig;
use coordinator::round::{Base, RoundRecord};
use coordinator::strategy::{Aggregator, Effort, Moments};
use node::participant::Assignment;

use super::process::Process;

/// Datagrams in a second of virtual time, for each node, that a healthy fleet stays far below.
const DATAGRAMS_MAX: u64 = 4_000;

/// Likewise arrivals and looks at the clock.
const STEPS_MAX: u64 = 10_000;

/// What a node trained in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Contribution {
    /// What it added to each parameter.
    pub(super) step: f32,
    /// How much that weighs.
    pub(super) samples: u64,
    /// Steps of its optimiser.
    pub(super) steps: u32,
    /// What each value of the control variates was, if nodes keep them.
    pub(super) controls: Option<Controls>,
}

/// What each value of the control variates was in a node's training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Controls {
    /// The server's.
    pub(super) server: f32,
    /// The node's before.
    pub(super) from: f32,
    /// The node's after.
    pub(super) to: f32,
}

/// A second of virtual time, and what happened in it.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    datagrams: u64,
    steps: u64,
}

/// What was seen, and the first thing that must not be.
#[derive(Debug, Default)]
pub(super) struct Witness {
    trained: BTreeMap<(NodeId, EpochId), Contribution>,
    /// The model after each round, as nodes were given it.
    given: BTreeMap<(RunId, RoundId), Vec<u32>>,
    /// The model after each round, as watchers were told.
    told: BTreeMap<(RunId, RoundId), ModelHash>,
    /// When the operator took which nodes out.
    revoked: BTreeMap<NodeId, Timestamp>,
    second: Second,
    fault: Option<String>,
}

impl Witness {
    /// What must not be, if it was seen.
    pub(super) fn check(&self) -> Result<(), String> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    pub(super) fn fault(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn on_train(&mut self, node: NodeId, assignment: &Assignment, made: Contribution) {
        self.on_given(RoundId(assignment.round.0 - 1), assignment);
        if self.trained.insert((node, assignment.epoch), made).is_some() {
            self.fault(format!("{node:?} trained twice in epoch {}", assignment.epoch));
        }
    }

    pub(super) fn on_keep(&mut self, assignment: &Assignment) {
        self.on_given(assignment.round, assignment);
    }

    fn on_given(&mut self, after: RoundId, assignment: &Assignment) {
        let bits = bits(assignment.model.values());
        let round = (assignment.run, after);
        if *self.given.entry(round).or_insert_with(|| bits.clone()) != bits {
            self.fault(format!("nodes were given two models of round {after}"));
        }
    }

    /// From now on no update of this node may come in.
    pub(super) fn on_revoked(&mut self, node: NodeId, now: Timestamp) {
        self.revoked.insert(node, now);
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        if let Fact::RoundClosed { model, .. } = event.fact
            && *self.told.entry((event.run, event.round)).or_insert(model) != model
        {
            self.fault(format!("watchers were told of two models of round {}", event.round));
        }
    }

    pub(super) fn on_datagram(&mut self, now: Timestamp, nodes: usize) {
        let second = self.second(now);
        second.datagrams += 1;
        if second.datagrams > DATAGRAMS_MAX * nodes as u64 {
            self.fault(format!("more than {DATAGRAMS_MAX} datagrams a node in a second"));
        }
    }

    pub(super) fn on_step(&mut self, now: Timestamp, nodes: usize) {
        let second = self.second(now);
        second.steps += 1;
        if second.steps > STEPS_MAX * nodes as u64 {
            self.fault(format!("more than {STEPS_MAX} steps a node in a second"));
        }
    }

    fn second(&mut self, now: Timestamp) -> &mut Second {
        let number = now.0 / 1_000_000;
        if self.second.number != number {
            self.second = Second { number, ..Second::default() };
        }
        &mut self.second
    }

    /// Makes each model of a run again from the updates that the disk says are in it, and compares it with what the
    /// disk, the nodes and the watchers have.
    pub(super) fn audit(&self, process: &Process, run: RunId, config: &str) -> Result<(), String> {
        let config = RunConfig::parse(config).map_err(|error| error.to_string())?;
        let strategy = config.strategy.parse(config.cohort.minimum).map_err(|error| error.to_string())?;
        let records = process.records(run).map_err(|error| error.to_string())?;
        let committed: Vec<&RoundRecord> = records.iter().filter(|record| record.made().is_some()).collect();
        let mut moments = Moments::default();
        let mut own: BTreeMap<NodeId, f32> = BTreeMap::new();
        for (number, record) in (1..).zip(&committed) {
            let round = record.round;
            if round != RoundId(number) {
                return Err(format!("round {round} is stored as number {number}"));
            }
            let mut model = process.model_of(run, record.model).ok_or("a model is missing")?;
            self.same((run, RoundId(number - 1)), &model)?;
            let mut updates = Aggregator::new(strategy.among(record.candidates), model.len());
            for (node, report) in record.reports() {
                let Base { epoch, round: begun } = report.base;
                let made = self.trained.get(&(node, epoch));
                let made = made.ok_or_else(|| format!("round {round} has an update that nobody trained"))?;
                if made.samples != report.weight {
                    return Err(format!("round {round}: an update weighs {}", report.weight));
                }
                let first = (begun.0 as usize).checked_sub(1).and_then(|index| committed.get(index));
                let base = first.and_then(|record| process.model_of(run, record.model));
                let base = base.ok_or("the model of an update is missing")?;
                if self.revoked.get(&node).is_some_and(|revoked| report.at > *revoked) {
                    return Err(format!("round {round} has an update that came after its node was revoked"));
                }
                let staleness = report.base.staleness(round);
                if staleness > config.cohort.staleness_max {
                    return Err(format!("round {round} has an update that is {staleness} rounds old"));
                }
                let moved = base.iter().map(|value| (value + made.step) - value);
                if let Some(Controls { server, from, to }) = made.controls {
                    let counted = own.insert(node, to).unwrap_or_default();
                    let given = moments.first().map_or(0.0, |control| control[0]);
                    if (server.to_bits(), from.to_bits()) != (given.to_bits(), counted.to_bits()) {
                        return Err(format!("round {round}: a node trained from another control variate"));
                    }
                }
                let change = |Controls { from, to, .. }| vec![to - from; model.len()];
                let controlled = made.controls.map(change);
                let values = moved.chain(controlled.into_iter().flatten());
                let delta: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
                let effort = Effort { weight: made.samples, steps: made.steps, staleness };
                let folded = updates.fold(node, &delta, effort);
                folded.map_err(|fault| format!("round {round} has a wrong update: {fault}"))?;
            }
            updates.finish(&mut model, &mut moments);
            let made = record.made().ok_or("it was filtered")?;
            let stored = process.model(run, made).ok_or("a model is missing")?;
            if bits(&stored) != bits(&model) {
                let (stored, expected) = (stored[0], model[0]);
                return Err(format!("round {round}: the model is {stored}, its updates make {expected}"));
            }
            if self.told.get(&(run, round)).is_some_and(|told| *told != made.model) {
                return Err(format!("watchers were told of another model of round {round}"));
            }
            self.same((run, round), &stored)?;
        }
        let newest = committed.len() as u32;
        let published = self.told.keys().chain(self.given.keys());
        let ahead = published.filter(|(of, _)| *of == run).find(|(_, round)| round.0 > newest);
        ahead.map_or(Ok(()), |(_, round)| Err(format!("round {round} was published and is not on the disk")))
    }

    fn same(&self, after: (RunId, RoundId), model: &[f32]) -> Result<(), String> {
        match self.given.get(&after) {
            Some(given) if *given != bits(model) => {
                Err(format!("nodes were given another model of round {} than the disk has", after.1))
            }
            _ => Ok(()),
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
