//! The coordinator: runs federated training rounds and never sees raw telemetry.

pub mod archive;
pub mod cli;
pub mod config;
pub mod control;
pub mod doctor;
pub mod driver;
pub mod engine;
pub mod exchange;
pub mod folder;
pub mod join;
pub mod members;
pub mod onnx;
pub mod quota;
pub mod registry;
pub mod relay;
pub mod round;
pub mod served;
pub mod store;
pub mod strategy;
pub mod view;
