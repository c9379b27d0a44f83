//! Bars beside each other, in groups.

use super::svg::{Anchor, Drawing};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 36.0;
const TOP: f64 = 14.0;
const FLOOR: f64 = HEIGHT - 34.0;
/// The widest bar, the narrowest that has room for its value above it, and the room between two.
const BAR_MAX: f64 = 52.0;
const BAR_TOLD: f64 = 26.0;
const APART: f64 = 3.0;
/// Half of the line across an end of an interval.
const CAP: f64 = 4.0;
/// With more groups than these their names are small.
const GROUPS_STRONG: usize = 12;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar<'n> {
    /// What it is of, and its class.
    pub name: &'n str,
    /// Its height.
    pub value: f64,
    /// In what its value lies but for chance.
    pub interval: Option<[f64; 2]>,
}

/// Bars that stand together.
#[derive(Clone, Debug)]
pub struct Group<'n> {
    /// What stands below them.
    pub name: &'n str,
    /// From left to right.
    pub bars: Vec<Bar<'n>>,
}

/// A drawing of groups of bars between 0 and `end`.
pub fn grouped(shows: &str, end: f64, groups: &[Group<'_>]) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT, shows);
    let y = |value: f64| FLOOR - (value / end).clamp(0.0, 1.0) * (FLOOR - TOP);
    for step in 0..=4 {
        let value = end * f64::from(step) / 4.0;
        drawing.line("grid", [LEFT, y(value), WIDTH, y(value)]);
        drawing.text("", Anchor::End, (LEFT - 8.0, y(value) + 4.0), &format!("{value}"));
    }
    let told_digits = if end > 1.0 { 1 } else { 2 };
    let room = (WIDTH - LEFT) / groups.len().max(1) as f64;
    for (index, Group { name, bars }) in groups.iter().enumerate() {
        let middle = LEFT + room * (index as f64 + 0.5);
        let count = bars.len() as f64;
        let width = (room * 0.66 / count.max(1.0)).min(BAR_MAX);
        for (place, bar) in bars.iter().enumerate() {
            let x = middle + (place as f64 - count / 2.0) * (width + APART);
            let Bar { name: class, value, interval } = bar;
            let (title, above) = match interval {
                Some([low, high]) => (format!(", {low:.3} to {high:.3}"), y(high.max(*value))),
                None => (String::new(), y(*value)),
            };
            let title = format!("{name}, {class}: {value:.3}{title}");
            drawing.rect(class, [x, y(*value), width, FLOOR - y(*value)], 3.0, &title);
            if let Some([low, high]) = interval {
                whisker(&mut drawing, x + width / 2.0, [y(*low), y(*high)]);
            }
            if width > BAR_TOLD {
                let class = if *class == "federated" { "strong small" } else { "small" };
                let told = format!("{value:.told_digits$}");
                drawing.text(class, Anchor::Middle, (x + width / 2.0, above - 6.0), &told);
            }
        }
        let class = if groups.len() > GROUPS_STRONG { "small" } else { "strong" };
        drawing.text(class, Anchor::Middle, (middle, HEIGHT - 12.0), name);
    }
    drawing.line("axis", [LEFT, FLOOR, WIDTH, FLOOR]);
    drawing.finish()
}

/// An interval, with a line across each end.
pub(super) fn whisker(drawing: &mut Drawing, x: f64, [low, high]: [f64; 2]) {
    drawing.line("whisker", [x, low, x, high]);
    for end in [low, high] {
        drawing.line("whisker", [x - CAP, end, x + CAP, end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_a_title_and_every_interval_a_whisker() {
        let bar = |name, interval| Bar { name, value: 0.5, interval };
        let groups = [
            Group { name: "<a>", bars: vec![bar("local", None), bar("federated", Some([0.4, 0.6]))] },
            Group { name: "b", bars: vec![bar("local", None)] },
        ];
        let drawing = grouped("bars", 1.0, &groups);
        assert_eq!((drawing.matches("<rect").count(), drawing.matches("<title>").count()), (3, 3));
        assert_eq!(drawing.matches("class=\"whisker\"").count(), 3);
        assert!(drawing.contains("&lt;a&gt;, federated: 0.500, 0.400 to 0.600"), "{drawing}");
        assert!(!grouped("none", 1.0, &[]).contains("NaN"));
    }
}
