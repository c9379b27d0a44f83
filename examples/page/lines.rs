//! Lines through points, each with a name.

use super::bars::whisker;
use super::svg::{Anchor, Drawing};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 36.0;
/// Room right of the lines for their names.
const RIGHT: f64 = 110.0;
const TOP: f64 = 14.0;
const FLOOR: f64 = HEIGHT - 50.0;
/// Room inside of the plot before the first and after the last point.
const EDGE: f64 = 24.0;
/// A name stands so far below another at least.
const NAME_HEIGHT: f64 = 14.0;

/// One line.
#[derive(Clone, Debug)]
pub struct Line<'n> {
    /// What it is of, and its class.
    pub name: &'n str,
    /// A value for each step.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// 0 to 1.
    pub value: f64,
    /// In what its value lies but for chance.
    pub interval: Option<[f64; 2]>,
}

/// A drawing of lines between 0 and 1 over steps from left to right, at equal distances. Each line has a point at each step.
pub fn plot(shows: &str, below: &str, steps: &[String], lines: &[Line<'_>]) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT, shows);
    let y = |value: f64| FLOOR - value.clamp(0.0, 1.0) * (FLOOR - TOP);
    let width = WIDTH - LEFT - RIGHT - 2.0 * EDGE;
    let x = |step: usize| LEFT + EDGE + width * step as f64 / (steps.len().max(2) - 1) as f64;
    for step in 0..=4 {
        let value = f64::from(step) / 4.0;
        drawing.line("grid", [LEFT, y(value), WIDTH - RIGHT, y(value)]);
        drawing.text("", Anchor::End, (LEFT - 8.0, y(value) + 4.0), &format!("{value}"));
    }
    for (index, step) in steps.iter().enumerate() {
        drawing.text("strong", Anchor::Middle, (x(index), FLOOR + 20.0), step);
    }
    drawing.text("", Anchor::Middle, (LEFT + EDGE + width / 2.0, HEIGHT - 8.0), below);
    drawing.line("axis", [LEFT, FLOOR, WIDTH - RIGHT, FLOOR]);
    for Line { name, points } in lines {
        let places: Vec<(f64, f64)> =
            points.iter().enumerate().map(|(step, point)| (x(step), y(point.value))).collect();
        drawing.path(&format!("line {name}"), &places);
        for (step, (place, Point { value, interval })) in places.iter().zip(points).enumerate() {
            if let Some([low, high]) = interval {
                whisker(&mut drawing, place.0, [y(*low), y(*high)]);
            }
            drawing.dot(&format!("dot {name}"), *place, &format!("{}, {name}: {value:.3}", steps[step]));
        }
    }
    let mut ends: Vec<(f64, &str)> =
        lines.iter().filter_map(|line| Some((y(line.points.last()?.value), line.name))).collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = 0.0_f64;
    for (end, name) in ends {
        free = (end + 4.0).max(free + NAME_HEIGHT);
        drawing.text("strong", Anchor::Start, (WIDTH - RIGHT + 6.0, free), name);
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_point_at_each_step_and_its_name_at_its_end() {
        let line = |name, values: [f64; 2]| {
            let points = values.map(|value| Point { value, interval: Some([value - 0.1, value + 0.1]) });
            Line { name, points: points.to_vec() }
        };
        let steps = ["1 %".to_owned(), "100 %".to_owned()];
        let lines = [line("local", [0.1, 0.6]), line("federated", [0.4, 0.6])];
        let drawing = plot("lines", "history", &steps, &lines);
        assert_eq!(
            (drawing.matches("<path").count(), drawing.matches("<circle").count()),
            (lines.len(), lines.len() * steps.len())
        );
        assert_eq!(drawing.matches("class=\"whisker\"").count(), 3 * 4);
        assert!(
            drawing.contains(">federated</text>") && drawing.contains("100 %, local: 0.600"),
            "{drawing}"
        );
        assert!(!plot("none", "", &[], &[]).contains("NaN"));
    }
}
