//! What the integration tests share: a whole fleet in one process, on virtual time and a seeded network.

pub mod world;
