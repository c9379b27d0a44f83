//! What the programs beside this file share: a fleet of machines that can be made anywhere, and what a process
//! has used.

pub mod fleet;
pub mod usage;
