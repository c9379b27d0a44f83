//! The files of a run, read and written by the driver: what they are wanted for, and how the run goes on with them.

use std::collections::BTreeSet;

use common::id::{NodeId, RoundId};
use common::message::event::Fact;
use common::units::Millis;

use super::{Active, End, LARGE};
use crate::engine::{Context, Output, Values};
use crate::round::{Announce, Checkpoint, Input};

/// How long nodes are offered a model to keep.
const KEEP: Millis = Millis(3_600_000);

/// What files are read for.
#[derive(Debug)]
pub(super) enum Awaiting {
    Announce(Announce),
    Aggregate,
    Keep(BTreeSet<NodeId>),
}

impl Active {
    pub(in crate::engine) fn on_loaded(&mut self, values: Result<Values, String>, context: &mut Context<'_>) {
        match (self.awaiting.take(), values) {
            (Some(awaiting), Ok(values)) => self.go_on(awaiting, values, context),
            (Some(_), Err(error)) => {
                self.end(End::Halted(error), context);
            }
            (None, _) => (),
        }
    }

    pub(in crate::engine) fn on_stored(
        &mut self,
        stored: Result<(Checkpoint, Vec<f32>), String>,
        context: &mut Context<'_>,
    ) {
        let input = match stored {
            Ok((made, model)) => {
                self.fresh = Some((made.model, model));
                Input::Aggregated(made)
            }
            Err(error) => Input::StoreFailed(error),
        };
        self.on_input(input, context);
    }

    /// Goes on as soon as the newest model is here, and for a new one what the server remembers; nodes that keep control
    /// variates are told the server's.
    pub(super) fn want(&mut self, awaiting: Awaiting, context: &mut Context<'_>) {
        let wanted = match awaiting {
            Awaiting::Aggregate => self.run.checkpoint().clone(),
            Awaiting::Announce(_) if self.plan.control => self.run.checkpoint().clone(),
            Awaiting::Announce(_) | Awaiting::Keep(_) => self.run.model().into(),
        };
        match self.fresh.take() {
            Some((hash, model)) if wanted == hash.into() => {
                self.go_on(awaiting, Values { model, moments: Vec::new() }, context);
            }
            _ => {
                self.awaiting = Some(awaiting);
                context.out.push(Output::Load(wanted));
            }
        }
    }

    fn go_on(&mut self, awaiting: Awaiting, values: Values, context: &mut Context<'_>) {
        let Values { mut model, mut moments } = values;
        match awaiting {
            Awaiting::Aggregate => {
                self.updates.finish(&mut model, &mut moments);
                if self.parameters > LARGE {
                    // Its pages are wanted for sealing the new model; the next round touches fresh ones.
                    self.updates.release();
                }
                let round = RoundId(self.run.rounds_done().0 + 1);
                context.out.push(Output::Store { round, values: Values { model, moments } });
            }
            Awaiting::Announce(announce) => {
                let wait = Millis(announce.deadline.since(context.now).0);
                let cohort = announce.cohort.iter().copied().collect();
                let position = (announce.round, announce.epoch, wait);
                // Before the first round it is at zero.
                let zero = || if self.plan.control { vec![0.0; model.len()] } else { Vec::new() };
                let control = moments.pop().filter(|_| self.plan.control).unwrap_or_else(zero);
                self.open_exchange((model, Some(control)), &cohort, position, context);
                let cohort = announce.cohort.try_into().expect("the plan bounds the cohort");
                context.event(self.id, announce.round, Fact::RoundOpened { cohort });
            }
            Awaiting::Keep(nodes) => {
                let Some(epoch) = self.run.take_epoch() else {
                    return context
                        .out
                        .push(Output::Note("no epoch is left to offer the result again".into()));
                };
                let position = (self.run.rounds_done(), epoch, KEEP);
                self.open_exchange((model, None), &nodes, position, context);
            }
        }
    }
}
