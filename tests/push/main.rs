//! What is pushed into a node otherwise than by mail, by the clients that other people wrote.

mod otel;
mod prometheus;
mod syslog;
