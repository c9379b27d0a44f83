//! What the programs beside this file share: a fleet of machines that can be made anywhere, and what a process
//! has used.

pub mod fleet;
pub mod usage;

/// A domain that nobody else uses, unless another process chose the same, and whose ports Linux gives to nobody who
/// asks for any.
pub fn free_domain() -> u16 {
    20 + (std::process::id() % 80) as u16
}
