//! `kill -9` at any moment, under load: what got a 250 is there, once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use harness::others::are_here;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::bridge::{LOOPBACK, SMTP, mail_bridge};

const KILLS: u64 = 50;
const SENDERS: usize = 8;

/// Mails that are still to be acknowledged, and those that are.
#[derive(Default)]
struct Outbox {
    waiting: Mutex<Vec<u64>>,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// Acknowledged since the bridge was started.
    now: AtomicU64,
}

/// One mail at a time over one connection, until it breaks. A mail without an answer is sent again later,
/// as every mail server does, byte for byte.
fn send_until_it_breaks(address: SocketAddr, outbox: &Outbox) {
    let Ok(stream) = TcpStream::connect(address) else { return };
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut say = |text: &str, code: &str| {
        (&stream).write_all(text.as_bytes()).ok()?;
        let mut line = String::new();
        loop {
            line.clear();
            replies.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.as_bytes().get(3) == Some(&b' ') {
                return line.starts_with(code).then_some(());
            }
        }
    };
    if say("", "220").and_then(|()| say("EHLO test\r\n", "250")).is_none() {
        return;
    }
    loop {
        let again = outbox.waiting.lock().unwrap().pop();
        let mail = again.unwrap_or_else(|| outbox.next.fetch_add(1, Ordering::Relaxed));
        let envelope = "MAIL FROM:<ups@example.com>\r\nRCPT TO:<telemetry@x>\r\nDATA\r\n";
        let text =
            format!("Subject: status\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nnumber={mail}\r\n.\r\n");
        let sent = say(envelope, "250")
            .and_then(|()| say("", "250"))
            .and_then(|()| say("", "354"))
            .and_then(|()| say(&text, "250"));
        if sent.is_none() {
            return outbox.waiting.lock().unwrap().push(mail);
        }
        assert!(outbox.acknowledged.lock().unwrap().insert(mail), "a mail is acknowledged once");
        outbox.now.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_exactly_once() {
    if !are_here(&[]) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let outbox = Arc::new(Outbox::default());
    let mut random = ChaCha20Rng::seed_from_u64(50);
    for _ in 0..KILLS {
        let daemon = bridge.start();
        outbox.now.store(0, Ordering::Relaxed);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (outbox, address) = (Arc::clone(&outbox), bridge.addresses[SMTP]);
                thread::spawn(move || send_until_it_breaks(address, &outbox))
            })
            .collect();
        let kill_after = random.next_u64() % 60;
        while outbox.now.load(Ordering::Relaxed) < kill_after {
            assert!(!senders.iter().all(thread::JoinHandle::is_finished), "{}", bridge.log());
            thread::yield_now();
        }
        // Dropped, it is killed with SIGKILL.
        drop(daemon);
        for sender in senders {
            sender.join().unwrap();
        }
    }
    let values = bridge.values("number");
    let acknowledged = outbox.acknowledged.lock().unwrap();
    assert!(acknowledged.len() > 500, "only {} mails were acknowledged", acknowledged.len());
    let missing: Vec<u64> = acknowledged.iter().filter(|mail| !values.contains_key(mail)).copied().collect();
    let twice: Vec<_> = values.iter().filter(|(_, count)| **count > 1).collect();
    assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, more than once {twice:?}");
}
