//! What the integration tests share: a fleet in one process on virtual time, and the programs themselves.

pub mod programs;
pub mod world;
