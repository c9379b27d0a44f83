use coordinator::view::{RoundView, RunView};

use super::*;
use crate::quality::Figures;
use examples::page::strip::Stretch;

fn verdict(node: &str, newcomer: bool) -> Verdict {
    let figures = Figures {
        node: node.into(),
        train_records: 360,
        vus_pr_local: 0.5,
        vus_pr_federated: 0.75,
        vus_pr_tuned: 0.7,
        auc_pr_federated: 0.6,
    };
    let scores =
        (0..600).map(|row| (row > 0).then(|| if (100..140).contains(&row) { 9.0 } else { 0.4 })).collect();
    let alarms = (0..600).map(|row| (110..145).contains(&row)).collect();
    let faults = vec![Stretch { start: 100, end_inclusive: 139, name: "stuck disk" }];
    Verdict { figures, newcomer, scores, alarms, threshold: 2.0, faults }
}

fn page(source: &str, verdicts: &[Verdict]) -> String {
    let phase_ms = [("reporting".to_owned(), 120.0), ("committing".to_owned(), 4.0)].into();
    let round =
        RoundView { round: 1, updates: 2, loss: 0.25, phase_ms, bytes: Some(40_000), ..RoundView::default() };
    let run = RunView { rounds: 2, rounds_done: 1, history: vec![round], ..RunView::default() };
    let metrics = ["cpu_percent".to_owned()];
    html(&Report {
        source: source.to_owned(),
        seed: 1,
        metrics: &metrics,
        run: &run,
        verdicts,
        model: "m".into(),
        wall_s: 2.0,
    })
}

#[test]
fn names_from_files_cannot_become_markup() {
    let hostile = "<script>alert(\"x\")</script>&'";
    let page = page(hostile, &[verdict(hostile, false)]);
    assert!(!page.contains("<script"), "no script in the page");
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;"));
}

#[test]
fn the_page_is_whole_and_fetches_nothing() {
    let page = page("a fleet", &[verdict("web-1", true), verdict("api-1", false)]);
    assert_eq!(page::fault(&page), None);
}

#[test]
fn a_strip_tells_faults_found_and_false_alarms() {
    let strip = seen(&verdict("web-1", false));
    assert!(strip.contains("1 of 1 faults raised an alarm; 0.9 % of healthy records did"), "{strip}");
    assert!(strip.contains("class=\"hit\"") && strip.contains("class=\"miss\""));
}

#[test]
fn nothing_to_draw_is_drawn_as_nothing() {
    let empty =
        Verdict { scores: Vec::new(), alarms: Vec::new(), faults: Vec::new(), ..verdict("web-1", false) };
    assert!(!page("a fleet", &[empty]).contains("NaN"));
    assert!(!page("a fleet", &[]).contains("NaN"));
}
