//! A run on a terminal: what is known of it, as lines that fit.

use common::units::{ByteCount, Millis};

use super::text::short;
use crate::view::{CurrentRound, MemberView, NodeView, RoundView, RunStatus, RunView};

/// Rounds over which the time of one is averaged.
const ROUNDS_AVERAGED: usize = 10;

/// A node is late when no more than one part in so many is left of the time of its phase.
const LATE: u64 = 5;

/// Width of the bar, without its ends.
const BAR: usize = 24;

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A node of the round going on, as it is shown.
struct Shown<'v> {
    name: &'v str,
    state: String,
    /// Those that an operator has to look at come first.
    rank: u8,
    member: &'v MemberView,
}

/// The run and its nodes as they were told of so long ago.
pub(super) fn lines(run: &RunView, nodes: &[NodeView], size: Size, ago: Millis) -> Vec<String> {
    let mut lines = vec![heading(run, ago)];
    match (&run.current, run.status) {
        (Some(now), RunStatus::Running) => {
            lines.push(going_on(now, nodes, ago));
            lines.extend(run.history.last().map(newest));
            let room = size.height.saturating_sub(lines.len() + 1);
            lines.extend(cohort(now, ago, room));
        }
        _ => lines.extend(run.history.last().map(newest)),
    }
    lines.truncate(size.height);
    lines.iter().map(|line| line.chars().take(size.width).collect()).collect()
}

/// Which run, and how far it is.
fn heading(run: &RunView, ago: Millis) -> String {
    let RunView { name, rounds_done: done, rounds, .. } = run;
    let filled = (BAR as u64 * u64::from(*done)).checked_div(u64::from(*rounds)).unwrap_or(0) as usize;
    let bar = format!("{}{}", "=".repeat(filled.min(BAR)), " ".repeat(BAR.saturating_sub(filled)));
    let end = match run.status {
        RunStatus::Running => left(run, ago).map_or(String::new(), |left| format!("  ETA {}", clock(left))),
        status => format!("  {status}"),
    };
    format!("{name} {}  [{bar}] {done} of {rounds} rounds{end}", &run.run[..8.min(run.run.len())])
}

/// How long the rounds that are left will take, by those that were done last.
fn left(run: &RunView, ago: Millis) -> Option<Millis> {
    let newest = run.history.iter().rev().take(ROUNDS_AVERAGED);
    let (count, sum) = newest.fold((0, 0.0), |(count, sum), round| (count + 1, sum + round.wall_ms));
    let rounds_left = run.rounds.saturating_sub(run.rounds_done);
    let begun = run.current.as_ref().map_or(0, |now| now.round_ms + ago.0);
    let all = (count > 0).then(|| (sum / f64::from(count) * f64::from(rounds_left)) as u64)?;
    Some(Millis(all.saturating_sub(begun)))
}

/// The round going on.
fn going_on(now: &CurrentRound, nodes: &[NodeView], ago: Millis) -> String {
    let CurrentRound { round, phase, updates, goal, minimum, .. } = now;
    let left = clock(Millis(now.deadline_ms.saturating_sub(ago.0)));
    let bytes = ByteCount(now.bytes);
    let there = nodes.iter().filter(|node| node.present).count();
    format!(
        "round {round}  {phase}  {updates} of {goal} updates (at least {minimum})  {left} left  {bytes}  {there} of {} \
         nodes there",
        nodes.len()
    )
}

/// The newest round that is done.
fn newest(done: &RoundView) -> String {
    let RoundView { round, updates, loss, update_norm, wall_ms, bytes, model, .. } = done;
    let bytes = bytes.map_or(String::new(), |count| format!("  {}", ByteCount(count)));
    let (model, took) = (short(model), Millis(*wall_ms as u64));
    format!(
        "round {round} done  {updates} updates  loss {loss:.5}  norm {update_norm:.4}{bytes}  {took}  {model}"
    )
}

/// The nodes of the round, in so many lines; those that do not fit are counted.
fn cohort(now: &CurrentRound, ago: Millis, room: usize) -> Vec<String> {
    let mut shown: Vec<Shown<'_>> =
        now.cohort.iter().map(|(name, member)| show(name, member, is_late(now, ago))).collect();
    shown.sort_by_key(|node| (node.rank, node.name));
    if shown.is_empty() || room < 2 {
        return Vec::new();
    }
    let mut lines =
        vec![format!("{:<24} {:<34} {:>5} {:>9} {:>9} {:>9}", "node", "state", "%", "bytes", "loss", "norm")];
    let fits = if shown.len() < room { shown.len() } else { room - 2 };
    let rest = shown.split_off(fits);
    lines.extend(shown.iter().map(row));
    if !rest.is_empty() {
        lines.push(format!("and {} more: {}", rest.len(), counted(&rest)));
    }
    lines
}

