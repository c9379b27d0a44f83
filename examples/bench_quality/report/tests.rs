use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Parser;
use common::model::MetricName;

use super::*;
use crate::dataset::Fault;
use crate::line::means;
use crate::line::samples::line;
use crate::verdicts::Verdicts;

const HOSTILE: &str = "<script>alert(\"x\")</script>&'";

fn options() -> Options {
    Options::parse_from(["bench-quality", "--seeds", "2"])
}

fn lines(settings: &[Setting]) -> Vec<Line> {
    let of = |setting: &Setting| {
        let setting = *setting;
        METHODS.into_iter().flat_map(move |method| {
            [(1, "a", 0.3), (1, HOSTILE, 0.5), (2, "a", 0.4), (2, HOSTILE, 0.6)]
                .map(|(seed, node, value)| line(setting, method, seed, node, value))
        })
    };
    settings.iter().flat_map(of).collect()
}

fn seen() -> Seen {
    let metrics: Arc<[MetricName]> = ["<cpu>", "disk"].map(|name| MetricName::try_from(name).unwrap()).into();
    let fault = |start, causes: &[usize]| Fault {
        rows: start..start + 40,
        name: "fault",
        causes: causes.iter().copied().collect::<BTreeSet<usize>>(),
    };
    let scores = (0..600).map(|row| (row > 0).then(|| if (100..140).contains(&row) { 9.0 } else { 0.4 }));
    let verdicts = Verdicts {
        scores: scores.collect(),
        contributions: vec![vec![3.0, 1.0], vec![0.0, 0.0], vec![0.0, 2.0]],
        attributions: vec![vec![2.5, 1.5], vec![0.0, 0.0], vec![-0.5, 2.5]],
        threshold: Some(2.0),
    };
    let faults = vec![fault(100, &[0]), fault(300, &[]), fault(500, &[0, 1])];
    Seen { node: HOSTILE.to_owned(), metrics, faults, verdicts }
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn the_page_is_whole_and_names_from_files_cannot_become_markup() {
    let lines = lines(&[Setting::All]);
    let page = quality(&options(), &lines, &means(&lines), &[(Setting::All, seen())]);
    assert_eq!(page::fault(&page), None);
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;"));
    assert!(page.contains("&lt;cpu&gt;"));
    assert_eq!(page::fault(&quality(&options(), &[], &[], &[])), None);
}

#[test]
fn bars_and_rows_are_as_many_as_methods_in_settings_and_have_intervals() {
    let settings = [Setting::Newcomers(1), Setting::Newcomers(5), Setting::Newcomers(100)];
    let means = means(&lines(&settings));
    let section = settings::section(&settings, &means);
    let cells = settings.len() * METHODS.len();
    assert_eq!((count(&section, "<rect"), count(&section, "class=\"whisker\"")), (cells, 3 * cells));
    assert_eq!(count(&section, "<tr>"), 1 + cells);
    for method in METHODS {
        assert_eq!(count(&section, &format!("key {method}\"")), 1, "{method}");
    }
}

#[test]
fn newcomers_have_a_line_for_each_method_with_a_point_for_each_part_of_their_history() {
    let settings = [Setting::Newcomers(100), Setting::Newcomers(1)];
    let section = history::section(&settings, &means(&lines(&settings)));
    assert_eq!((count(&section, "<path"), count(&section, "<circle")), (METHODS.len(), 2 * METHODS.len()));
    assert!(section.find(">1 %<") < section.find(">100 %<"), "in order: {section}");
    assert_eq!(history::section(&[Setting::All], &means(&lines(&[Setting::All]))), "");
}

#[test]
fn a_machine_has_a_cell_for_each_metric_and_fault_and_a_frame_around_each_known_cause() {
    let figures = machine::figures(&seen());
    assert_eq!((count(&figures, "class=\"heat "), count(&figures, "class=\"cause\"")), (2 * 2 * 3, 2 * 3));
    assert!(figures.contains("&lt;cpu&gt;, fault 1: 75 % of the score, a known cause"), "{figures}");
    assert!(figures.contains("1 of 3 faults raised an alarm"), "{figures}");
    assert!(figures.contains("<td>disk 100 %, &lt;cpu&gt; 0 %</td><td>&lt;cpu&gt;, disk</td>"), "{figures}");
    assert!(!figures.contains("NaN"));
}
