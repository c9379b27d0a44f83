//! The node: ingests telemetry, trains in federated rounds, and scores new telemetry.

pub mod cli;
pub mod config;
pub mod detect;
pub mod driver;
pub mod folder;
pub mod intake;
pub mod kept;
pub mod learn;
pub mod outgoing;
pub mod participant;
pub mod telemetry;
pub mod telemetry_trainer;
pub mod trainer;
