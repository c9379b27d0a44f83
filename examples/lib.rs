//! What the programs beside this file share: a fleet of machines that can be made anywhere.

pub mod fleet;
