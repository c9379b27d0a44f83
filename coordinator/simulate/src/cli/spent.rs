//! What has come of a run so far, and what it has cost.

use std::ops::{AddAssign, Sub};

use anyhow::Result;
use common::id::ModelHash;

use crate::population::Measured;

/// Seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// On the clock.
    pub(super) wall_s: f64,
    /// Of all processors together.
    pub(super) cpu_s: f64,
}

/// What has come of a run.
pub(super) struct Done {
    began: Spent,
    pub(super) rounds: u32,
    /// Updates that are in a model.
    pub(super) clients: u64,
    pub(super) model: ModelHash,
    pub(super) measured: Option<Measured>,
    /// What measuring has cost.
    pub(super) measuring: Spent,
}

impl Spent {
    /// Since some fixed moment.
    pub(super) fn so_far() -> Result<Self> {
        Ok(Self { wall_s: edge::now().0 as f64 / 1e6, cpu_s: edge::cpu_s(std::process::id())? })
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { wall_s: self.wall_s - other.wall_s, cpu_s: self.cpu_s - other.cpu_s }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.wall_s += other.wall_s;
        self.cpu_s += other.cpu_s;
    }
}

impl Done {
    /// Nothing yet.
    pub(super) fn begin() -> Result<Self> {
        let (model, measuring) = (ModelHash::default(), Spent::default());
        Ok(Self { began: Spent::so_far()?, rounds: 0, clients: 0, model, measured: None, measuring })
    }

    /// Whether the model that was measured last tells at least this share of the classes.
    pub(super) fn has(&self, accuracy: Option<f64>) -> bool {
        self.measured.is_some_and(|measured| measured.accuracy.is_some() && measured.accuracy >= accuracy)
    }

    /// What the rounds have cost, without measuring.
    pub(super) fn rounds_cost(&self) -> Result<Spent> {
        Ok(Spent::so_far()? - self.began - self.measuring)
    }
}
