//! The pure half of Starling. No sockets, no clock, no threads, no operating-system randomness.

pub mod id;
pub mod limits;
pub mod units;
pub mod wire;

pub mod model;
