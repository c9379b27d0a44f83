//! Mail: how many are taken in, and what the disk and stalled senders have to do with it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use examples::usage::{cpu_s, rss_peak_mb};

use crate::screen::{Figure, Screen};
use crate::servers::{Server, System};
use crate::stalled;

const SOURCE: &str = "smtp";
const UNIT: &str = "mails";

/// Mails for each figure and bytes of a mail.
pub(crate) fn measure(dir: &Path, (mails, mail_bytes): (u32, u32), screen: &Screen) -> Result<()> {
    screen.begin(SOURCE, 4 * System::ALL.len() as u64);
    let mut done = 0;
    for senders in [200, 50, 10, 1] {
        let mails = if senders == 1 { mails / 10 } else { mails };
        for system in System::ALL {
            screen.at(done);
            done += 1;
            let Some(server) = Server::start(system, &dir.join(format!("{system:?}-{senders}")))? else {
                continue;
            };
            let before_s = cpu_s(server.process())?;
            let per_s = send(&server, senders, mails, mail_bytes)?;
            let used_s = cpu_s(server.process())? - before_s;
            screen.show(&Figure {
                source: SOURCE,
                case: format!("{senders} senders"),
                system: system.name(),
                unit: UNIT,
                per_s,
                per_cpu_s: Some(f64::from(mails) / used_s),
                rss_mb: rss_peak_mb(server.process())?,
            })?;
        }
    }
    screen.show(&Figure {
        source: "disk",
        case: "append 1 kB and fdatasync".into(),
        system: "-",
        unit: "syncs",
        per_s: syncs_per_s(dir)?,
        per_cpu_s: None,
        rss_mb: 0.0,
    })?;
    let server = Server::start(System::Starling, &dir.join("stalled"))?.context("the bridge")?;
    let stalled = stalled::senders(server.address(), 500)?;
    screen.show(&Figure {
        source: SOURCE,
        case: format!("{} stalled senders", stalled.len()),
        system: System::Starling.name(),
        unit: UNIT,
        per_s: 0.0,
        per_cpu_s: None,
        rss_mb: rss_peak_mb(server.process())?,
    })
}

/// Mails a second that `smtp-source` gets rid of, from its start to its end.
fn send(server: &Server, senders: u32, mails: u32, mail_bytes: u32) -> Result<f64> {
    let began = edge::now();
    let output = Command::new("smtp-source")
        .args(["-f", "load@example.com", "-t", "telemetry@bridge.example.com"])
        .args(["-s", &senders.to_string(), "-m", &mails.to_string(), "-l", &mail_bytes.to_string()])
        .arg(format!("inet:{}", server.address()))
        .stdin(Stdio::null())
        .output()
        .context("cannot run `smtp-source`; the package `postfix` has it")?;
    let took_s = edge::now().micros_since(began) as f64 / 1e6;
    if !output.status.success() {
        bail!("smtp-source: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(f64::from(mails) / took_s)
}

/// What the disk of this folder does by itself: the ceiling for one sender who waits for each mail.
fn syncs_per_s(dir: &Path) -> Result<f64> {
    use std::io::Write;
    const SYNCS: u32 = 500;
    let mut file = std::fs::File::create(dir.join("syncs"))?;
    let began = edge::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 1000])?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) / (edge::now().micros_since(began) as f64 / 1e6))
}
