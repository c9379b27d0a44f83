//! The pure half of Starling. No sockets, no clock, no threads, no operating-system randomness.

pub mod blob;
pub mod crypto;
pub mod id;
pub mod limits;
pub mod message;
pub mod model;
pub mod units;
pub mod wire;
