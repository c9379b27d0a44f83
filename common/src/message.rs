//! Everything that coordinator and nodes say to each other: one file per message.
//!
//! Control messages travel signed ([`Signed`]) or, for receipts, under a MAC that both ends of an
//! epoch share. Models and updates travel as sealed blobs; [`model`] and [`update`] are their plaintext.

pub mod announce;
pub mod event;
pub mod forward;
mod headed;
pub mod model;
pub mod presence;
pub mod receipt;
pub mod relay;
mod signed;
pub mod update;

pub use signed::{Signed, SignedError};
