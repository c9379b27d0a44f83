//! One machine: its scores over time, and which metrics had part in them.

use examples::fleet;
use examples::page::escape;
use examples::page::strip::{self, Stretch, Strip};
use examples::page::svg::{Anchor, Drawing};

use super::table;
use crate::compare::Seen;
use crate::verdicts::Verdicts;

const WIDTH: f64 = 1000.0;
/// Room for the names of metrics, and of faults.
const LEFT: f64 = 190.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;
/// Height of a metric, the most width of a fault, and the room between two.
const ROW: f64 = 17.0;
const COLUMN_MAX: f64 = 74.0;
const APART: f64 = 2.0;
/// Shades of a cell.
const SHADES: f64 = 9.0;
/// Metrics that are drawn, those with the largest parts, and metrics that the table names of a fault.
const METRICS_MAX: usize = 40;
const NAMED: usize = 3;

pub(super) fn figures(seen: &Seen) -> String {
    let threshold = seen.verdicts.threshold.unwrap_or_default();
    let scores = &seen.verdicts.scores;
    let alarms: Vec<bool> = scores.iter().map(|score| score.is_some_and(|score| score > threshold)).collect();
    let stretch = |fault: &crate::dataset::Fault| Stretch {
        start: fault.rows.start,
        end_inclusive: fault.rows.end - 1,
        name: fault.name,
    };
    let faults: Vec<Stretch> = seen.faults.iter().map(stretch).collect();
    let strip = Strip {
        name: &seen.node,
        badge: None,
        scores,
        alarms: &alarms,
        threshold,
        faults: &faults,
        day: fleet::DAY,
    };
    let head = ["fault", "records", "largest parts of the scores", "known causes"];
    let of_parts = |(of, parts): (&str, &Vec<Vec<f64>>)| {
        format!(
            "<figure>\n<figcaption><p>The part that each metric's {of} had of the scores during each fault; \
             a frame around a known cause.</p></figcaption>\n{}</figure>\n\
             <details><summary>{}: the largest parts of {of}</summary>\n{}</details>\n",
            map(seen, parts, of),
            escape(&seen.node),
            table(&head, &rows(seen, parts))
        )
    };
    let Verdicts { contributions, attributions, .. } = &seen.verdicts;
    let ways = [("error", contributions), ("values, by integrated gradients,", attributions)];
    strip::figure(&strip) + &ways.map(of_parts).concat()
}

/// What share of the scores during a fault each metric has.
fn shares(contributions: &[f64]) -> Vec<f64> {
    let all: f64 = contributions.iter().sum();
    contributions.iter().map(|part| if all > 0.0 { part / all } else { 0.0 }).collect()
}

/// Places of the metrics with the largest values, the largest first.
fn largest(values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|one, other| values[*other].total_cmp(&values[*one]).then(one.cmp(other)));
    places
}

/// Metrics by faults: the darker, the larger the part.
fn map(seen: &Seen, parts: &[Vec<f64>], of: &str) -> String {
    let by_fault: Vec<Vec<f64>> = parts.iter().map(|of| shares(of)).collect();
    let totals: Vec<f64> =
        (0..seen.metrics.len()).map(|metric| by_fault.iter().map(|shares| shares[metric]).sum()).collect();
    let mut drawn: Vec<usize> = largest(&totals).into_iter().take(METRICS_MAX).collect();
    drawn.sort_unstable();
    let height = TOP + ROW * drawn.len() as f64 + BOTTOM;
    let shows = format!("parts of each metric's {of} in the scores of {} during each fault", seen.node);
    let mut drawing = Drawing::new(WIDTH, height, &shows);
    let column = ((WIDTH - LEFT) / by_fault.len().max(1) as f64).min(COLUMN_MAX);
    for (line, metric) in drawn.iter().enumerate() {
        let y = TOP + ROW * line as f64;
        drawing.text("small", Anchor::End, (LEFT - 8.0, y + ROW - 5.0), &seen.metrics[*metric]);
        for (index, (shares, fault)) in by_fault.iter().zip(&seen.faults).enumerate() {
            let place = [LEFT + column * index as f64, y, column - APART, ROW - APART];
            let shade = (shares[*metric].clamp(0.0, 1.0).sqrt() * SHADES).round();
            let is_cause = fault.causes.contains(metric);
            let cause = if is_cause { ", a known cause" } else { "" };
            let title = format!(
                "{}, {} {}: {:.0} % of the score{cause}",
                &*seen.metrics[*metric],
                fault.name,
                index + 1,
                100.0 * shares[*metric]
            );
            drawing.rect(&format!("heat shade{shade}"), place, 2.0, &title);
            if is_cause {
                drawing.rect("cause", place, 2.0, "");
            }
        }
    }
    for index in 0..by_fault.len() {
        let middle = LEFT + column * (index as f64 + 0.5) - APART / 2.0;
        drawing.text("small", Anchor::Middle, (middle, height - 8.0), &(index + 1).to_string());
    }
    drawing.finish()
}

/// The same for those who read.
fn rows(seen: &Seen, parts: &[Vec<f64>]) -> Vec<Vec<String>> {
    let row = |(index, (fault, contributions)): (usize, (&crate::dataset::Fault, &Vec<f64>))| {
        let shares = shares(contributions);
        let part = |metric: usize| format!("{} {:.0} %", &*seen.metrics[metric], 100.0 * shares[metric]);
        let named: Vec<String> = largest(&shares).into_iter().take(NAMED).map(part).collect();
        let causes: Vec<&str> = fault.causes.iter().map(|metric| &*seen.metrics[*metric]).collect();
        vec![
            format!("{} {}", fault.name, index + 1),
            format!("{} to {}", fault.rows.start, fault.rows.end - 1),
            named.join(", "),
            if causes.is_empty() { "-".to_owned() } else { causes.join(", ") },
        ]
    };
    seen.faults.iter().zip(parts).enumerate().map(row).collect()
}
