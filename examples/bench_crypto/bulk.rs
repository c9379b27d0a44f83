//! Sealing and opening of a large value, on one core.

use std::fmt;
use std::hint::black_box;
use std::process::Command;

use anyhow::{Context, Result};
use common::crypto::{EpochRoot, Identity, Kind, Opener, Sealer, Subject, Suite};
use common::id::{EpochId, RoundId, RunId, TenantId};
use edge::now;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// Bytes a second that sealing and opening should reach on one core.
const SPEED_MIN: f64 = 0.8e9;

/// Values that are sealed and opened; the fastest counts, since others may use the core.
const TIMES: usize = 5;

/// Bytes a second.
#[derive(Serialize)]
pub(crate) struct Speed {
    bytes: usize,
    sealing: f64,
    opening: f64,
    least: f64,
    /// `None` when there is no `openssl`.
    openssl: Option<f64>,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, sealing, opening, least, openssl } = self;
        let [sealing, opening, least] = [sealing, opening, least].map(|speed| speed / 1e9);
        write!(f, "{bytes} bytes: sealed at {sealing:.2} GB/s, opened at {opening:.2} (wanted: {least}); ")?;
        match openssl {
            Some(speed) => write!(f, "openssl, the cipher alone: {:.2} GB/s", speed / 1e9),
            None => write!(f, "there is no `openssl` to compare with"),
        }
    }
}

/// How fast a value of so many bytes is sealed to a group, and opened.
pub(crate) fn speed(bytes: usize) -> Result<Speed> {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let (identity, root) =
        (Identity::generate(&mut random), EpochRoot::generate(Suite::default(), &mut random));
    let plain: Vec<u8> = (0..bytes).map(|index| (index * 31 % 251) as u8).collect();
    let (tenant, run, round, epoch) = (TenantId([1; 16]), RunId([2; 16]), RoundId(3), EpochId(4));
    let subject = Subject { kind: Kind::Model, tenant, run, round, epoch, seq: 1, trace: [0; 16] };
    let (mut sealing, mut opening) = (0.0_f64, 0.0_f64);
    let (mut buffer, mut opened) = (Vec::new(), vec![0; bytes]);
    // Once more, so that all pages are there.
    for time in 0..=TIMES {
        let began = now();
        let sealer = Sealer { identity: &identity, subject, next_package: None, buffer };
        let sealed = sealer.seal_to_group(black_box(&plain[..]), &root, &mut random)?;
        let between = now();
        let manifest = sealed.manifest().verify(identity.public())?;
        let mut opener = Opener::for_group(&manifest, &root)?;
        for index in 0..sealed.chunks() {
            let chunk = sealed.chunk(index).context("a value has as many chunks as it says")?;
            opener.open_chunk(index, &chunk, black_box(&mut opened))?;
        }
        opener.finish()?;
        let ended = now();
        if time > 0 {
            sealing = sealing.max(bytes as f64 * 1e6 / between.micros_since(began) as f64);
            opening = opening.max(bytes as f64 * 1e6 / ended.micros_since(between) as f64);
        }
        buffer = sealed.into_buffer();
    }
    Ok(Speed { bytes, sealing, opening, least: SPEED_MIN, openssl: openssl() })
}

/// What `openssl speed` says of the cipher, for messages as long as a record.
fn openssl() -> Option<f64> {
    let args = ["speed", "-mr", "-seconds", "2", "-evp", "chacha20-poly1305", "-bytes", "16384"];
    let said = Command::new("openssl").args(args).output().ok()?;
    // `+F:number:name:bytes a second` for each length.
    let text = String::from_utf8(said.stdout).ok()?;
    let line = text.lines().find(|line| line.starts_with("+F:"))?;
    line.rsplit(':').next()?.parse().ok()
}
