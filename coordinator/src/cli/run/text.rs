//! Runs in words, a line for each thing.

use crate::view::{AttemptView, Participation, RoundView, RunStatus, RunView, UpdateView};

/// Hex digits of a model's hash that tell it apart.
const HASH_DIGITS: usize = 12;

/// The start of a hash.
pub(super) fn short(hash: &str) -> &str {
    &hash[..HASH_DIGITS.min(hash.len())]
}

/// A run in a list.
pub(super) fn listed(run: &RunView) -> String {
    let model = run.model.as_deref().map_or("-", short);
    let (status, done, rounds) = (run.status.to_string(), run.rounds_done, run.rounds);
    format!("{}  {status:<9} {done:>3}/{rounds:<3} {model:<12}  {}", run.run, run.name)
}

/// A round that is done.
pub(super) fn committed(run: &RunView, round: &RoundView) -> String {
    let RoundView { round: number, updates, loss, wall_ms, .. } = round;
    let (rounds, model) = (run.rounds, short(&round.model));
    format!("round {number:>3}/{rounds}  {updates} updates  loss {loss:.5}  {wall_ms:.0} ms  model {model}")
}

/// How a run stands: what it does or how it ended, and each node of the round going on.
pub(super) fn standing(run: &RunView) -> Vec<String> {
    let first = match (run.status, &run.current) {
        (RunStatus::Finished, _) => {
            format!("run {} finished: model {}", run.run, run.model.as_deref().unwrap_or("-"))
        }
        (RunStatus::Failed, _) => {
            format!("run {} failed: {}", run.run, run.reason.as_deref().unwrap_or("unknown"))
        }
        (RunStatus::Paused, _) => {
            format!("run {} is paused after {} of {} rounds", run.run, run.rounds_done, run.rounds)
        }
        (RunStatus::Running, None) => format!("run {} begins", run.run),
        (RunStatus::Running, Some(now)) => format!(
            "round {:>3}/{}  {}  {} of {} updates (at least {})  {} s left",
            now.round,
            run.rounds,
            now.phase,
            now.updates,
            now.goal,
            now.minimum,
            now.deadline_ms / 1000
        ),
    };
    let member = |(name, member): (&String, &crate::view::MemberView)| {
        let loss = member.loss.map_or(String::new(), |loss| format!("  loss {loss:.5}"));
        format!("  {name:<24} {:<12} {:>3} %  {} B{loss}", member.state, member.progress, member.bytes)
    };
    let cohort = run.current.iter().flat_map(|now| &now.cohort).map(member);
    [first].into_iter().chain(cohort).collect()
}

/// A run as it stands, with its newest round.
pub(super) fn status(run: &RunView) -> Vec<String> {
    let mut lines = vec![listed(run)];
    lines.extend(run.history.last().map(|round| committed(run, round)));
    lines.extend(standing(run));
    lines
}

/// The nodes that an attempt at a round selected: first those whose update is in the sum.
pub(in crate::cli) fn members(attempt: &AttemptView) -> Vec<String> {
    let (took_part, missing): (Vec<_>, Vec<_>) =
        attempt.cohort.iter().partition(|(_, participation)| participation.update.is_some());
    let all = took_part.into_iter().chain(missing);
    all.map(|(name, participation)| participant(name, participation)).collect()
}

fn participant(name: &str, participation: &Participation) -> String {
    match &participation.update {
        Some(UpdateView { weight, steps, loss, norm, staleness, after_ms }) => {
            let began = match staleness {
                0 => String::new(),
                1 => ", began a round before".to_owned(),
                rounds => format!(", began {rounds} rounds before"),
            };
            format!(
                "  {name:<24} {weight} samples, {steps} steps, loss {loss:.5}, norm {norm:.5}{began}, in after \
                 {after_ms:.0} ms"
            )
        }
        None => format!("  {name:<24} {}", participation.reason.as_deref().unwrap_or("not in the model")),
    }
}
