//! The updates of one round on their way to the next model.

use std::collections::BTreeMap;

use common::id::NodeId;

use super::mean::Mean;
use super::server::Moments;
use super::update::{self, Effort, UpdateFault};
use super::{Combine, Robust, Strategy, scaffold};

/// Gathers updates as they come, and makes the next model of them.
///
/// For the mean that is one sum in the memory of two models, whatever the cohort; the other rules keep every update.
#[derive(Debug)]
pub struct Aggregator {
    strategy: Strategy,
    parameters: usize,
    gathered: Gathered,
}

#[derive(Debug)]
enum Gathered {
    Sum(Mean),
    /// Delta and samples by node, so that the order of arrival is forgotten.
    Each(Robust, BTreeMap<NodeId, (Vec<f32>, u64)>),
}

/// What folding an update told about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Folded {
    /// Euclidean norm of the delta, before it was clipped.
    pub delta_norm: f32,
}

impl Aggregator {
    /// Nothing yet, for a model of this many parameters.
    pub fn new(strategy: Strategy, parameters: usize) -> Self {
        let gathered = match strategy.combine {
            Combine::Mean | Combine::Scaffold { .. } => Gathered::Sum(Mean::default()),
            Combine::NormalizedMean => Gathered::Sum(Mean::normalized()),
            Combine::Robust(rule) => Gathered::Each(rule, BTreeMap::new()),
        };
        Self { strategy, parameters, gathered }
    }

    /// Forgets all updates for the next round and keeps the memory of the sum.
    pub fn reset(&mut self) {
        match &mut self.gathered {
            Gathered::Sum(mean) => mean.reset(),
            Gathered::Each(_, kept) => kept.clear(),
        }
    }

    /// Forgets all updates and gives their memory back.
    pub fn release(&mut self) {
        *self = self.emptied();
    }

    /// One for the same model and strategy, without updates and memory.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::new(self.strategy, self.parameters)
    }

    /// Takes one node's delta: its parameters minus the model that it began with, as little-endian binary32, and what it
    /// took. Behind the delta is what became of the node's control variate, if it keeps one.
    ///
    /// # Errors
    ///
    /// [`UpdateFault`] tells what was wrong with it; nothing of it was taken.
    ///
    /// # Panics
    ///
    /// When more updates are folded than a cohort may have: the round counts them.
    pub fn fold(&mut self, node: NodeId, delta: &[u8], effort: Effort) -> Result<Folded, UpdateFault> {
        let combine = &self.strategy.combine;
        let values = update::check(delta, effort, self.parameters * combine.vectors())?;
        let clip = match self.strategy.clip_norm {
            Some(most) => (most / update::look(values, self.parameters)?).min(1.0),
            None => 1.0,
        };
        let scale = clip * self.strategy.staleness.factor(effort.staleness);
        let weight_max = if combine.has_control() { scaffold::WEIGHT } else { self.strategy.weight_cap };
        let effort = Effort { weight: effort.weight.min(weight_max), ..effort };
        let norm = match &mut self.gathered {
            Gathered::Sum(mean) => mean.fold(values, self.parameters, scale, effort)?,
            Gathered::Each(_, kept) => {
                let norm = update::look(values, self.parameters)?;
                let clipped = |value: &[u8; 4]| (f64::from(f32::from_le_bytes(*value)) * scale) as f32;
                kept.insert(node, (values.iter().map(clipped).collect(), effort.weight));
                norm
            }
        };
        Ok(Folded { delta_norm: norm as f32 })
    }

    /// Moves `model`, the round's model, by the updates.
    ///
    /// # Panics
    ///
    /// When there are fewer updates than [`Combine::needs`], or `model` has another length: the plan of the rounds
    /// sees to the first, the schema to the second.
    pub fn finish(&self, model: &mut [f32], moments: &mut Moments) {
        assert_eq!(model.len(), self.parameters, "the updates are for this model");
        let server = &self.strategy.server;
        match &self.gathered {
            Gathered::Sum(mean) if let Combine::Scaffold { nodes } = self.strategy.combine => {
                let share = mean.folded() as f64 / f64::from(nodes.max(1));
                scaffold::step(server, model, mean.deltas(), share, moments);
            }
            Gathered::Sum(mean) => server.step(model, mean.deltas(), moments),
            Gathered::Each(rule, kept) => {
                let (deltas, samples): (Vec<&[f32]>, Vec<u64>) =
                    kept.values().map(|(delta, samples)| (delta.as_slice(), *samples)).unzip();
                server.step(model, rule.combine(&deltas, &samples).into_iter().map(f64::from), moments);
            }
        }
    }
}

#[cfg(test)]
mod tests;
