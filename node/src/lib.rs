//! The node: ingests telemetry, trains in federated rounds, and scores new telemetry.
//!
//! Without the feature `learn` it is its side of the protocol alone: [`participant`] and [`outgoing`].

#[cfg(feature = "learn")]
pub mod alarms;
#[cfg(feature = "learn")]
pub mod cli;
#[cfg(feature = "learn")]
pub mod config;
#[cfg(feature = "learn")]
pub mod controls;
#[cfg(feature = "learn")]
pub mod detect;
#[cfg(feature = "learn")]
pub mod drift;
#[cfg(feature = "learn")]
pub mod driver;
#[cfg(feature = "learn")]
pub mod folder;
#[cfg(feature = "learn")]
pub mod intake;
#[cfg(feature = "learn")]
pub mod kept;
#[cfg(feature = "learn")]
pub mod learn;
pub mod outgoing;
pub mod participant;
#[cfg(feature = "learn")]
pub mod scoring;
#[cfg(feature = "learn")]
pub mod telemetry;
#[cfg(feature = "learn")]
pub mod telemetry_trainer;
#[cfg(feature = "learn")]
pub mod trainer;
