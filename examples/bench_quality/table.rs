//! Means as a table for people.

use super::line::Mean;

/// What stands above [`cells`].
pub(crate) const HEAD: [&str; 9] = [
    "method",
    "who is judged",
    "VUS-PR",
    "95 % over seeds",
    "95 % over machines",
    "AUC-PR",
    "AUC-ROC",
    "HitRate@100%",
    "HitRate@150%",
];

/// A row of a table.
pub(crate) fn cells(mean: &Mean) -> [String; HEAD.len()] {
    let line = &mean.line;
    [
        line.method.to_owned(),
        line.setting.to_string(),
        figure(Some(line.vus_pr)),
        range(mean.over_seeds),
        range(mean.over_machines),
        figure(Some(line.auc_pr)),
        figure(Some(line.auc_roc)),
        figure(line.hitrate_100),
        figure(line.hitrate_150),
    ]
}

/// A row for each method in each setting.
pub(crate) fn table(means: &[Mean]) -> Vec<String> {
    let head = format!("| {} |", HEAD.join(" | "));
    let rule = format!("|{}", "---|".repeat(HEAD.len()));
    let row = |mean: &Mean| format!("| {} |", cells(mean).join(" | "));
    [head, rule].into_iter().chain(means.iter().map(row)).collect()
}

/// A figure between 0 and 1, or that there is none.
pub(crate) fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// The ends of an interval, or that there is none.
fn range(interval: Option<[f64; 2]>) -> String {
    interval.map_or("-".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}"))
}
