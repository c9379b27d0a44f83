//! Newcomers: what their history is worth to each method.

use examples::page::lines::{self, Point};

use super::table;
use crate::compare::METHODS;
use crate::line::{Mean, Setting};
use crate::table::figure;

/// Nothing, unless newcomers were judged with several parts of their history.
pub(super) fn section(settings: &[Setting], means: &[Mean]) -> String {
    let percent = |setting: &Setting| match setting {
        Setting::Newcomers(percent) => Some(*percent),
        Setting::All => None,
    };
    let mut percents: Vec<u8> = settings.iter().filter_map(percent).collect();
    percents.sort_unstable();
    if percents.len() < 2 {
        return String::new();
    }
    let mean = |method: &str, percent: u8| {
        let is_of =
            |mean: &&Mean| mean.line.method == method && mean.line.setting == Setting::Newcomers(percent);
        means.iter().find(is_of)
    };
    let line = |name: &'static str| {
        let point = |mean: &Mean| Point { value: mean.line.vus_pr, interval: mean.drawn() };
        let points = percents.iter().filter_map(|percent| mean(name, *percent)).map(point);
        lines::Line { name, points: points.collect() }
    };
    let steps: Vec<String> = percents.iter().map(|percent| format!("{percent} %")).collect();
    let drawn: Vec<lines::Line<'_>> = METHODS.into_iter().map(line).collect();
    let row = |method: &str| {
        let cells =
            percents.iter().map(|percent| figure(mean(method, *percent).map(|mean| mean.line.vus_pr)));
        [method.to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = METHODS.into_iter().map(row).collect();
    let head: Vec<&str> = ["method"].into_iter().chain(steps.iter().map(|step| &**step)).collect();
    format!(
        "<section>\n<h2>What a newcomer's history is worth</h2>\n<p>Mean VUS-PR of machines that did not train with the others, \
         by how much of their history they have for scaling, calibration and training.</p>\n<figure>\n{}</figure>\n{}</section>\n",
        lines::plot(
            "VUS-PR of each method over the percent of its history that a newcomer has",
            "history of the newcomer",
            &steps,
            &drawn
        ),
        table(&head, &rows)
    )
}
