//! What the levels of a topic mean: `telemetry/{source}/{metric}`.

use std::fmt;

use serde::Deserialize;

/// Bytes of a pattern and of a topic that is compared with one (MQTT 3.1.1, section 4.7.3, allows 65535).
const TOPIC_BYTES_MAX: usize = 1024;

/// A pattern of topics. It has one `{source}`, and may have one `{metric}`; `+` is any level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Vec<Level>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(String),
    Source,
    Metric,
    Any,
}

/// What a topic names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'t> {
    /// Where it was measured.
    pub source: &'t str,
    /// What was measured; without it the payload says.
    pub metric: Option<&'t str>,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pattern such as telemetry/{{source}}/{{metric}}: {1}")]
pub struct PatternError(String, &'static str);

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        let level = |level: &str| match level {
            "{source}" => Level::Source,
            "{metric}" => Level::Metric,
            "+" => Level::Any,
            literal => Level::Literal(literal.to_owned()),
        };
        let levels: Vec<Level> = text.split('/').map(level).collect();
        let count = |wanted: &Level| levels.iter().filter(|level| *level == wanted).count();
        let is_plain = |level: &Level| match level {
            Level::Literal(text) => !text.contains(['+', '#', '{', '}', '\0']),
            _ => true,
        };
        let checks = [
            (text.len() <= TOPIC_BYTES_MAX, "it is too long"),
            (levels.iter().all(is_plain), "a level is a word, {source}, {metric} or +"),
            (count(&Level::Source) == 1, "it has not one {source}"),
            (count(&Level::Metric) <= 1, "it has more than one {metric}"),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, problem)) => Err(PatternError(text, problem)),
            None => Ok(Self(levels)),
        }
    }
}

impl Pattern {
    /// What to subscribe to.
    pub fn filter(&self) -> String {
        let level = |level: &Level| match level {
            Level::Literal(text) => text.clone(),
            Level::Source | Level::Metric | Level::Any => "+".to_owned(),
        };
        self.0.iter().map(level).collect::<Vec<_>>().join("/")
    }

    /// What `topic` names, if it is of this pattern.
    pub fn named<'t>(&self, topic: &'t str) -> Option<Named<'t>> {
        if topic.len() > TOPIC_BYTES_MAX || topic.split('/').count() != self.0.len() {
            return None;
        }
        let (mut source, mut metric) = (None, None);
        for (level, text) in self.0.iter().zip(topic.split('/')) {
            match level {
                Level::Literal(literal) if literal != text => return None,
                Level::Literal(_) | Level::Any => (),
                Level::Source => source = Some(text),
                Level::Metric => metric = Some(text),
            }
        }
        let metric = metric.filter(|metric| !metric.is_empty());
        source.filter(|source| !source.is_empty()).map(|source| Named { source, metric })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.filter())
    }
}
