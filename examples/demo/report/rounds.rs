//! Charts of the run: loss and time by round.

use coordinator::view::RoundView;

use examples::page::svg::{Anchor, Drawing, axis_end};

/// Phases in the order in which a round goes through them.
const PHASES: [&str; 5] = ["selection", "configuration", "reporting", "aggregation", "committing"];
/// Width and height of a chart over half of the page, and the room for its axes.
const HALF: (f64, f64) = (490.0, 270.0);
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 14.0;

/// Axes of a chart over half of the page; gives the height of a value.
fn half_axes(drawing: &mut Drawing, end: f64, unit: &str) -> impl Fn(f64) -> f64 + use<> {
    let (width, height) = HALF;
    let floor = height - BOTTOM;
    let y = move |value: f64| floor - (value / end).clamp(0.0, 1.0) * (floor - TOP);
    // As many digits as its four steps need.
    let digits = (1.0 - (end / 4.0).log10().floor()).clamp(0.0, 6.0) as usize;
    let digits = if end >= 8.0 { 0 } else { digits };
    for step in 0..=4 {
        let value = end * f64::from(step) / 4.0;
        drawing.line("grid", [LEFT, y(value), width, y(value)]);
        drawing.text("", Anchor::End, (LEFT - 8.0, y(value) + 4.0), &format!("{value:.digits$}{unit}"));
    }
    drawing.line("axis", [LEFT, floor, width, floor]);
    y
}

/// The middle of each round, and which of them have room for their number.
fn rounds(history: &[RoundView]) -> impl Fn(usize) -> (f64, bool) + use<> {
    let step = (HALF.0 - LEFT) / history.len().max(1) as f64;
    let every = history.len().div_ceil(12).max(1);
    let last = history.len().saturating_sub(1);
    move |index| {
        (LEFT + step * (index as f64 + 0.5), index.is_multiple_of(every) || index == last && every == 1)
    }
}

/// Loss of each round.
pub(super) fn loss(history: &[RoundView]) -> String {
    let mut drawing = Drawing::new(HALF.0, HALF.1, "training loss by round");
    let most = history.iter().map(|round| round.loss).fold(0.0, f64::max);
    let y = half_axes(&mut drawing, axis_end(most), "");
    let x = rounds(history);
    let points: Vec<(f64, f64)> =
        history.iter().enumerate().map(|(index, round)| (x(index).0, y(round.loss))).collect();
    drawing.path("line", &points);
    for (index, round) in history.iter().enumerate() {
        let (at, numbered) = x(index);
        drawing.dot("dot", (at, y(round.loss)), &format!("round {}: {:.5}", round.round, round.loss));
        if numbered {
            drawing.text("", Anchor::Middle, (at, HALF.1 - 12.0), &round.round.to_string());
        }
    }
    drawing.finish()
}

/// Time of each round, by phase.
pub(super) fn phases(history: &[RoundView]) -> String {
    let mut drawing = Drawing::new(HALF.0, HALF.1, "time of each round by phase");
    let most = history.iter().map(|round| round.phase_ms.values().sum()).fold(0.0, f64::max);
    let in_seconds = most >= 2_000.0;
    let (unit, scale) = if in_seconds { (" s", 1e-3) } else { (" ms", 1.0) };
    let y = half_axes(&mut drawing, axis_end(most * scale), unit);
    let x = rounds(history);
    let bar = ((HALF.0 - LEFT) / history.len().max(1) as f64 * 0.6).min(44.0);
    for (index, round) in history.iter().enumerate() {
        let (at, numbered) = x(index);
        let mut below = 0.0;
        for (class, phase) in PHASES.iter().enumerate() {
            let ms = round.phase_ms.get(*phase).copied().unwrap_or(0.0);
            let (from, to) = (y(below * scale), y((below + ms) * scale));
            let title = format!("round {}, {phase}: {ms:.1} ms", round.round);
            drawing.rect(&format!("p{class}"), [at - bar / 2.0, to, bar, from - to], 0.0, &title);
            below += ms;
        }
        if numbered {
            drawing.text("", Anchor::Middle, (at, HALF.1 - 12.0), &round.round.to_string());
        }
    }
    drawing.finish()
}

/// What the colours of [`phases`] mean.
pub(super) fn phase_key() -> String {
    let key = |(class, phase): (usize, &&str)| {
        format!("<span class=\"whole\"><i class=\"key p{class}\"></i> {phase}</span>")
    };
    PHASES.iter().enumerate().map(key).collect::<Vec<_>>().join(", ")
}
