//! A relay: one that joins sites over TCP, carrying sealed bytes that it can neither open nor forge.
//!
//! A star: one relay listens (the hub), each of the others connects to it (a spoke). What is written at one site is
//! written at all sites where somebody reads it. [`Hub`] decides what goes where and what waits or is dropped, for hub
//! and spokes alike: a spoke is a hub with one peer. [`frame`] is what travels on the stream. Both are without I/O; the
//! driver owns DDS, sockets, TLS and the clock.

pub mod frame;
mod hub;
mod newest;
mod outlet;

pub use frame::{CARRIED, Carried, Decoder, Frame, FrameError, STREAM_VERSION, Sample, TopicSet};
pub use hub::{Hub, Side};
pub use outlet::{Counts, QueueLimits};

#[cfg(test)]
mod tests;
