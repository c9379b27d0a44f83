//! The pure half of Starling, and the map of the house.
//!
//! Starling is federated learning for datacenter telemetry: a coordinator and many nodes train one model, and the
//! telemetry stays where it was measured. Newcomers read [`docs::architecture`] first, then
//! [`docs::protocol`] and [`docs::threat_model`]; operators [`docs::operate`].
//!
//! This crate holds what both sides agree on. No sockets, no clock, no threads, no disk and no randomness of its
//! own: bytes, time and random generators are arguments, so everything here can be replayed.
//!
//! | room | what it holds |
//! |---|---|
//! | [`units`], [`id`], [`limits`] | time and sizes with their units; who and what; every maximum with its reason |
//! | [`wire`] | canonical, bounded encoding of everything that crosses a network or a disk |
//! | [`model`] | tensors by name and shape, their values as one flat vector, the task that trains them |
//! | [`crypto`] | identities, epoch keys, sealing and opening |
//! | [`blob`] | moving a large sealed value: windows, gaps, repairs |
//! | [`message`] | what coordinator and nodes say to each other, one file a message |
//! | [`upload`] | one sealed value on its way to one reader |
//! | [`known`], [`glob`] | lists of others' keys; names with wildcards |
//! | [`token`], [`join`] | what a node is given to join with, and what it says and is told then |
//!
//! Each row may use the rows above it, and nothing below.

pub mod blob;
pub mod crypto;
pub mod glob;
pub mod id;
pub mod join;
pub mod known;
pub mod limits;
pub mod message;
pub mod model;
pub mod roster;
pub mod token;
pub mod units;
pub mod upload;
pub mod wire;

/// The manual: pages without code of their own. Their examples are tests.
pub mod docs {
    pub mod architecture {
        #![doc = include_str!("../docs/architecture.md")]
    }

    pub mod detection {
        #![doc = include_str!("../docs/detection.md")]
    }

    pub mod ingest {
        #![doc = include_str!("../docs/ingest.md")]
    }

    pub mod operate {
        #![doc = include_str!("../docs/operate.md")]
    }

    pub mod protocol {
        #![doc = include_str!("../docs/protocol.md")]
    }

    pub mod session {
        #![doc = include_str!("../docs/session.md")]
    }

    pub mod simulation {
        #![doc = include_str!("../docs/simulation.md")]
    }

    pub mod threat_model {
        #![doc = include_str!("../docs/threat-model.md")]
    }
}