fn show<'v>(name: &'v str, member: &'v MemberView, is_late: bool) -> Shown<'v> {
    let state = member.state.as_str();
    let (rank, state) = match state {
        "done" => (4, state.to_owned()),
        _ if state.starts_with("rejected") => (0, state.to_owned()),
        "declined" | "away" => (1, state.to_owned()),
        _ if is_late => (2, format!("late: {state}")),
        _ => (3, state.to_owned()),
    };
    Shown { name, state, rank, member }
}

fn is_late(now: &CurrentRound, ago: Millis) -> bool {
    let left = now.deadline_ms.saturating_sub(ago.0);
    let all = now.phase_ms + now.deadline_ms;
    left.saturating_mul(LATE) <= all
}

fn row(node: &Shown<'_>) -> String {
    let Shown { name, state, member, .. } = node;
    let number = |value: Option<f32>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let (loss, norm, bytes) = (number(member.loss), number(member.norm), ByteCount(member.bytes).to_string());
    format!("{name:<24} {state:<34} {:>5} {bytes:>9} {loss:>9} {norm:>9}", member.progress)
}

/// How many nodes are in each state.
fn counted(nodes: &[Shown<'_>]) -> String {
    let mut states: Vec<(&str, usize)> = Vec::new();
    for node in nodes {
        // A reason is told of one node, not of many.
        let state = node.state.split(':').next().unwrap_or_default();
        match states.last_mut().filter(|(last, _)| *last == state) {
            Some((_, count)) => *count += 1,
            None => states.push((state, 1)),
        }
    }
    let counts: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    counts.join(", ")
}

/// A time that is counted down: `59 s`, `4 m 03 s`, `2 h 05 m`.
fn clock(time: Millis) -> String {
    let seconds = time.0.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Size = Size { width: 200, height: 40 };

    fn member(state: &str) -> MemberView {
        MemberView { state: state.to_owned(), progress: 40, bytes: 1500, loss: None, norm: None }
    }

    fn run() -> RunView {
        let states = [("a", "done"), ("b", "training"), ("c", "rejected: value 3 is NaN"), ("d", "away")];
        let cohort = states.map(|(name, state)| (name.to_owned(), member(state)));
        let current = CurrentRound {
            round: 3,
            phase: "reporting".to_owned(),
            deadline_ms: 90_000,
            phase_ms: 30_000,
            round_ms: 31_000,
            updates: 1,
            minimum: 2,
            goal: 3,
            bytes: 2_500_000,
            cohort: cohort.into(),
        };
        let done = |round| RoundView { round, wall_ms: 60_000.0, loss: 0.5, ..RoundView::default() };
        RunView {
            run: "0123456789abcdef".to_owned(),
            name: "nightly".to_owned(),
            rounds_done: 2,
            rounds: 4,
            current: Some(current),
            history: vec![done(1), done(2)],
            ..RunView::default()
        }
    }

    #[test]
    fn a_run_shows_how_far_it_is_and_counts_down_between_two_views() {
        let at_once = lines(&run(), &[NodeView::default()], WIDE, Millis(0));
        assert_eq!(at_once[0], "nightly 01234567  [============            ] 2 of 4 rounds  ETA 1 m 29 s");
        let second =
            "round 3  reporting  1 of 3 updates (at least 2)  1 m 30 s left  2.5 MB  0 of 1 nodes there";
        assert_eq!(at_once[1], second);
        let later = lines(&run(), &[], WIDE, Millis(2_000));
        assert!(later[0].ends_with("ETA 1 m 27 s") && later[1].contains("1 m 28 s left"), "{later:?}");
        let long_after = lines(&run(), &[], WIDE, Millis(1_000_000));
        assert!(long_after[0].ends_with("ETA 0 s") && long_after[1].contains("  0 s left"), "{long_after:?}");
    }

    #[test]
    fn nodes_that_are_rejected_away_or_late_come_first_with_their_reason() {
        let names = |lines: &[String]| -> Vec<String> {
            lines[4..].iter().map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect()
        };
        let early = lines(&run(), &[], WIDE, Millis(0));
        assert_eq!(names(&early), ["c", "d", "b", "a"]);
        assert!(early[4].contains("rejected: value 3 is NaN") && !early[6].contains("late"), "{early:?}");
        let late = lines(&run(), &[], WIDE, Millis(70_000));
        assert!(late[6].contains("late: training"), "{late:?}");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_counted() {
        let low = lines(&run(), &[], Size { width: 30, height: 7 }, Millis(0));
        assert_eq!(low.len(), 6);
        assert!(low.iter().all(|line| line.chars().count() <= 30));
        assert_eq!(low[5], "and 3 more: 1 away, 1 training");
        for height in 0..7 {
            assert!(lines(&run(), &[], Size { width: 30, height }, Millis(0)).len() <= height);
        }
    }

    #[test]
    fn a_run_that_is_over_says_so() {
        let over = RunView { status: RunStatus::Paused, current: None, ..run() };
        let shown = lines(&over, &[], WIDE, Millis(0));
        assert!(shown[0].ends_with("2 of 4 rounds  paused") && shown.len() == 2, "{shown:?}");
        assert!(!lines(&RunView::default(), &[], WIDE, Millis(0))[0].contains("ETA"));
    }
}
