//! RustDDS behind five names: [`Participant`], [`Topic`], [`Reader`], [`Writer`], [`Qos`]. Bytes in, bytes out.

mod cdr;
mod error;
mod latest;
mod participant;
mod qos;
mod reader;
mod topic;
mod writer;

pub use error::{DdsError, Malformed};
pub use participant::{Config, DOMAIN_MAX, Participant};
pub use qos::Qos;
pub use reader::{Reader, ReaderAddress, Sample};
pub use topic::Topic;
pub use writer::Writer;
