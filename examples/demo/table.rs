//! Results as text and as JSON.

use std::io::Write;

use anyhow::Result;
use edge::Listing;
use serde::Serialize;

use super::quality::{Figures, Verdict};

/// What a node's object holds.
#[derive(Serialize)]
struct NodeLine<'v> {
    node: &'v str,
    train_records: u64,
    vus_pr_local: f64,
    vus_pr_federated: f64,
    vus_pr_tuned: f64,
    auc_pr_federated: f64,
}

/// What the run's object holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunLine {
    pub(crate) rounds: u32,
    pub(crate) model_hash: String,
    pub(crate) wall_s: f64,
}

/// Prints one JSON object a node, and one for the run.
///
/// # Errors
///
/// When a figure is not a number.
pub(crate) fn json<W: Write>(mut list: Listing<W>, verdicts: &[Verdict], run: &RunLine) -> Result<()> {
    fn line(verdict: &Verdict) -> NodeLine<'_> {
        let Figures { node, train_records, vus_pr_local, vus_pr_federated, vus_pr_tuned, auc_pr_federated } =
            &verdict.figures;
        NodeLine {
            node,
            train_records: *train_records,
            vus_pr_local: *vus_pr_local,
            vus_pr_federated: *vus_pr_federated,
            vus_pr_tuned: *vus_pr_tuned,
            auc_pr_federated: *auc_pr_federated,
        }
    }
    verdicts.iter().try_for_each(|verdict| list.item(&line(verdict), Vec::new))?;
    list.item(run, Vec::new)?;
    list.end();
    Ok(())
}

/// A table for people.
pub(crate) fn text(verdicts: &[Verdict]) -> Vec<String> {
    let mut lines = vec![
        "How well each node finds the faults in its later telemetry (VUS-PR, 0 to 1):".to_owned(),
        String::new(),
        format!(
            "  {:<22} {:>13} {:>10} {:>10} {:>10}",
            "node", "train records", "local", "federated", "tuned"
        ),
    ];
    for Verdict { figures, newcomer, .. } in verdicts {
        let name = if *newcomer { format!("{} (newcomer)", figures.node) } else { figures.node.clone() };
        lines.push(format!(
            "  {name:<22} {:>13} {:>10.3} {:>10.3} {:>10.3}",
            figures.train_records, figures.vus_pr_local, figures.vus_pr_federated, figures.vus_pr_tuned
        ));
    }
    let [local, federated, tuned] = means(verdicts);
    lines.push(format!("  {:<22} {:>13} {local:>10.3} {federated:>10.3} {tuned:>10.3}", "mean", ""));
    lines
}

/// Mean VUS-PR of local, federated and tuned models.
pub(crate) fn means(verdicts: &[Verdict]) -> [f64; 3] {
    let mean = |of: fn(&Figures) -> f64| {
        verdicts.iter().map(|verdict| of(&verdict.figures)).sum::<f64>() / verdicts.len().max(1) as f64
    };
    [mean(|f| f.vus_pr_local), mean(|f| f.vus_pr_federated), mean(|f| f.vus_pr_tuned)]
}

/// A number of bytes in the unit that suits it.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use edge::Format;

    use super::*;

    fn verdict() -> Verdict {
        let figures = Figures {
            node: "web-1".into(),
            train_records: 360,
            vus_pr_local: 0.5,
            vus_pr_federated: 0.75,
            vus_pr_tuned: 0.7,
            auc_pr_federated: 0.6,
        };
        let (scores, alarms, faults) = (Vec::new(), Vec::new(), Vec::new());
        Verdict { figures, newcomer: true, scores, alarms, threshold: 1.0, faults }
    }

    #[test]
    fn json_has_a_line_a_node_and_one_for_the_run() {
        let run = RunLine { rounds: 5, model_hash: "ab".into(), wall_s: 1.5 };
        let mut out = Vec::new();
        json(Listing::on(&mut out, Format::Jsonl), &[verdict()], &run).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let node = r#"{"node":"web-1","train_records":360,"vus_pr_local":0.5,"vus_pr_federated":0.75,"vus_pr_tuned":0.7,"auc_pr_federated":0.6}"#;
        assert_eq!(
            printed.lines().collect::<Vec<_>>(),
            [node, r#"{"rounds":5,"model_hash":"ab","wall_s":1.5}"#]
        );
    }

    #[test]
    fn the_table_marks_the_newcomer() {
        assert!(text(&[verdict()])[3].starts_with("  web-1 (newcomer)"));
    }

    #[test]
    fn bytes_are_told_in_the_unit_that_suits_them() {
        assert_eq!([0, 999, 1_500, 2_500_000].map(bytes), ["0 B", "999 B", "1.5 kB", "2.5 MB"]);
    }
}
