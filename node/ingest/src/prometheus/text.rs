//! What exporters write: the text format 0.0.4 and OpenMetrics 1.0, to samples that know what they are.
//!
//! A text that is wrong somewhere is refused whole, as Prometheus does: the rest of it may say something else
//! than was meant.

mod line;

use std::collections::BTreeMap;

use common::units::Timestamp;

use self::line::Cursor;
use crate::error::Shown;
use crate::limits::{LINE_BYTES_MAX, SCRAPE_LABELS_MAX, SCRAPE_SAMPLES_MAX};

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// The text format 0.0.4: times are milliseconds, and anything may be a comment.
    Text,
    /// OpenMetrics 1.0: times are seconds, and the last line is `# EOF`.
    OpenMetrics,
}

/// What a value is, by the type of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A value as it is.
    Gauge,
    /// A total that only grows.
    Counter,
    /// How many values a distribution holds; grows.
    Count,
    /// Their sum; grows with them.
    Sum,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric; of a distribution the name without `_count` and `_sum`.
    pub name: String,
    /// Names and values, in the order of the text.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
    /// When it was measured, where the text says so.
    pub at: Option<Timestamp>,
    /// What it is.
    pub role: Role,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct TextFault {
    /// Which, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: LineFault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Bytes that are not text.
    #[error("the line is not UTF-8 text")]
    NotText,
    /// A line over its limit.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Something else than what must be here.
    #[error("there is no {wanted} at {found}")]
    Expected {
        /// What must be here.
        wanted: &'static str,
        /// What is here.
        found: Shown,
    },
    /// A type that is not known.
    #[error("{0} is not a type")]
    Type(Shown),
    /// A second type of one family.
    #[error("the type of {0} is there twice")]
    TypeTwice(Shown),
    /// More labels than a sample may have.
    #[error("more than {SCRAPE_LABELS_MAX} labels")]
    TooManyLabels,
    /// More samples than a text may have.
    #[error("more than {SCRAPE_SAMPLES_MAX} samples")]
    TooManySamples,
    /// OpenMetrics ends with `# EOF`; otherwise it was cut short.
    #[error("the text does not end with `# EOF`")]
    NoEnd,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
}

const TYPES: [(&str, Type); 9] = [
    ("counter", Type::Counter),
    ("gauge", Type::Gauge),
    ("histogram", Type::Histogram),
    ("gaugehistogram", Type::GaugeHistogram),
    ("summary", Type::Summary),
    ("info", Type::Info),
    ("stateset", Type::Gauge),
    ("untyped", Type::Gauge),
    ("unknown", Type::Gauge),
];

/// What a sample's name adds to its family's, the family's type, and what the sample is then; `None` is left out:
/// buckets, which the count and the sum tell enough of, the times at which a total began, and what is always 1.
const ENDINGS: [(&str, Type, Option<Role>); 17] = [
    ("", Type::Counter, Some(Role::Counter)),
    ("_total", Type::Counter, Some(Role::Counter)),
    ("_created", Type::Counter, None),
    ("", Type::Gauge, Some(Role::Gauge)),
    ("_bucket", Type::Histogram, None),
    ("_count", Type::Histogram, Some(Role::Count)),
    ("_sum", Type::Histogram, Some(Role::Sum)),
    ("_created", Type::Histogram, None),
    ("_bucket", Type::GaugeHistogram, None),
    ("_gcount", Type::GaugeHistogram, Some(Role::Gauge)),
    ("_gsum", Type::GaugeHistogram, Some(Role::Gauge)),
    ("", Type::Summary, Some(Role::Gauge)),
    ("_count", Type::Summary, Some(Role::Count)),
    ("_sum", Type::Summary, Some(Role::Sum)),
    ("_created", Type::Summary, None),
    ("", Type::Info, None),
    ("_info", Type::Info, None),
];

