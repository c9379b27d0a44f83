//! One node's scores over time, with what was wrong and what it noticed.

use super::escape;
use super::svg::{Anchor, Drawing};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 140.0;
/// Room above for two lines of names of faults.
const TOP: f64 = 32.0;
/// Where scores end and alarms begin.
const FLOOR: f64 = 104.0;
const ALARMS: f64 = 110.0;
const ALARM_HEIGHT: f64 = 9.0;
/// Width of a letter of a name, with some room.
const NAME_LETTER: f64 = 6.4;
/// Narrowest thing that can still be seen.
const VISIBLE: f64 = 1.5;

/// A stretch of records in which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first record.
    pub start: usize,
    /// Its last record.
    pub end_inclusive: usize,
    /// What it was, or [`UNNAMED`].
    pub name: &'static str,
}

/// The name of a stretch of which nobody knows what it was.
pub const UNNAMED: &str = "fault";

/// What one node made of its telemetry.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'s> {
    /// The node.
    pub name: &'s str,
    /// What stands beside its name.
    pub badge: Option<&'s str>,
    /// Score of each record; none where too few come before it.
    pub scores: &'s [Option<f64>],
    /// Whether each record raised an alarm.
    pub alarms: &'s [bool],
    /// Above this, a score is an alarm.
    pub threshold: f64,
    /// What was wrong, in order and apart from each other.
    pub faults: &'s [Stretch],
    /// Records of a day.
    pub day: usize,
}

/// What the marks of a strip mean, for the text above.
pub const KEY: &str = "<i class=\"key fault\"></i> a labelled fault, <i class=\"key score\"></i> score, \
    <i class=\"key hit\"></i> alarm during a fault, <i class=\"key miss\"></i> alarm without one; \
    the dashed line is the alarm threshold.";

/// The strip with its caption.
pub fn figure(strip: &Strip<'_>) -> String {
    let Strip { name, badge, faults, alarms, .. } = strip;
    let found =
        faults.iter().filter(|fault| alarms[fault.start..=fault.end_inclusive].contains(&true)).count();
    let quiet = (0..alarms.len()).filter(|row| !is_faulty(faults, *row));
    let (healthy, false_alarms) =
        quiet.fold((0_usize, 0_usize), |(rows, alarmed), row| (rows + 1, alarmed + usize::from(alarms[row])));
    let badge =
        badge.map_or(String::new(), |badge| format!("<span class=\"badge\">{}</span>", escape(badge)));
    format!(
        "<figure class=\"strip\">\n<figcaption><b>{}</b>{badge}<span>{found} of {} faults raised an alarm; \
         {:.1} % of healthy records did</span></figcaption>\n{}</figure>\n",
        escape(name),
        faults.len(),
        100.0 * false_alarms as f64 / healthy.max(1) as f64,
        draw(strip)
    )
}

fn is_faulty(faults: &[Stretch], row: usize) -> bool {
    faults.iter().any(|fault| (fault.start..=fault.end_inclusive).contains(&row))
}

fn draw(strip: &Strip<'_>) -> String {
    let Strip { name, scores, alarms, threshold, faults, day, .. } = strip;
    let rows = scores.len().max(1);
    let x = |row: usize| WIDTH * row as f64 / rows as f64;
    let mut drawing = Drawing::new(WIDTH, HEIGHT, &format!("scores of {name} over time"));
    for Stretch { start, end_inclusive, name } in *faults {
        let width = (x(end_inclusive + 1) - x(*start)).max(VISIBLE);
        let title = format!("{name}, records {start} to {end_inclusive}");
        drawing.rect("fault", [x(*start), TOP, width, ALARMS + ALARM_HEIGHT - TOP], 2.0, &title);
    }
    names(&mut drawing, faults, x);
    let top = ceiling(scores, *threshold);
    // The root of a score: large ones must not hide the small.
    let y = |score: f64| FLOOR - (score.max(0.0) / top).sqrt().min(1.0) * (FLOOR - TOP);
    let columns = rows.min(WIDTH as usize);
    let mut area = vec![(0.0, FLOOR)];
    for column in 0..columns {
        let bucket = column * rows / columns..((column + 1) * rows / columns).min(scores.len());
        let highest = scores[bucket.clone()].iter().flatten().copied().fold(0.0, f64::max);
        area.push((x(bucket.start), y(highest)));
    }
    area.push((WIDTH, FLOOR));
    drawing.path("score", &area);
    drawing.line("threshold", [0.0, y(*threshold), WIDTH, y(*threshold)]);
    drawing.line("axis", [0.0, FLOOR, WIDTH, FLOOR]);
    for (row, stretch) in alarm_stretches(alarms, faults) {
        let class = if is_faulty(faults, row) { "hit" } else { "miss" };
        drawing.rect(
            class,
            [x(row), ALARMS, (x(row + stretch) - x(row)).max(VISIBLE), ALARM_HEIGHT],
            0.0,
            "",
        );
    }
    days(&mut drawing, *day, rows, x);
    drawing.finish()
}

/// What was wrong, where the data say it; a name that would run into the last one goes a line higher.
fn names(drawing: &mut Drawing, faults: &[Stretch], x: impl Fn(usize) -> f64) {
    let mut free = [0.0; 2];
    for Stretch { start, name, .. } in faults.iter().filter(|fault| fault.name != UNNAMED) {
        let width = NAME_LETTER * name.len() as f64;
        let from = x(*start).min(WIDTH - width);
        let line = usize::from(from < free[0]);
        if from >= free[line] {
            free[line] = from + width;
            drawing.text("small", Anchor::Start, (from, TOP - 6.0 - 12.0 * line as f64), name);
        }
    }
}

/// The score at the top of the strip: nearly the highest, and well above the threshold.
fn ceiling(scores: &[Option<f64>], threshold: f64) -> f64 {
    let mut sorted: Vec<f64> = scores.iter().flatten().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let high = sorted.get(sorted.len().saturating_sub(1 + sorted.len() / 200)).copied().unwrap_or(0.0);
    high.max(1.5 * threshold).max(f64::MIN_POSITIVE)
}

/// Alarms that follow each other, cut where a fault begins or ends: first record and length.
fn alarm_stretches(alarms: &[bool], faults: &[Stretch]) -> Vec<(usize, usize)> {
    let states: Vec<(bool, bool)> =
        alarms.iter().enumerate().map(|(row, alarm)| (*alarm, is_faulty(faults, row))).collect();
    let mut row = 0;
    let mut found = Vec::new();
    for stretch in states.chunk_by(|a, b| a == b) {
        if stretch[0].0 {
            found.push((row, stretch.len()));
        }
        row += stretch.len();
    }
    found
}

fn days(drawing: &mut Drawing, day: usize, rows: usize, x: impl Fn(usize) -> f64) {
    let days = rows.div_ceil(day);
    let every = days.div_ceil(10).max(1);
    for number in (0..days).step_by(every) {
        drawing.line("grid", [x(number * day), FLOOR, x(number * day), HEIGHT - 18.0]);
        drawing.text(
            "small",
            Anchor::Start,
            (x(number * day) + 4.0, HEIGHT - 6.0),
            &format!("day {}", number + 1),
        );
    }
}
