//! A tether between processes of one host: when one is killed, the other knows at once.
//!
//! DDS runs over UDP, and a UDP peer that is killed merely says nothing more. A connection ends with its process:
//! the kernel closes it. Tethers are Unix sockets with names in the abstract namespace (unix(7)), so they need no
//! folder that both sides know. Processes that do not share a network namespace have none, and go without.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use common::id::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

/// Bytes in what a process says over its tether: those of a presence.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Processes that may be tied at once: a cohort.
const TIED_MAX: usize = common::limits::COHORT_MAX;

/// A process that connects says who it is within this time.
const HELLO: Duration = Duration::from_secs(2);

fn address(owner: NodeId) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("starling/{owner}"))
}

/// Where processes of this host tie themselves to `owner`.
///
/// # Errors
///
/// When another process has the name.
pub fn bind(owner: NodeId) -> io::Result<UnixListener> {
    let listener = StdListener::bind_addr(&address(owner)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Accepts tethers until the receiver of `severed` is gone; it gets what a process said of itself last when its
/// tether ends. Whether that is true is for the receiver to find out.
pub async fn accept_all(listener: UnixListener, severed: mpsc::Sender<Vec<u8>>) {
    let room = Arc::new(Semaphore::new(TIED_MAX));
    while let Ok((stream, _)) = listener.accept().await {
        // One more than can be tied is let go; it is noticed as processes of other hosts are.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let severed = severed.clone();
        tokio::spawn(async move {
            if let Some(said) = held(stream).await {
                let _ = severed.send(said).await;
            }
            drop(place);
        });
    }
}

/// Reads who it is, then waits for the end, or for the word with which a process ends of its own accord. `None` when
/// nothing was said.
async fn held(mut stream: UnixStream) -> Option<Vec<u8>> {
    let hello = tokio::time::timeout(HELLO, message(&mut stream)).await.ok()??;
    Some(message(&mut stream).await.unwrap_or(hello))
}

async fn message(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16_le().await.ok()?)];
    if message.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// A process's end of a tether. Held for its life, and closed by the kernel with it.
#[derive(Debug)]
pub struct Tether(UnixStream);

impl Tether {
    /// Ties this process to `owner`, if that is on this host; `hello` says who this is.
    pub async fn tie(owner: NodeId, hello: &[u8]) -> Option<Self> {
        let stream = StdStream::connect_addr(&address(owner).ok()?).ok()?;
        stream.set_nonblocking(true).ok()?;
        let mut tether = Self(UnixStream::from_std(stream).ok()?);
        tether.say(hello).await?;
        Some(tether)
    }

    /// Ends it of this process's own accord, with a last word.
    pub async fn untie(mut self, word: &[u8]) {
        // Without it the end is known all the same, but not that it was meant.
        let _ = self.say(word).await;
    }

    async fn say(&mut self, what: &[u8]) -> Option<()> {
        let mut message = u16::try_from(what.len()).ok()?.to_le_bytes().to_vec();
        message.extend_from_slice(what);
        self.0.write_all(&message).await.ok()
    }

    /// Returns when the owner has ended.
    pub async fn severed(&mut self) {
        let _ = self.0.read_u8().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_tether_tells_what_was_said_at_its_beginning_or_as_a_last_word() {
        let owner = NodeId([0x5a; 32]);
        let (severed, mut ends) = mpsc::channel(4);
        let accepting = tokio::spawn(accept_all(bind(owner).unwrap(), severed));
        let (one, two) =
            (Tether::tie(owner, b"one").await.unwrap(), Tether::tie(owner, b"two").await.unwrap());
        drop(two);
        assert_eq!(ends.recv().await.unwrap(), b"two");
        one.untie(b"bye").await;
        assert_eq!(ends.recv().await.unwrap(), b"bye");
        accepting.abort();
    }

    #[tokio::test]
    async fn a_process_knows_when_the_owner_has_ended() {
        let owner = NodeId([0x5b; 32]);
        let listener = bind(owner).unwrap();
        let mut tether = Tether::tie(owner, b"one").await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        drop((accepted, listener));
        tether.severed().await;
        assert!(Tether::tie(owner, b"one").await.is_none(), "nobody is there any more");
    }
}
