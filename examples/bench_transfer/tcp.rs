//! Raw TCP: a blob behind its length, over connections that are open already, one for each pair.
//!
//! Each connection has a thread, so that eight of them are served at once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use common::units::Timestamp;
use edge::now;

use crate::blob::{Blob, Noise};
use crate::part::{Order, Part, say, say_done};

/// Plays a part.
pub(crate) fn run(part: &Part, orders: &Receiver<Order>) -> Result<()> {
    if part.sends { send(part, orders) } else { receive(part, orders) }
}

fn send(part: &Part, orders: &Receiver<Order>) -> Result<()> {
    say("here -");
    let Ok(Order::Meet(cards)) = orders.recv() else { bail!("there is nobody to meet") };
    let mut streams = Vec::new();
    for card in part.others(&cards)? {
        let mut stream = TcpStream::connect(card).with_context(|| card.clone())?;
        stream.set_nodelay(true)?;
        stream.write_all(&(part.index as u64).to_le_bytes())?;
        streams.push(stream);
    }
    let mut own = streams.pop().context("nobody receives")?;
    let (sent, all_sent) = channel();
    let others: Vec<Sender<Arc<Vec<u8>>>> =
        streams.into_iter().map(|stream| serve(stream, sent.clone())).collect();
    say("ready");
    let noise = Noise::new();
    let mut message = Arc::new(Vec::new());
    while let Ok(order) = orders.recv() {
        match order {
            Order::Prepare(number) => {
                let framed = Arc::make_mut(&mut message);
                framed.resize(8 + part.bytes, 0);
                framed[..8].copy_from_slice(&(part.bytes as u64).to_le_bytes());
                noise.fill(&Blob { number, sender: part.index, bytes: part.bytes }, &mut framed[8..]);
                say("ready");
            }
            Order::Go => {
                let start = now();
                for other in &others {
                    other.send(Arc::clone(&message)).context("a connection is closed")?;
                }
                own.write_all(&message)?;
                for _ in &others {
                    all_sent.recv()??;
                }
                say_done(start, now(), None);
            }
            Order::Check => say("ok"),
            Order::Meet(_) => bail!("they have met"),
        }
    }
    Ok(())
}

/// A thread that writes to one connection.
fn serve(mut stream: TcpStream, sent: Sender<std::io::Result<()>>) -> Sender<Arc<Vec<u8>>> {
    let (messages, waiting) = channel::<Arc<Vec<u8>>>();
    std::thread::spawn(move || {
        for message in waiting {
            let written = stream.write_all(&message);
            drop(message);
            if sent.send(written).is_err() {
                break;
            }
        }
    });
    messages
}

fn receive(part: &Part, orders: &Receiver<Order>) -> Result<()> {
    let listener = TcpListener::bind((part.address, 0))?;
    say(&format!("here {}", listener.local_addr()?));
    let Ok(Order::Meet(_)) = orders.recv() else { bail!("there is nobody to meet") };
    let (arrivals, arrived) = channel();
    let mut blobs = Vec::new();
    for _ in 0..part.senders {
        let (mut stream, _) = listener.accept()?;
        let sender = take_length(&mut stream)?;
        let blob = Arc::new(Mutex::new(Vec::new()));
        blobs.push((sender, Arc::clone(&blob)));
        let (arrivals, most) = (arrivals.clone(), part.bytes);
        std::thread::spawn(move || while arrivals.send(take_blob(&mut stream, most, &blob)).is_ok() {});
    }
    say("ready");
    let noise = Noise::new();
    let mut current = 0;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Prepare(number) => {
                current = number;
                say("ready");
            }
            Order::Go => {
                let mut end = now();
                for _ in &blobs {
                    end = end.max(arrived.recv()??);
                }
                say_done(end, end, None);
            }
            Order::Check => {
                for (sender, blob) in &blobs {
                    let blob = blob.lock().unwrap_or_else(PoisonError::into_inner);
                    let expected = Blob { number: current, sender: *sender, bytes: part.bytes };
                    ensure!(noise.is(&expected, &blob), "another blob arrived");
                }
                say("ok");
            }
            Order::Meet(_) => bail!("they have met"),
        }
    }
    Ok(())
}

fn take_length(stream: &mut TcpStream) -> Result<usize> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length) as usize)
}

/// Reads one blob; when it was whole.
fn take_blob(stream: &mut TcpStream, most: usize, blob: &Mutex<Vec<u8>>) -> Result<Timestamp> {
    let length = take_length(stream)?;
    ensure!(length <= most, "a blob of {length} bytes");
    let mut blob = blob.lock().unwrap_or_else(PoisonError::into_inner);
    blob.resize(length, 0);
    stream.read_exact(&mut blob)?;
    Ok(now())
}
