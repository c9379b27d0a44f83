//! The report: one HTML page that needs nothing else.

mod benchmark;
mod history;
mod machine;
mod settings;

use std::fmt::Write as _;

use examples::page::{self, escape, key};

use super::compare::{METHODS, Seen};
use super::line::{Line, Mean, Setting, distinct, settings};
use super::nab;
use super::options::Options;

/// What each method does.
const MEANING: [&str; METHODS.len()] = [
    "by chance",
    "the federated model, measured by what all machines know together and what the machine has seen itself",
    "the same, measured anew while the machine's own telemetry grows",
    "the mean of the metrics' absolute z-scores",
    "what the principal components with 90 % of the variance of the machine's own history leave over, calibrated as the errors \
     of a model are",
    "a model that the machine trained alone",
    "one that all machines trained together, each on its own telemetry",
    "the same, its alarms explained by integrated gradients of their scores and not by the errors of each metric",
    "the federated one, with its last layer trained on for a little while by the machine alone",
    "the federated one, all of it trained on for a little while by the machine alone",
    "of the ones trained alone or by all, and these two, the one that foresees best what the machine kept from training",
    "one that was trained on all telemetry in one place",
];

/// The page on a data set or the built-in fleet.
pub(crate) fn quality(options: &Options, lines: &[Line], means: &[Mean], seen: &[(Setting, Seen)]) -> String {
    let dataset = lines.first().map_or("", |line| &line.dataset);
    let settings = settings(lines);
    let first = settings.first().copied();
    let machines = distinct(lines.iter().map(|line| &line.node)).len();
    let mut tiles = vec![
        (format!("{machines} × {}", options.seeds), "machines that are judged, and seeds".to_owned()),
        (options.rounds.to_string(), "rounds, or passes of who trains alone".to_owned()),
    ];
    for mean in means.iter().filter(|mean| ["pca", "local", "federated"].contains(&mean.line.method)) {
        if Some(mean.line.setting) == first {
            let what = format!("mean VUS-PR, {}; {}", mean.line.method, mean.line.setting);
            tiles.push((format!("{:.3}", mean.line.vus_pr), what));
        }
    }
    let mut content = head(&format!("How well faults are found: {dataset}"), &tiles);
    content.push_str(&settings::section(&settings, means));
    content.push_str(&history::section(&settings, means));
    content.push_str(
        "<section>\n<h2>What the federated model said of each machine</h2>\n<p>With the first seed, by the machine's own \
         scaling and calibration. ",
    );
    content.push_str(page::strip::KEY);
    content.push_str("</p>\n");
    let of_first = seen.iter().filter(|(setting, _)| Some(*setting) == first);
    of_first.for_each(|(_, seen)| content.push_str(&machine::figures(seen)));
    content.push_str("</section>\n");
    page::html(&format!("Starling: quality on {dataset}"), &content)
}

/// The page on series of the Numenta Anomaly Benchmark.
pub(crate) fn nab(options: &Options, means: &[nab::Mean]) -> String {
    let all = || means.iter().filter(|mean| mean.line.node.is_none());
    let series = means.iter().filter(|mean| mean.line.node.is_some()).count() / nab::METHODS.len();
    let mut tiles = vec![
        (format!("{series} × {}", options.seeds), "series, and seeds".to_owned()),
        (options.rounds.to_string(), "rounds, or passes of who trains alone".to_owned()),
    ];
    for mean in all().filter(|mean| ["z-score", "federated"].contains(&mean.line.method)) {
        tiles.push((nab::score(mean.line.nab_score), format!("of 100 on the whole, {}", mean.line.method)));
    }
    let mut content = head("How early faults are found: Numenta Anomaly Benchmark", &tiles);
    content.push_str(&benchmark::section(means));
    page::html("Starling: quality on series of the Numenta Anomaly Benchmark", &content)
}

/// What stands at the top: figures, each with what it is.
fn head(title: &str, tiles: &[(String, String)]) -> String {
    let tile = |(value, what): &(String, String)| {
        format!("<div><b>{}</b><span>{}</span></div>\n", escape(value), escape(what))
    };
    let tiles: String = tiles.iter().map(tile).collect();
    format!(
        "<header>\n<p class=\"brand\">Starling</p>\n<h1>{}</h1>\n<div class=\"tiles\">\n{tiles}</div>\n</header>\n",
        escape(title)
    )
}

/// What the colours of the methods mean, of those that are named.
fn methods_key(methods: &[&str]) -> String {
    let known = METHODS.iter().zip(MEANING).filter(|(method, _)| methods.contains(method));
    let mut text = "<p>".to_owned();
    for (method, meaning) in known {
        let _ = write!(text, "{} <b>{method}</b>: {meaning}. ", key(method));
    }
    text + "</p>\n"
}

/// A table out of cells, of which the first of each row is its head.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let named = |cell: &&str| format!("<th>{}</th>", escape(cell));
    let head: String = head.iter().map(named).collect();
    let mut text = format!("<div class=\"wide\">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n");
    for row in rows {
        let cell = |(index, cell): (usize, &String)| {
            let tag = if index == 0 { "th" } else { "td" };
            format!("<{tag}>{}</{tag}>", escape(cell))
        };
        let cells: String = row.iter().enumerate().map(cell).collect();
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text + "</tbody>\n</table>\n</div>\n"
}

#[cfg(test)]
mod tests;
