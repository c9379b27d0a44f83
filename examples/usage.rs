//! What a process has used, and what went over loopback, as Linux counts them under `/proc`.

use std::fs;

use anyhow::{Context, Result};
pub use edge::cpu_s;

/// The most memory that a process has held, in megabytes (proc(5): `VmHWM`).
///
/// # Errors
///
/// When there is no such process.
pub fn rss_peak_mb(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context(path)?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}

/// Seconds of CPU that the living threads of a process have used so far, to the nanosecond (`/proc/PID/task/*/schedstat`).
///
/// # Errors
///
/// When there is no such process.
pub fn running_s(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/task");
    let mut nanoseconds = 0;
    for thread in fs::read_dir(&path).with_context(|| path.clone())? {
        // A thread that ends in this moment is not counted.
        let schedstat = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds +=
            schedstat.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Bytes sent over loopback so far by all processes (proc(5): `/proc/net/dev`).
///
/// # Errors
///
/// When the system does not say.
pub fn loopback_bytes() -> Result<u64> {
    interface_bytes(std::process::id(), "lo")
}

/// Bytes sent so far over an interface of the network that a process is in (proc(5): `/proc/PID/net/dev`).
///
/// # Errors
///
/// When there is no such process or interface.
pub fn interface_bytes(process: u32, interface: &str) -> Result<u64> {
    let path = format!("/proc/{process}/net/dev");
    let table = fs::read_to_string(&path).with_context(|| path.clone())?;
    let mut lines = table.lines().filter_map(|line| line.trim().split_once(':'));
    let (_, counts) =
        lines.find(|(name, _)| *name == interface).with_context(|| format!("no {interface} in {path}"))?;
    Ok(counts.split_whitespace().nth(8).context(path)?.parse()?)
}
