//! A method's figures, and the table of their means.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a method is worth in a setting, with a seed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) setting: String,
    pub(crate) method: &'static str,
    pub(crate) seed: u64,
    /// By their names.
    #[serde(flatten)]
    pub(crate) figures: BTreeMap<&'static str, f64>,
}

/// Means over the seeds, and in brackets the least and the most of one; settings and methods in the order in which they came.
pub(crate) fn table(lines: &[Line]) -> Vec<String> {
    let mut out = Vec::new();
    let mut told: Vec<(&str, &str)> = Vec::new();
    for line in lines {
        let key = (&*line.setting, line.method);
        if told.contains(&key) {
            continue;
        }
        if told.last().is_none_or(|(setting, _)| *setting != key.0) {
            let names: Vec<&str> = line.figures.keys().copied().collect();
            out.push(format!("| {} | {} |", line.setting, names.join(" | ")));
            out.push(format!("|---|{}", "---|".repeat(names.len())));
        }
        told.push(key);
        let same: Vec<&Line> = lines.iter().filter(|other| (&*other.setting, other.method) == key).collect();
        let cells: Vec<String> = line.figures.keys().map(|figure| cell(&same, figure)).collect();
        out.push(format!("| {} | {} |", line.method, cells.join(" | ")));
    }
    out
}

fn cell(lines: &[&Line], figure: &str) -> String {
    let values: Vec<f64> = lines.iter().filter_map(|line| line.figures.get(figure).copied()).collect();
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (least, most) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(*value), most.max(*value)));
    if values.len() < 2 { format!("{mean:.3}") } else { format!("{mean:.3} ({least:.3} - {most:.3})") }
}
