//! What asks a process to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and Ctrl-C. From [`Stop::listen`] on they do not kill the process any more.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens, within a runtime that has I/O. Whatever may be seen from outside begins after this, so that whoever sees
    /// it can end the process in good order.
    ///
    /// # Errors
    ///
    /// When the signals cannot be had.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when the process is asked to end, once each time.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
