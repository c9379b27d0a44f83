//! Series of the Numenta Anomaly Benchmark: bars of all together, and a table of each.

use examples::page::bars::{self, Bar, Group};

use super::{methods_key, table};
use crate::nab::{METHODS, Mean, range, score};

pub(super) fn section(means: &[Mean]) -> String {
    let all: Vec<&Mean> = means.iter().filter(|mean| mean.line.node.is_none()).collect();
    let bar = |mean: &&Mean| Bar {
        name: mean.line.method,
        value: mean.line.nab_score.unwrap_or_default(),
        interval: mean.over_seeds,
    };
    let groups = [Group { name: "all series", bars: all.iter().map(bar).collect() }];
    let series = |of: &[Mean]| {
        let name = of[0].line.node.clone().unwrap_or_else(|| "all series".to_owned());
        let cells = of.iter().map(|mean| score(mean.line.nab_score));
        [name, of[0].line.windows.to_string()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = means.chunks(METHODS.len()).map(series).collect();
    let head: Vec<&str> = ["series", "windows"].into_iter().chain(METHODS).collect();
    let found = |mean: &&Mean| {
        let line = &mean.line;
        let (found, alarms) =
            (format!("{:.1} of {}", line.found, line.windows), format!("{:.0}", line.false_alarms));
        vec![line.method.to_owned(), score(line.nab_score), range(mean.over_seeds), found, alarms]
    };
    let found: Vec<Vec<String>> = all.iter().map(found).collect();
    format!(
        "<section>\n<h2>Methods</h2>\n<p>Scores of the standard profile (Lavin and Ahmad 2015) with the threshold that is best for \
         the method on all series: 0 for no alarm at all, 100 for one on the first record of each window with an anomaly and no \
         other. The first 15 % of a series, at most 750 records, are for training and not judged; what is usual is learned on. \
         The line over a bar is the 95 % interval of Student's t over the seeds.</p>\n{}<figure>\n{}</figure>\n{}</section>\n\
         <section>\n<h2>Each series</h2>\n{}</section>\n",
        methods_key(&METHODS),
        bars::grouped("score of each method on all series", 100.0, &groups),
        table(&["method", "score", "95 % over seeds", "windows found", "false alarms"], &found),
        table(&head, &rows)
    )
}
