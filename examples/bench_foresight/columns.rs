//! Columns of a CSV file, packed with gzip.

use std::path::Path;

use anyhow::{Context, Result};
use examples::unpacked;

/// The columns of these names, row after row; a cell without a number is not known.
///
/// # Errors
///
/// Names the file, and the column that it has not.
pub(crate) fn read<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<[f64; N]>> {
    let text = unpacked(path)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let found = header.iter().position(|name| *name == column);
        *place = found.with_context(|| format!("{}: no column {column:?}", path.display()))?;
    }
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        places.map(|place| cells.get(place).and_then(|cell| cell.trim().parse().ok()).unwrap_or(f64::NAN))
    };
    Ok(lines.filter(|line| !line.is_empty()).map(row).collect())
}
