//! Each method in each setting: bars, and the figures.

use examples::page::bars::{self, Bar, Group};

use super::{methods_key, table};
use crate::compare::METHODS;
use crate::line::{Mean, Setting};
use crate::table::{HEAD, cells};

pub(super) fn section(settings: &[Setting], means: &[Mean]) -> String {
    let names: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let bar = |mean: &Mean| Bar { name: mean.line.method, value: mean.line.vus_pr, interval: mean.drawn() };
    let bars =
        |setting: &Setting| means.iter().filter(|mean| mean.line.setting == *setting).map(bar).collect();
    let groups: Vec<Group<'_>> =
        settings.iter().zip(&names).map(|(setting, name)| Group { name, bars: bars(setting) }).collect();
    let rows: Vec<Vec<String>> = means.iter().map(|mean| cells(mean).to_vec()).collect();
    format!(
        "<section>\n<h2>Methods</h2>\n<p>Volume under the precision-recall surface (VUS-PR, 1 is perfect) on labelled telemetry \
         that is later than all training: means over machines and seeds. The line over a bar is the 95 % interval of Student's t \
         over the means of the seeds (over those of the machines where there is but one seed).</p>\n{}<figure>\n{}</figure>\n{}</section>\n",
        methods_key(&METHODS),
        bars::grouped("mean VUS-PR of each method in each setting", 1.0, &groups),
        table(&HEAD, &rows)
    )
}
