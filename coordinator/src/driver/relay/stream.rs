//! One connection to another relay: frames in, batches of frames out, until either fails or falls silent.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use common::id::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::tls::in_words;
use crate::relay::{Decoder, Frame, FrameError, STREAM_VERSION};

/// A connection on which nothing comes for this long is over: its other end says something each second.
const SILENCE: Duration = Duration::from_secs(5);

/// Room for what is received at once.
const RECEIVE_BYTES: usize = 256 * 1024;

/// Which of the two connected: only the other one speaks before it is spoken to, so that a refusal is read, and not
/// lost with what nobody will read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Caller,
    Called,
}

/// Something that came about on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// Both sides believe each other and speak one version. Frames are taken in batches, one after the other.
    Opened { connection: u64, peer: NodeId, address: SocketAddr, batches: mpsc::Sender<Vec<u8>> },
    /// A frame came.
    Frame { connection: u64, frame: Frame },
    /// A batch is on its way: there is room for the next one.
    Sent { connection: u64 },
    /// It is over.
    Closed { connection: u64, why: String },
    /// A connection that was not opened: who, and why.
    Refused { who: String, why: String },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("it said nothing for {} s", SILENCE.as_secs())]
    Silent,
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{}", in_words(.0))]
    Io(#[from] std::io::Error),
    /// This relay wanted it closed.
    #[error("this relay closed it")]
    Dismissed,
}

/// An opened stream, its number and where it tells what comes about.
pub(super) struct Stream {
    pub(super) tls: TlsStream<TcpStream>,
    pub(super) peer: NodeId,
    pub(super) address: SocketAddr,
    pub(super) end: End,
    pub(super) connection: u64,
    pub(super) events: mpsc::Sender<Event>,
}

/// What comes in.
struct Incoming {
    read: ReadHalf<TlsStream<TcpStream>>,
    decoder: Decoder,
    received: BytesMut,
}

impl Stream {
    /// Carries frames to the end of the connection; returns whether it was ever opened, and why it ended.
    pub(super) async fn carry(self) -> (bool, Lost) {
        let Self { tls, peer, address, end, connection, events } = self;
        let (read, mut write) = tokio::io::split(tls);
        let mut incoming = Incoming { read, decoder: Decoder::default(), received: BytesMut::new() };
        let mut first = None;
        if let Err(lost) = agree(&mut incoming, &mut write, end, &mut first).await {
            return (false, lost);
        }
        let (batches, to_send) = mpsc::channel(1);
        let _ = events.send(Event::Opened { connection, peer, address, batches }).await;
        if let Some(frame) = first {
            let _ = events.send(Event::Frame { connection, frame }).await;
        }
        let lost = tokio::select! {
            lost = read_all(&mut incoming, connection, &events) => lost,
            lost = write_all(write, to_send, connection, &events) => lost,
        };
        let why = lost.to_string();
        let _ = events.send(Event::Closed { connection, why }).await;
        (true, lost)
    }
}

/// Both sides say their version, and hear the other's.
async fn agree(
    incoming: &mut Incoming,
    write: &mut WriteHalf<TlsStream<TcpStream>>,
    end: End,
    first: &mut Option<Frame>,
) -> Result<(), Lost> {
    if end == End::Called {
        write.write_all(&[STREAM_VERSION]).await?;
        write.flush().await?;
    }
    while !incoming.decoder.has_begun() {
        incoming.receive().await?;
        *first = incoming.decoder.next(&mut incoming.received)?;
    }
    if end == End::Caller {
        write.write_all(&[STREAM_VERSION]).await?;
        write.flush().await?;
    }
    Ok(())
}

impl Incoming {
    async fn receive(&mut self) -> Result<(), Lost> {
        self.received.reserve(RECEIVE_BYTES);
        match timeout(SILENCE, self.read.read_buf(&mut self.received)).await {
            Err(_) => Err(Lost::Silent),
            Ok(Ok(0)) => Err(Lost::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
        }
    }
}

async fn read_all(incoming: &mut Incoming, connection: u64, events: &mpsc::Sender<Event>) -> Lost {
    loop {
        loop {
            match incoming.decoder.next(&mut incoming.received) {
                Ok(Some(frame)) => {
                    // Waits while the relay has too much to do: then TCP makes the other side wait.
                    if events.send(Event::Frame { connection, frame }).await.is_err() {
                        return Lost::Dismissed;
                    }
                }
                Ok(None) => break,
                Err(error) => return error.into(),
            }
        }
        if let Err(lost) = incoming.receive().await {
            return lost;
        }
    }
}

async fn write_all(
    mut write: WriteHalf<TlsStream<TcpStream>>,
    mut batches: mpsc::Receiver<Vec<u8>>,
    connection: u64,
    events: &mpsc::Sender<Event>,
) -> Lost {
    while let Some(batch) = batches.recv().await {
        let sent = async {
            write.write_all(&batch).await?;
            write.flush().await
        };
        if let Err(error) = sent.await {
            return error.into();
        }
        if events.send(Event::Sent { connection }).await.is_err() {
            break;
        }
    }
    let _ = timeout(SILENCE, write.shutdown()).await;
    Lost::Dismissed
}
