//! Recorded telemetry, of which nobody says that something was wrong.

use std::path::Path;

use anyhow::{Context, Result};
use examples::recorded;
use node::detect::DriftPolicy;

use crate::Line;
use crate::watched::{Node, detector};

/// What becomes of the machines of a folder: two thirds of each one's telemetry are history, the rest comes live.
pub(crate) fn line(dir: &Path, interval_s: u64, policy: &DriftPolicy) -> Result<Line> {
    let mut ended = Vec::new();
    for folder in recorded::folders(dir)? {
        let (metrics, rows) = recorded::table(&folder.join("train.csv.gz"))?;
        let records = recorded::records(&recorded::name(&folder), &metrics, rows, (0, interval_s));
        let (history, live) = records.split_at(records.len() * 2 / 3);
        let place = || folder.display().to_string();
        let mut node = Node::after(history, &detector(history).with_context(place)?, policy)?;
        ended.push((node.until_told(live)?, node.inputs_watched()));
    }
    Ok(Line::of(format!("{}, recorded", recorded::name(dir)), policy.block_s, &ended))
}
