//! The simulator: a federation of virtual nodes in one process, to try out a run before it meets the fleet.
//!
//! | room | what it holds |
//! |---|---|
//! | [`federation`] | a run in a time of its own: the coordinator's rounds and strategies, without a clock, a thread or a disk |
//! | [`population`] | the virtual nodes: what each learns from, how it is trained and how good a model is |
//! | [`crew`] | the threads that train, each with buffers of its own |
//! | [`partition`] | who has which examples of a labelled set |
//! | [`idx`], [`images`] | labelled images in files |
//! | [`telemetry`] | a file of telemetry a node, prepared as a node prepares it |
//! | [`synthetic`] | examples out of a seed, where only the speed is wanted |
//! | [`cli`] | the command |
//!
//! Nodes are trained by `node::learn`, with the settings of a real node of the same name, and their updates are decoded
//! and folded by `coordinator::strategy`, whose sum is exact. So neither the number of threads nor the order in which they
//! end can be seen in a model, and it is the one that real nodes with the same data would have made.

pub mod cli;
pub mod crew;
pub mod federation;
pub mod idx;
pub mod images;
pub mod partition;
pub mod population;
pub mod synthetic;
pub mod telemetry;
