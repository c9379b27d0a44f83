//! What the integration tests share: a fleet in one process on virtual time, the programs themselves, and the
//! clients that other people wrote.

pub mod bridge;
pub mod others;
pub mod programs;
pub mod world;