/// Reads a text.
///
/// # Errors
///
/// [`TextFault`] names the first line that is wrong.
pub fn parse(text: &[u8], syntax: Syntax) -> Result<Vec<Sample>, TextFault> {
    let mut types: BTreeMap<String, Type> = BTreeMap::new();
    let mut samples = Vec::new();
    let mut number = 0;
    let mut has_ended = false;
    for line in text.split(|&byte| byte == b'\n') {
        number += 1;
        let fault = |fault| TextFault { line: number, fault };
        if line.len() > LINE_BYTES_MAX {
            return Err(fault(LineFault::TooLong));
        }
        let line = std::str::from_utf8(line).map_err(|_| fault(LineFault::NotText))?;
        let line = line.trim_matches([' ', '\t', '\r']);
        if has_ended && !line.is_empty() {
            return Err(fault(expected("end of the text", line)));
        }
        match line.strip_prefix('#') {
            None if line.is_empty() => (),
            Some(comment) if syntax == Syntax::OpenMetrics && comment == " EOF" => has_ended = true,
            Some(comment) => note_type(comment, &mut types).map_err(fault)?,
            None if samples.len() >= SCRAPE_SAMPLES_MAX => return Err(fault(LineFault::TooManySamples)),
            None => samples.extend(sample(line, syntax, &types).map_err(fault)?),
        }
    }
    if syntax == Syntax::OpenMetrics && !has_ended {
        return Err(TextFault { line: number, fault: LineFault::NoEnd });
    }
    Ok(samples)
}

/// `TYPE name type`; other comments are help, units, or talk.
fn note_type(comment: &str, types: &mut BTreeMap<String, Type>) -> Result<(), LineFault> {
    let Some(rest) = comment.trim_start().strip_prefix("TYPE").filter(|rest| rest.starts_with([' ', '\t']))
    else {
        return Ok(());
    };
    let mut cursor = Cursor::new(rest);
    cursor.blanks();
    let name = if cursor.next_is('"') { cursor.quoted()? } else { cursor.name()?.to_owned() };
    let written = cursor.rest().trim();
    let known = TYPES.iter().find(|(word, _)| written.eq_ignore_ascii_case(word));
    let (_, kind) = known.ok_or_else(|| LineFault::Type(Shown::of(written)))?;
    let shown = Shown::of(&name);
    if types.insert(name, *kind).is_some() { Err(LineFault::TypeTwice(shown)) } else { Ok(()) }
}

/// `name{label="value",...} value [time]`; in OpenMetrics an exemplar may follow. `None` is left out.
fn sample(line: &str, syntax: Syntax, types: &BTreeMap<String, Type>) -> Result<Option<Sample>, LineFault> {
    let mut cursor = Cursor::new(line);
    let mut name = if cursor.next_is('{') { String::new() } else { cursor.name()?.to_owned() };
    cursor.blanks();
    let labels = cursor.labels(&mut name)?;
    if name.is_empty() {
        return Err(expected("name of a metric", line));
    }
    cursor.blanks();
    let word = cursor.word();
    let value = word.parse::<f64>().map_err(|_| expected("number", word))?;
    cursor.blanks();
    let has_exemplar = syntax == Syntax::OpenMetrics && cursor.next_is('#');
    let at = if has_exemplar || cursor.rest().is_empty() { None } else { Some(time(cursor.word(), syntax)?) };
    cursor.blanks();
    let rest = cursor.rest();
    let is_exemplar = syntax == Syntax::OpenMetrics && rest.starts_with('#');
    if !rest.is_empty() && !is_exemplar {
        return Err(expected("end of the line", rest));
    }
    Ok(role(name, types).map(|(name, role)| Sample { name, labels, value, at, role }))
}

/// What a sample is; without a type it is a value. The longest ending that fits a family decides.
fn role(name: String, types: &BTreeMap<String, Type>) -> Option<(String, Role)> {
    let fits = |(ending, kind, _): &&(&str, Type, Option<Role>)| {
        name.strip_suffix(ending).is_some_and(|family| types.get(family) == Some(kind))
    };
    let Some((ending, _, role)) = ENDINGS.iter().find(fits) else { return Some((name, Role::Gauge)) };
    let role = (*role)?;
    let is_part = matches!(role, Role::Count | Role::Sum);
    let bare = name.len() - if is_part { ending.len() } else { 0 };
    Some((name[..bare].to_owned(), role))
}

/// Milliseconds, or seconds with a fraction; before 1970 is no time.
fn time(word: &str, syntax: Syntax) -> Result<Timestamp, LineFault> {
    let micros = match syntax {
        Syntax::Text => word.parse::<u64>().ok().and_then(|millis| millis.checked_mul(1000)),
        Syntax::OpenMetrics => {
            let seconds = word.parse::<f64>().ok();
            // Beyond the year 5138 it is no time of a measurement.
            seconds
                .filter(|seconds| (0.0..1e11).contains(seconds))
                .map(|seconds| (seconds * 1e6).round() as u64)
        }
    };
    micros.map(Timestamp).ok_or_else(|| expected("time", word))
}

fn expected(wanted: &'static str, found: &str) -> LineFault {
    LineFault::Expected { wanted, found: Shown::of(found) }
}

#[cfg(test)]
mod tests;
