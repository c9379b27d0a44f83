//! `coordinator run explain`: a round from what is stored of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use common::units::Timestamp;
use edge::{Format, print_one};

use crate::cli::asked;
use crate::cli::exit::Exit;
use crate::cli::run::text::{members, short};
use crate::control::{Reply, Stored};
use crate::folder::Folder;
use crate::store::Models;
use crate::store::models::Step;
use crate::view::{AttemptView, ExplainedRound, NodeView, RunStatus, RunView, StepView};

/// Nodes that were not selected and are named; the rest are counted.
const NAMES_SHOWN: usize = 12;

pub(super) async fn execute(dir: &Path, run: &str, round: u32, format: Format) -> Result<ExitCode> {
    let view = asked::view(dir).await?;
    let run = asked::pick(&view, Some(run))?;
    let wanted = Stored::Attempts { run: run.run.clone(), round };
    let Reply::Attempts { attempts } = asked::stored(dir, wanted).await? else { bail!(asked::OTHER_ANSWER) };
    if attempts.is_empty() {
        bail!("{}", nothing_of(run, round));
    }
    let files = || Ok(Models::of_folder(dir, Folder::vault(dir)?));
    let explained = explain(files, (run, &view.nodes), round, attempts);
    print_one(format, &explained, || text(&explained))?;
    Ok(Exit::Done.into())
}

fn nothing_of(run: &RunView, round: u32) -> String {
    let going_on = run.status == RunStatus::Running && round == run.rounds_done + 1;
    if going_on {
        format!("no attempt at round {round} has ended yet; `coordinator run watch` shows the one going on")
    } else {
        format!("run {} has no round {round}: it has done {}", run.run, run.rounds_done)
    }
}

fn explain(
    files: impl FnOnce() -> Result<Models>,
    (run, nodes): (&RunView, &[NodeView]),
    round: u32,
    attempts: Vec<AttemptView>,
) -> ExplainedRound {
    let is_selected = |name: &String| attempts.iter().any(|attempt| attempt.cohort.contains_key(name));
    let names: BTreeSet<&String> = nodes.iter().map(|node| &node.name).collect();
    let not_selected = names.into_iter().filter(|name| !is_selected(name)).cloned().collect();
    let loss = |round: Option<u32>| {
        run.history.iter().find(|other| Some(other.round) == round).map(|other| other.loss)
    };
    let made = attempts.iter().find_map(|attempt| Some((&attempt.parent, attempt.model.as_ref()?)));
    let (step, step_unknown) = match made.map(|(parent, model)| step(&files()?, parent, model)) {
        None => (None, None),
        Some(Ok(step)) => (Some(step), None),
        Some(Err(error)) => (None, Some(format!("{error:#}"))),
    };
    ExplainedRound {
        run: run.run.clone(),
        name: run.name.clone(),
        round,
        attempts,
        not_selected,
        step,
        step_unknown,
        loss_before: loss(round.checked_sub(1)),
        loss: loss(Some(round)),
        loss_after: loss(round.checked_add(1)),
    }
}

fn step(files: &Models, parent: &str, model: &str) -> Result<StepView> {
    let Step { norm, model_norm } = Step::between(files, parent.parse()?, model.parse()?)?;
    Ok(StepView::new(norm, model_norm))
}

fn text(explained: &ExplainedRound) -> Vec<String> {
    let ExplainedRound { run, name, round, attempts, .. } = explained;
    let mut lines = vec![format!("round {round} of {name} ({run})")];
    lines.extend(attempts.iter().flat_map(attempt));
    lines.extend(not_selected(&explained.not_selected));
    lines.extend(match (&explained.step, &explained.step_unknown) {
        (Some(StepView { norm, model_norm, relative }), _) => {
            let percent = relative.map_or(String::new(), |part| format!(", {:.3} % of it", part * 100.0));
            Some(format!("it moved the model, of norm {model_norm:.5}, by a step of norm {norm:.5}{percent}"))
        }
        (None, Some(why)) => Some(format!("how far it moved the model is not known: {why}")),
        (None, None) => Some("it made no model so far".to_owned()),
    });
    let losses = [
        ("the round before", explained.loss_before),
        ("this round", explained.loss),
        ("the round after", explained.loss_after),
    ];
    let known = losses.map(|(which, loss)| loss.map(|loss| format!("{loss:.5} in {which}")));
    let known: Vec<String> = known.into_iter().flatten().collect();
    if !known.is_empty() {
        lines.push(format!("mean training loss: {}", known.join(", ")));
    }
    lines
}

fn not_selected(names: &[String]) -> Option<String> {
    let first = names.get(..NAMES_SHOWN).unwrap_or(names).join(", ");
    match names.len() {
        0 => None,
        count if count <= NAMES_SHOWN => Some(format!("not selected: {first}")),
        count => Some(format!("not selected: {first} and {} more", count - NAMES_SHOWN)),
    }
}

fn attempt(attempt: &AttemptView) -> Vec<String> {
    let AttemptView { attempt: number, began_ms, wall_ms, code, parent, .. } = attempt;
    let began = Timestamp((began_ms * 1000.0) as u64);
    let outcome = match (&attempt.model, &attempt.aborted) {
        (Some(model), _) => format!("model {} from {}", short(model), short(parent)),
        (None, why) => format!("aborted: {}", why.as_deref().unwrap_or("unknown")),
    };
    let phases: Vec<String> = attempt.phases().map(|(phase, ms)| format!("{phase} {ms:.0} ms")).collect();
    let mut lines = vec![
        format!("attempt {number}  {began}  {wall_ms:.0} ms  {outcome}  by coordinator {code}"),
        format!("  {}", phases.join(", ")),
    ];
    lines.extend(members(attempt));
    lines
}

#[cfg(test)]
mod tests {
    use common::id::ModelHash;

    use super::*;
    use crate::view::{Participation, ParticipationOutcome};

    #[test]
    fn a_model_file_that_is_missing_is_named_and_the_rest_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let hex = |byte| ModelHash([byte; 32]).to_string();
        let attempt = AttemptView { parent: hex(1), model: Some(hex(2)), ..AttemptView::default() };
        let files = || Ok(Models::of_folder(dir.path(), crate::store::tests::vault()));
        let explained = explain(files, (&RunView::default(), &[]), 1, vec![attempt]);
        let told = text(&explained).join("\n");
        assert!(told.contains(&format!("{}.sealed is missing", hex(1))), "{told}");
    }

    #[test]
    fn nodes_that_no_attempt_selected_are_named_as_far_as_there_is_room() {
        let member = Participation { outcome: ParticipationOutcome::Gone, reason: None, update: None };
        let cohort = [("web-01".to_owned(), member)].into();
        let attempt = AttemptView { cohort, ..AttemptView::default() };
        let node = |index| NodeView { name: format!("web-{index:02}"), ..NodeView::default() };
        let nodes: Vec<NodeView> = (0..20).map(node).collect();
        let told = |nodes: &[NodeView]| {
            let explained =
                explain(|| bail!("not asked for"), (&RunView::default(), nodes), 1, vec![attempt.clone()]);
            text(&explained).into_iter().find(|line| line.starts_with("not selected"))
        };
        assert_eq!(told(&nodes[1..3]).as_deref(), Some("not selected: web-02"));
        assert!(told(&nodes).is_some_and(|line| line.ends_with("web-12 and 7 more")));
        assert_eq!(told(&nodes[1..2]), None);
    }
}
