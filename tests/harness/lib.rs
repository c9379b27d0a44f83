//! What the integration tests share: a fleet in one process on virtual time, the programs themselves, a
//! network of hosts, and the clients that other people wrote.

pub mod bridge;
pub mod network;
pub mod others;
pub mod programs;
pub mod relays;
pub mod seeds;
pub mod world;
