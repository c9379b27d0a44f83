//! The threads that train virtual nodes. Each has a buffer for an update, which is used again: memory does not grow with
//! the number of nodes.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, bail};
use common::crypto::Plain;
use common::message::update::{self, Change, UpdateHead};
use common::model::ParameterVector;
use coordinator::round::RoundRecord;
use node::outgoing;
use node::participant::control;

use crate::federation::{Federation, Step, Wave};
use crate::population::Population;

/// Hears of each node that was trained, by its place, with why it cannot take part, if so. Called by all threads.
pub type OnNode<'f> = dyn Fn(usize, Option<String>) + Sync + 'f;

/// Hears of each round, with the model after it, and says whether to go on.
pub type OnRound<'f> = dyn FnMut(&RoundRecord, &ParameterVector) -> Result<ControlFlow<()>> + 'f;

/// Some threads.
#[derive(Debug)]
pub struct Crew {
    /// One a thread.
    buffers: Vec<Vec<u8>>,
}

impl Crew {
    /// So many threads, at least one.
    pub fn new(threads: usize) -> Self {
        Self { buffers: vec![Vec::new(); threads.max(1)] }
    }

    /// Goes on with a run until it is over, or `on_round` has seen enough.
    ///
    /// # Errors
    ///
    /// When a round could not be done, and what `on_round` returns.
    pub fn run(
        &mut self,
        federation: &mut Federation,
        population: &Population,
        on_node: &OnNode<'_>,
        on_round: &mut OnRound<'_>,
    ) -> Result<()> {
        loop {
            match federation.next_step() {
                Step::Train(wave) => self.train(&wave, federation, population, on_node),
                Step::Committed(record) | Step::Aborted(record) => {
                    if on_round(&record, federation.model())?.is_break() {
                        return Ok(());
                    }
                }
                Step::Finished(_) => return Ok(()),
                Step::Failed(failure) => bail!(failure),
            }
        }
    }

    /// Trains all nodes of a wave and hands their updates in.
    fn train(
        &mut self,
        wave: &Wave,
        federation: &mut Federation,
        population: &Population,
        on_node: &OnNode<'_>,
    ) {
        let plan = federation.plan().clone();
        let (next, federation) = (AtomicUsize::new(0), Mutex::new(federation));
        let lock = || federation.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |buffer: &mut Vec<u8>| {
            while let Some(node) = wave.nodes.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                let controls = wave.controls(node);
                let correction = controls.map(|(server, own)| control::correction(server, own));
                let trained = population.train(node, &plan, (wave.round, &wave.model), correction.as_deref());
                let refused = match trained {
                    Ok(trained) => {
                        let head = outgoing::head(trained.samples, trained.steps, trained.loss);
                        let (from, to) = (wave.model.values(), trained.parameters.values());
                        let next = controls.map(|(server, own)| {
                            control::next(server, own, (from, to), trained.steps, plan.learning_rate)
                        });
                        let own = controls.zip(next.as_deref()).map(|((_, from), to)| Change { from, to });
                        encode(&head, Change { from, to }, own, buffer);
                        lock().on_update(wave, node, buffer, next);
                        None
                    }
                    Err(error) => {
                        lock().on_declined(wave, node);
                        Some(error.to_string())
                    }
                };
                on_node(node, refused);
            }
        };
        thread::scope(|scope| {
            for buffer in &mut self.buffers {
                scope.spawn(|| work(buffer));
            }
        });
    }
}

/// The plaintext that a node seals.
fn encode(head: &UpdateHead, model: Change<'_>, control: Option<Change<'_>>, buffer: &mut Vec<u8>) {
    let plain = update::plaintext(head, model, control);
    buffer.resize(plain.bytes(), 0);
    plain.write(0, buffer);
}

#[cfg(test)]
mod tests;
