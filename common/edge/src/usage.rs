//! What a process has used, as Linux counts it under `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat` (`sysconf(_SC_CLK_TCK)`, 100 on every Linux).
const TICKS: f64 = 100.0;

/// Seconds of CPU that a process has used so far (proc(5): utime and stime, fields 14 and 15).
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_s(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field is a name in parentheses that may hold anything.
    let (_, fields) = stat.rsplit_once(')').context(path)?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_time_and_one_that_is_not_there_none() {
        assert!(cpu_s(std::process::id()).unwrap() >= 0.0);
        assert!(cpu_s(u32::MAX).is_err());
    }
}
