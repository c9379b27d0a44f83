//! RustDDS behind five names: [`Participant`], [`Topic`], [`Reader`], [`Writer`], [`Qos`]. Bytes in, bytes out.
//!
//! This crate knows no message. What crosses it is a key of fixed length and a body of bounded length, in the
//! plain CDR of the IDL files in `idl/`. Meaning, chunking, receipts, encryption and trust are the work of the
//! rooms above; everything that comes out of a [`Reader`] is what somebody on the network chose to send.
//!
//! ```no_run
//! use dds::{Config, Participant, Qos, Topic};
//!
//! const CHUNKS: Topic = Topic::new("chunks", "m::Chunk", 36, 49_200, Qos::Chunk { unread: 256, unsent: 64 });
//!
//! # async fn run() -> Result<(), dds::DdsError> {
//! let participant = Participant::new(&Config::default())?;
//! let (writer, mut reader) = (participant.writer(&CHUNKS)?, participant.reader(&CHUNKS)?);
//! writer.write(&[7; 36], b"a chunk")?;
//! let sample = reader.next().await?;
//! # Ok(()) }
//! ```
//!
//! # What was found out about RustDDS 0.15.1, and what follows from it
//!
//! Figures are from two busy x86-64 cores, Linux, loopback; they say which order of magnitude to expect.
//!
//! **Topics have no DDS key.** The leading fields of a sample say what it is about, but the IDL types have no
//! `@key`: RustDDS never frees the instance of a key (one per chunk would be a leak), and its writers keep the
//! last samples whatever their keys. So the writer of a [`Qos::State`] topic keeps the last sample of each key in
//! its history by writing it again when it is about to fall out.
//!
//! **Interfaces.** With only `127.0.0.1` a sample up to some 65,400 bytes is one datagram. With all interfaces
//! the smallest MTU among them rules, and larger samples go in datagrams of that size even on one host.
//! Multicast needs an interface that has it: on loopback a sample is sent once for each reader.
//!
//! **Many participants on one host.** Without multicast (loopback), two participants find each other only if one
//! of them is among the first twelve of the domain on that host. A coordinator that starts first always is: 60
//! participants found one in that place. A start takes 0.13 to 0.16 s from process start to the first round
//! trip, and 0.2 to 0.4 s with eight nodes at once; 900 starts, some on a busy machine, had no failure. An announcement that is
//! missed comes again after 10 s.
//!
//! **On loopback a participant waits for itself.** RustDDS makes each participant a reliable reader of its own
//! announcements and, with only a loopback address, has no way to it. What is not acknowledged is asked about
//! ten times a second, of everybody: 100 participants on loopback are busy with nothing else. So a thread
//! acknowledges to the participant what it announced (RTPS 2.5, section 8.3.8.1), twice a second.
//!
//! **Networks without multicast.** RustDDS has no list of initial peers, and none is needed above it: a participant
//! answers whoever announces itself to its discovery port. With [`Config::peers`] a thread sends that announcement,
//! each second, to the first twelve ports of each host (RTPS 2.5, section 8.5.3). It names no multicast group, but
//! the endpoints of RustDDS do wherever an interface has multicast, so peers need interfaces on which it is off.
//!
//! **Matching has no event here.** It happens some milliseconds after both ends exist, and samples written before
//! are lost except on `State` topics. Say hello until the peer answers.
//!
//! **Latency.** A round trip of 64 bytes between two processes takes 80 us best effort and 120 us reliable (p99
//! about 250 us); of a 49 kB chunk 260 and 340 us. No timer delays a delivered sample. A lost reliable sample
//! waits for a heartbeat, up to 100 ms.
//!
//! **How much may be unread.** RustDDS asks for receive buffers of 8 MiB and Linux grants twice `rmem_max` at
//! most. With `net.core.rmem_max` = 4 MiB exactly 167 chunks of 49 kB fit, with the stock 212,992 bytes only 8.
//! Eight writers with 16 chunks each lost none in 20 bursts, with 24 one, with 32 many. [`Participant::unread_max`]
//! gives a window with a margin. After the kernel, the cache of a topic keeps its newest samples, read or not.
//!
//! **Going.** Dropping a participant takes 2 ms, frees its sockets and threads, and its peers know within
//! another; it can be made again in the same process in 20 ms. One that is killed stays matched for 50 s. Its
//! share of the unacknowledged samples then lets reliable writers become [`DdsError::Busy`] after 4,096 samples.
//!
//! **Idle** a participant with six endpoints takes 13 MB, two threads and 0.1 to 0.4 % of a core.
//!
//! **The clock.** A best-effort reader orders samples by the system clock: if that is set back, it delivers
//! nothing until the clock has caught up. A new participant does not have this memory.

mod acknowledgement;
mod attendant;
mod cdr;
mod discovered;
mod error;
mod introduction;
mod latest;
mod participant;
mod ports;
mod qos;
mod reader;
mod routes;
mod succession;
mod topic;
pub mod topics;
mod writer;

#[doc(hidden)]
pub use cdr::taken_apart;
pub use discovered::{Prefix, Role, prefix_of};
pub use error::{DdsError, Malformed};
pub use participant::{Config, DOMAIN_MAX, Participant};
pub use ports::next_participant;
pub use qos::Qos;
pub use reader::{Reader, ReaderAddress, Sample};
pub use routes::Routes;
pub use topic::Topic;
pub use writer::Writer;
