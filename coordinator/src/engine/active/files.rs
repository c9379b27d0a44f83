//! What a run wants of the disk: what files are wanted for, and how the run goes on with what came of it.
//!
//! A run waits for one answer at a time, but for the record of an attempt without a model, which nothing waits for.

use common::id::{NodeId, RoundId};
use common::message::event::Fact;
use common::units::Millis;

use super::opening::Purpose;
use super::{Active, End, LARGE};
use crate::engine::{Answer, Combination, Combined, Context, Output, Values, Wish};
use crate::round::{Announce, Input};

/// How long nodes are offered a model to keep.
const KEEP: Millis = Millis(3_600_000);

/// What files are read for.
#[derive(Debug)]
pub(super) enum Awaiting {
    Announce(Announce),
    Keep,
}

impl Active {
    pub(in crate::engine) fn on_answer(&mut self, answer: Answer, context: &mut Context<'_>) {
        match answer {
            Answer::Loaded(values) => match (self.awaiting.take(), values) {
                (Some(awaiting), Ok(values)) => self.go_on(awaiting, values, context),
                (Some(_), Err(error)) => self.end(End::Halted(error), context),
                (None, _) => (),
            },
            Answer::Combined(Ok(combined)) => self.on_combined(combined, context),
            Answer::Combined(Err(error)) | Answer::Committed(_, Err(error)) => {
                self.on_input(Input::StoreFailed(error), context);
            }
            Answer::Committed(_, Ok(())) => self.on_input(Input::Committed, context),
            Answer::Kept(_, Ok(())) => (),
            Answer::Kept(record, Err(error)) => {
                let round = record.round;
                context.out.push(Output::Note(format!("the record of round {round} is not kept: {error}")));
            }
        }
    }

    pub(super) fn wish(&self, wish: Wish, context: &mut Context<'_>) {
        context.out.push(Output::Wish(self.id, wish));
    }

    /// Has the updates of the round combined. They are back with the model.
    pub(super) fn combine(&mut self, context: &mut Context<'_>) {
        let nothing = self.updates.emptied();
        let updates = std::mem::replace(&mut self.updates, nothing);
        let round = RoundId(self.run.rounds_done().0 + 1);
        let combination = Combination { round, from: self.run.checkpoint().clone(), updates };
        self.wish(Wish::Combine(Box::new(combination)), context);
    }

    fn on_combined(&mut self, combined: Combined, context: &mut Context<'_>) {
        let Combined { made, model, combination } = combined;
        self.updates = combination.updates;
        if self.parameters > LARGE {
            // Its pages are wanted for sealing the new model; the next round touches fresh ones.
            self.updates.release();
        }
        self.fresh = Some((made.model, model));
        self.on_input(Input::Aggregated(made), context);
    }

    /// Offers the result to those that lack it, when one of them is there.
    pub(super) fn offer(&mut self, context: &mut Context<'_>) {
        let is_there = |node: &NodeId| context.members.present(*node).is_some();
        if self.lacking.iter().flatten().any(is_there) {
            self.want(Awaiting::Keep, context);
        } else {
            self.fresh = None;
        }
    }

    /// Goes on as soon as the newest model is here; nodes that keep control variates are told the server's with it.
    pub(super) fn want(&mut self, awaiting: Awaiting, context: &mut Context<'_>) {
        let wanted = match awaiting {
            Awaiting::Announce(_) if self.plan.control => self.run.checkpoint().clone(),
            Awaiting::Announce(_) | Awaiting::Keep => self.run.model().into(),
        };
        match self.fresh.take() {
            Some((hash, model)) if wanted == hash.into() => {
                self.go_on(awaiting, Values { model, moments: Vec::new() }, context);
            }
            // What is being read is the newest model, whatever it was wanted for first.
            _ => {
                if self.awaiting.replace(awaiting).is_none() {
                    self.wish(Wish::Load(wanted), context);
                }
            }
        }
    }

    fn go_on(&mut self, awaiting: Awaiting, values: Values, context: &mut Context<'_>) {
        let Values { model, mut moments } = values;
        match awaiting {
            Awaiting::Announce(announce) => {
                let wait = Millis(announce.deadline.since(context.now).0);
                let cohort = announce.cohort.iter().copied().collect();
                let position = (announce.round, announce.epoch, wait);
                // Before the first round it is at zero.
                let zero = || if self.plan.control { vec![0.0; model.len()] } else { Vec::new() };
                let control = moments.pop().filter(|_| self.plan.control).unwrap_or_else(zero);
                let purpose = Purpose::Train { control, taken_from: announce.taken_from };
                self.open_exchange((model, purpose), &cohort, position, context);
                let cohort = announce.cohort.try_into().expect("the plan bounds the cohort");
                context.event(self.id, announce.round, Fact::RoundOpened { cohort });
            }
            Awaiting::Keep => {
                let nodes = self.lacking.clone().unwrap_or_default();
                let Some(epoch) = self.run.take_epoch() else {
                    return context
                        .out
                        .push(Output::Note("no epoch is left to offer the result again".into()));
                };
                let position = (self.run.rounds_done(), epoch, KEEP);
                self.open_exchange((model, Purpose::Keep), &nodes, position, context);
            }
        }
    }
}
