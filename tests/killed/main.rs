//! `kill -9` at any moment, under load: what got a 250 or a 200 is there, once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use harness::bridge::Bridge;
use harness::others::are_here;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const KILLS: u64 = 50;
const SENDERS_EACH: usize = 4;

/// The messages of one protocol: those that are still to be acknowledged, and those that are.
struct Outbox {
    waiting: Mutex<Vec<u64>>,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// Acknowledged since the bridge was started.
    now: AtomicU64,
    /// Begins to talk.
    open: fn(&mut Line) -> Option<()>,
    /// Sends a message, and says whether it was acknowledged.
    send: fn(&mut Line, u64) -> Option<()>,
}

/// A connection to the bridge, which may break at any time.
struct Line(BufReader<TcpStream>);

impl Outbox {
    fn new(open: fn(&mut Line) -> Option<()>, send: fn(&mut Line, u64) -> Option<()>) -> Arc<Self> {
        let (waiting, next, acknowledged, now) = Default::default();
        Arc::new(Self { waiting, next, acknowledged, now, open, send })
    }

    /// One message at a time over one connection, until it breaks. A message without an answer is sent again
    /// later, as every sender does, byte for byte.
    fn send_until_it_breaks(&self, address: SocketAddr) {
        let Ok(stream) = TcpStream::connect(address) else { return };
        let mut line = Line(BufReader::new(stream));
        if (self.open)(&mut line).is_none() {
            return;
        }
        loop {
            let again = self.waiting.lock().unwrap().pop();
            let number = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
            if (self.send)(&mut line, number).is_none() {
                return self.waiting.lock().unwrap().push(number);
            }
            assert!(self.acknowledged.lock().unwrap().insert(number), "a message is acknowledged once");
            self.now.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn senders(self: &Arc<Self>, address: SocketAddr) -> impl Iterator<Item = JoinHandle<()>> {
        let outbox = Arc::clone(self);
        (0..SENDERS_EACH).map(move |_| {
            let outbox = Arc::clone(&outbox);
            thread::spawn(move || outbox.send_until_it_breaks(address))
        })
    }

    /// Each acknowledged message is among the records, and none is there twice.
    fn check(&self, bridge: &Bridge, metric: &str) {
        let values = bridge.values(metric);
        let acknowledged = self.acknowledged.lock().unwrap();
        assert!(acknowledged.len() > 200, "only {} of {metric} were acknowledged", acknowledged.len());
        let missing: Vec<u64> =
            acknowledged.iter().filter(|number| !values.contains_key(number)).copied().collect();
        let twice: Vec<_> = values.iter().filter(|(_, count)| **count > 1).collect();
        assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, more than once {twice:?}");
    }
}

impl Line {
    fn write(&mut self, text: &str) -> Option<()> {
        self.0.get_mut().write_all(text.as_bytes()).ok()
    }

    fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line)
    }

    /// A command of SMTP, and whether its reply has this code.
    fn say(&mut self, text: &str, code: &str) -> Option<()> {
        self.write(text)?;
        loop {
            let line = self.read()?;
            if line.as_bytes().get(3) == Some(&b' ') {
                return line.starts_with(code).then_some(());
            }
        }
    }
}

fn greet(line: &mut Line) -> Option<()> {
    line.say("", "220")?;
    line.say("EHLO test\r\n", "250")
}

fn mail(line: &mut Line, number: u64) -> Option<()> {
    line.say("MAIL FROM:<ups@example.com>\r\nRCPT TO:<telemetry@x>\r\nDATA\r\n", "250")?;
    line.say("", "250")?;
    line.say("", "354")?;
    let head = "Subject: status\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000";
    line.say(&format!("{head}\r\n\r\nmailed={number}\r\n.\r\n"), "250")
}

fn post(line: &mut Line, number: u64) -> Option<()> {
    let point = format!(r#"{{"timeUnixNano": "1700000000000000000", "asDouble": {number}}}"#);
    let metric = format!(r#"{{"name": "posted", "gauge": {{"dataPoints": [{point}]}}}}"#);
    let body = format!(r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{metric}]}}]}}]}}"#);
    let length = body.len();
    let head = "POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/json";
    line.write(&format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"))?;
    let is_ok = line.read()?.starts_with("HTTP/1.1 200 ");
    let mut length = 0;
    loop {
        let header = line.read()?.to_ascii_lowercase();
        match header.trim().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => (),
            None => break,
        }
    }
    line.0.read_exact(&mut vec![0; length]).ok()?;
    is_ok.then_some(())
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_exactly_once() {
    if !are_here(&[]) {
        return;
    }
    let bridge = Bridge::new(2, |bridge| {
        let [smtp, otlp] = [0, 1].map(|place| bridge.addresses[place].to_string());
        let trusted = "trusted_networks = [\"127.0.0.0/8\"]";
        format!(
            "[smtp]\nlisten = [{smtp:?}]\nhostname = \"bridge.example.com\"\n{trusted}\n\
             mailboxes = {{ telemetry = \"acme\" }}\nmails_per_minute = 1000000\n\
             [otlp]\nlisten = [{otlp:?}]\ntenant = \"acme\"\n{trusted}"
        )
    });
    let (mails, posts) = (Outbox::new(greet, mail), Outbox::new(|_| Some(()), post));
    let mut random = ChaCha20Rng::seed_from_u64(50);
    for _ in 0..KILLS {
        let daemon = bridge.start();
        mails.now.store(0, Ordering::Relaxed);
        posts.now.store(0, Ordering::Relaxed);
        let senders = mails.senders(bridge.addresses[0]).chain(posts.senders(bridge.addresses[1]));
        let senders: Vec<_> = senders.collect();
        let kill_after = random.next_u64() % 30;
        while mails.now.load(Ordering::Relaxed).min(posts.now.load(Ordering::Relaxed)) < kill_after {
            assert!(!senders.iter().all(JoinHandle::is_finished), "{}", bridge.log());
            thread::yield_now();
        }
        // Dropped, it is killed with SIGKILL.
        drop(daemon);
        for sender in senders {
            sender.join().unwrap();
        }
    }
    mails.check(&bridge, "mailed");
    posts.check(&bridge, "posted");
}
