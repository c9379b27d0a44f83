//! OTLP over HTTP: data points that go over loopback into the spool of the bridge.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use common::id::TenantId;
use common::units::Timestamp;
use examples::usage::{cpu_s, rss_peak_mb};
use ingest::otlp::{Encoding, Request, Signal};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::bodies;
use crate::screen::{Figure, Screen};
use crate::servers::{Server, System};

/// Requests that are made before the time is taken, and sent in turn.
const BODIES: u64 = 16;

/// How the bodies are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Identity,
    Gzip,
}

impl Packing {
    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
        }
    }
}

/// Measures with `points` data points a figure.
pub(crate) fn measure(dir: &Path, points: u64, screen: &Screen) -> Result<()> {
    let count = points.div_ceil(bodies::POINTS);
    let mut random = ChaCha20Rng::seed_from_u64(0);
    let plain: Vec<Vec<u8>> =
        (0..BODIES).map(|turn| bodies::request(1_760_000_000 + turn * 60, &mut random)).collect();
    for packing in [Packing::Identity, Packing::Gzip] {
        let requests = plain.iter().map(|body| request(body, packing)).collect::<Result<Vec<_>>>()?;
        for senders in [4, 1] {
            for system in [System::Starling, System::StarlingUnsynced] {
                let kilobytes = requests[0].len() / 1000;
                let what = format!("{senders} senders, {} of {kilobytes} kB", packing.name());
                screen.begin(format!("otlp: {what}, {}", system.name()), count);
                let dir = dir.join(format!("otlp-{packing:?}-{senders}-{system:?}"));
                let server = Server::otlp(system, &dir)?;
                let (before_s, began) = (cpu_s(server.process())?, edge::now());
                send(server.address(), senders, &requests, count, screen)?;
                let took_s = edge::now().micros_since(began) as f64 / 1e6;
                let used_s = cpu_s(server.process())? - before_s;
                let sent = (count * bodies::POINTS) as f64;
                screen.show(&Figure {
                    source: "otlp",
                    case: what,
                    system: system.name(),
                    unit: "points",
                    per_s: sent / took_s,
                    per_cpu_s: Some(sent / used_s),
                    rss_mb: rss_peak_mb(server.process())?,
                })?;
                drop(server);
                std::fs::remove_dir_all(dir)?;
            }
        }
    }
    screen.show(&read_back(&plain, count)?)
}

/// What a consumer of the spool does with a request: records.
fn read_back(bodies: &[Vec<u8>], count: u64) -> Result<Figure> {
    let me = process::id();
    let (before_s, began) = (cpu_s(me)?, edge::now());
    for body in bodies.iter().cycle().take(usize::try_from(count / 8)?) {
        let request = Request::decode(Signal::Metrics, Encoding::Protobuf, body)?;
        let outcome = request.records(TenantId([0; 16]), "load", Timestamp(0));
        if outcome.rejected_count > 0 || outcome.records.is_empty() {
            bail!("{} records, and {:?}", outcome.records.len(), outcome.rejects.first());
        }
    }
    let points = (count / 8 * bodies::POINTS) as f64;
    Ok(Figure {
        source: "otlp",
        case: "bodies to records".into(),
        system: System::Starling.name(),
        unit: "points",
        per_s: points / (edge::now().micros_since(began) as f64 / 1e6),
        per_cpu_s: Some(points / (cpu_s(me)? - before_s)),
        rss_mb: rss_peak_mb(me)?,
    })
}

/// A whole HTTP request.
fn request(body: &[u8], packing: Packing) -> Result<Vec<u8>> {
    let packed = match packing {
        Packing::Identity => body.to_vec(),
        Packing::Gzip => bodies::gzip(body)?,
    };
    let encoding = if packing == Packing::Gzip { "Content-Encoding: gzip\r\n" } else { "" };
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Type: application/x-protobuf\r\n\
         {encoding}Content-Length: {}\r\n\r\n",
        packed.len()
    );
    Ok([head.as_bytes(), &packed].concat())
}

/// Sends `count` requests over `senders` connections, each with one request at a time.
fn send(
    address: SocketAddr,
    senders: usize,
    requests: &[Vec<u8>],
    count: u64,
    screen: &Screen,
) -> Result<()> {
    let turn = AtomicU64::new(0);
    let sender = || -> Result<()> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut replies = BufReader::new(stream.try_clone()?);
        loop {
            let number = turn.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            (&stream).write_all(&requests[(number % requests.len() as u64) as usize])?;
            accepted(&mut replies)?;
            screen.at(number);
        }
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..senders).map(|_| scope.spawn(sender)).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("a sender does not panic"))
    })
}

/// Reads an answer that must be 200.
fn accepted(replies: &mut impl BufRead) -> Result<()> {
    let (mut status, mut bytes) = (String::new(), 0);
    replies.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line)? == 0 {
            bail!("the bridge hangs up after {:?}", status.trim());
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            bytes = length.trim().parse().context("the length of an answer")?;
        }
    }
    let mut body = Vec::new();
    replies.take(bytes).read_to_end(&mut body)?;
    if !status.starts_with("HTTP/1.1 200") {
        bail!("the bridge says {}", status.trim());
    }
    Ok(())
}
