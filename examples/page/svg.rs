//! Shapes of a chart, as text.

use std::fmt::Write as _;

use super::escape;

/// A drawing of a width and a height, in its own units.
#[derive(Clone, Debug)]
pub struct Drawing {
    body: String,
}

/// Where a text is anchored.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// At its first letter.
    Start,
    /// In its middle.
    Middle,
    /// At its last letter.
    End,
}

impl Drawing {
    /// An empty drawing that says what it shows to those who cannot see it.
    pub fn new(width: f64, height: f64, shows: &str) -> Self {
        let shows = escape(shows);
        Self { body: format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{shows}\">\n") }
    }

    /// A filled rectangle with a title that a pointer shows.
    pub fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], round: f64, title: &str) {
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) };
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"{round}\">{title}</rect>",
            height.max(0.0)
        );
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// A line through points; closed to an area when its class fills it.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut command = 'M';
        let mut way = String::new();
        for (x, y) in points {
            let _ = write!(way, "{command}{x:.1} {y:.1}");
            command = 'L';
        }
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{way}\"/>");
    }

    /// A dot with a title.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), title: &str) {
        let title = escape(title);
        let _ = writeln!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"><title>{title}</title></circle>"
        );
    }

    /// A line of text.
    pub fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
        );
    }

    /// The finished drawing.
    pub fn finish(self) -> String {
        self.body + "</svg>\n"
    }
}

/// A round number at or above a positive value, for the end of an axis with four steps.
pub fn axis_end(most: f64) -> f64 {
    if !(most.is_finite() && most > 0.0) {
        return 1.0;
    }
    let decade = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * decade).find(|end| *end >= most).unwrap_or(most)
}
