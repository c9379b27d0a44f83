//! Updates in, parameters out: how the nodes' deltas become the next model.
//!
//! ```text
//! delta > checked > clipped > combined (mean, median, Krum ..) > the server's step > the next model
//! ```
//!
//! Any way to combine goes with any server. Under the names of the literature:
//!
//! | name | combined by | server |
//! |---|---|---|
//! | FedAvg (McMahan et al. 2017) | mean | sgd, learning rate 1 |
//! | FedNova (Wang et al. 2020) | normalized mean | sgd, learning rate 1 |
//! | FedAvgM (Hsu et al. 2019) | mean | momentum |
//! | FedAdagrad, FedAdam, FedYogi (Reddi et al. 2021) | mean | adagrad, adam, yogi |
//! | coordinate median, trimmed mean (Yin et al. 2018) | median, trimmed mean | sgd |
//! | Krum, Multi-Krum (Blanchard et al. 2017) | krum, multi-krum | sgd |
//! | Bulyan (El Mhamdi et al. 2018) | bulyan | sgd |
//! | RFA (Pillutla et al. 2022) | geometric median | sgd |
//! | SCAFFOLD (Karimireddy et al. 2020) | scaffold | sgd |
//!
//! An update that is late for its own round may count in a later one, for less (FedBuff, Nguyen et al. 2022): see
//! [`Staleness`]. FedProx (Li et al. 2020) is a term of the nodes' loss (`proximal` of the run's plan) and goes with all
//! of them.
//!
//! The result has the same bits in any order of arrival, and on every machine.

mod aggregator;
mod mean;
pub mod robust;
mod scaffold;
mod server;
mod staleness;
mod update;

pub use aggregator::{Aggregator, Folded};
pub use robust::Robust;
pub use server::{MOMENTS_MAX, Moments, SecondMoment, Server};
pub use staleness::Staleness;
pub use update::{DELTA_MAX, Effort, STEPS_MAX, UpdateFault};

/// How updates become the next model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strategy {
    /// No update weighs more samples than this.
    pub weight_cap: u64,
    /// A longer delta is scaled down to this Euclidean norm.
    pub clip_norm: Option<f64>,
    /// What becomes of the delta of a node that began with an older model.
    pub staleness: Staleness,
    /// How deltas become one.
    pub combine: Combine,
    /// How that moves the model.
    pub server: Server,
}

impl Strategy {
    /// Whether the model becomes what the nodes' models combine to, and not only moves in that direction.
    pub fn is_direct(&self) -> bool {
        let is_whole = matches!(self.server, Server::Sgd { learning_rate } if learning_rate.to_bits() == 1_f64.to_bits());
        let is_of_models = matches!(self.combine, Combine::Mean | Combine::Robust(_));
        is_whole && is_of_models && self.clip_norm.is_none()
    }
}

/// How deltas become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combine {
    /// The mean, weighted by samples; exact, and in the memory of two models.
    Mean,
    /// The mean of the deltas of one step, times the mean number of steps; exact likewise.
    NormalizedMean,
    /// The plain mean, of the deltas and of what became of the nodes' control variates; exact likewise.
    Scaffold {
        /// Nodes that the run selects from: see [`Strategy::among`].
        nodes: u32,
    },
    /// A rule that must see them all, side by side.
    Robust(Robust),
}

impl Strategy {
    /// Federated averaging: the weighted mean, added to the model.
    pub const FEDAVG: Self = Self {
        weight_cap: common::limits::WEIGHT_MAX,
        clip_norm: None,
        staleness: Staleness::InverseRoot,
        combine: Combine::Mean,
        server: Server::Sgd { learning_rate: 1.0 },
    };

    /// The same for a run that selects from so many nodes, whether they are there or not.
    #[must_use]
    pub fn among(self, nodes: u32) -> Self {
        match self.combine {
            Combine::Scaffold { .. } => Self { combine: Combine::Scaffold { nodes }, ..self },
            _ => self,
        }
    }

    /// Vectors that are remembered from round to round.
    pub fn remembers(&self) -> usize {
        self.server.remembers() + usize::from(self.combine.has_control())
    }
}

impl Combine {
    /// Updates without which it cannot be done.
    pub fn needs(&self) -> u32 {
        match self {
            Self::Mean | Self::NormalizedMean | Self::Scaffold { .. } => 1,
            Self::Robust(rule) => rule.needs(),
        }
    }

    /// Vectors as long as the model in each update: the delta, and what became of a control variate.
    pub fn vectors(&self) -> usize {
        1 + usize::from(self.has_control())
    }

    /// Whether nodes keep control variates, and send what becomes of them.
    pub fn has_control(&self) -> bool {
        matches!(self, Self::Scaffold { .. })
    }
}
