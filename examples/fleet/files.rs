//! A machine as files: the layout of the public server data sets that the demo also reads.
//!
//! ```text
//! train.csv.gz         a column a metric, a row a record; a missing value is an empty cell
//! test.csv.gz          the same, right after it
//! test_label.csv.gz    a column `label`: 1 where a record of the test is part of a fault
//! interpretation.csv   start,end_inclusive,features: the faults, with the columns that show them
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{METRICS, Machine, Row};

/// Writes a machine into a folder of its own.
///
/// # Errors
///
/// When the folder or a file cannot be written.
pub fn write(machine: &Machine, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pack(&folder.join("train.csv.gz"), &telemetry(&machine.training))?;
    pack(&folder.join("test.csv.gz"), &telemetry(&machine.test))?;
    let labels = machine.labels().into_iter().map(|label| if label { "1\n" } else { "0\n" });
    pack(&folder.join("test_label.csv.gz"), &format!("label\n{}", labels.collect::<String>()))?;
    fs::write(folder.join("interpretation.csv"), interpretation(machine))
}

fn pack(path: &Path, text: &str) -> io::Result<()> {
    let mut packed = GzEncoder::new(File::create(path)?, Compression::fast());
    packed.write_all(text.as_bytes())?;
    packed.finish()?.flush()
}

fn telemetry(rows: &[Row]) -> String {
    let mut text = METRICS.join(",");
    text.push('\n');
    for row in rows {
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                text.push(',');
            }
            // Counters of bytes need no fraction; small numbers need three digits of it.
            let digits = if value.abs() >= 1_000.0 { 0 } else { 3 };
            if !value.is_nan() {
                let _ = write!(text, "{value:.digits$}");
            }
        }
        text.push('\n');
    }
    text
}

fn interpretation(machine: &Machine) -> String {
    let mut text = "start,end_inclusive,features\n".to_owned();
    for fault in &machine.faults {
        let features: Vec<String> = fault.metrics.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{},{},{}", fault.start, fault.end_inclusive, features.join(" "));
    }
    text
}
