//! Means as a table for people: a row for each series, a column for each method.

use super::METHODS;
use super::line::Mean;

/// Each row begins with the name of a series, or says that it is of all together.
pub(super) fn table(means: &[Mean]) -> Vec<String> {
    let head = format!("| series | windows | {} |", METHODS.join(" | "));
    let rule = format!("|---|---|{}", "---|".repeat(METHODS.len()));
    let row = |of: &[Mean]| {
        let cells: Vec<String> = of.iter().map(|mean| score(mean.line.nab_score)).collect();
        let name = of[0].line.node.as_deref().unwrap_or("all");
        format!("| {name} | {} | {} |", of[0].line.windows, cells.join(" | "))
    };
    let found = |of: &[Mean]| {
        let cells = of.iter().map(|mean| format!("{:.1}, {:.0}", mean.line.found, mean.line.false_alarms));
        format!("| found, false alarms | | {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let over_seeds = |of: &[Mean]| {
        let cells = of.iter().map(|mean| range(mean.over_seeds));
        format!("| 95 % over seeds | | {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rows = means.chunks(METHODS.len());
    let all = rows.clone().last().into_iter().flat_map(|all| [found(all), over_seeds(all)]);
    [head, rule].into_iter().chain(rows.map(row)).chain(all).collect()
}

/// A score of the benchmark, or that there is none.
pub(crate) fn score(score: Option<f64>) -> String {
    score.map_or("-".to_owned(), |score| format!("{score:.1}"))
}

/// The ends of an interval, or that there is none.
pub(crate) fn range(interval: Option<[f64; 2]>) -> String {
    interval.map_or("-".to_owned(), |[low, high]| format!("{low:.1} to {high:.1}"))
}
