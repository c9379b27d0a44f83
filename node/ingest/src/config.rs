//! `[[source]]` in a node's configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits::SCRAPE_BYTES;
use crate::prometheus::target::Target;

/// One source of telemetry, chosen by its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// `kind = "csv"`: one file.
    Csv(CsvSource),
    /// `kind = "jsonl"`: one file with an object of JSON a line.
    Jsonl(CsvSource),
    /// `kind = "directory"`: a directory of such files, followed as it grows.
    Directory(DirectorySource),
    /// `kind = "host"`: the metrics of this machine ([`METRICS`](super::host::METRICS)).
    Host(HostSource),
    /// `kind = "prometheus"`: an exporter of Prometheus or OpenMetrics, scraped now and then.
    Prometheus(PrometheusSource),
}

/// One CSV file, plain or gzip. Its first line names the columns; each other column is a metric. Of JSON lines each
/// member is a column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSource {
    /// The file; a name that ends in `.eml` is a mail, whose parts may be of any format that is known.
    pub path: PathBuf,
    /// The column that holds the time: Unix seconds or milliseconds, or RFC 3339. Without it, the
    /// time of a row is its number times `interval_s`.
    #[serde(default)]
    pub timestamp_column: Option<String>,
    /// Seconds between two rows of a file without timestamps. 60 when not given.
    #[serde(default)]
    pub interval_s: Interval,
}

/// A directory of CSV files, JSON lines (`*.jsonl`, `*.ndjson`), both plain or gzip, and mails (`*.eml`) in any
/// format that [`adapt`](crate::adapt) knows. New files, appended lines and rotation are noticed. Sub-directories,
/// names that begin with a dot, and names that end in `~`, `.tmp` or `.part` are left alone, so that a file can be
/// written under such a name and renamed when it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySource {
    /// The directory.
    pub path: PathBuf,
    /// As for a CSV file; the same for all files.
    #[serde(default)]
    pub timestamp_column: Option<String>,
    /// As for a CSV file; the rows of each file are counted from zero. What a mail holds without a time has the
    /// mail's.
    #[serde(default)]
    pub interval_s: Interval,
}

/// The metrics of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSource {
    /// Seconds between two samples. 60 when not given.
    #[serde(default)]
    pub interval_s: Interval,
}

/// An exporter: a server that tells its metrics as text (the format 0.0.4, or OpenMetrics 1.0).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSource {
    /// Where it tells them: `http://host:port/metrics`. The host is the source of the records.
    pub url: Target,
    /// Seconds between two scrapes. 60 when not given.
    #[serde(default)]
    pub interval_s: Interval,
    /// Seconds that a scrape may take; other sources wait for it. 5 when not given.
    #[serde(default = "scrape_timeout")]
    pub timeout_s: Interval,
    /// Bytes that it may say.
    #[serde(default = "scrape_bytes_max")]
    pub bytes_max: usize,
    /// For `https`: those who sign its certificate, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

const fn scrape_timeout() -> Interval {
    Interval(5_000_000)
}

const fn scrape_bytes_max() -> usize {
    SCRAPE_BYTES
}

/// How the rows of a file get their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// The column that holds it.
    pub timestamp_column: Option<String>,
    /// The time between two rows, where no column holds it.
    pub interval_s: Interval,
}

/// A positive length of time, written as a number of seconds: `60`, `0.5`. Kept in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Interval(u64);

/// The number of seconds is not between a microsecond and a year.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a number of seconds between 0.000001 and 31536000")]
pub struct IntervalError(f64);

impl CsvSource {
    /// How its rows get their time.
    pub fn format(&self) -> Format {
        Format { timestamp_column: self.timestamp_column.clone(), interval_s: self.interval_s }
    }
}

impl DirectorySource {
    /// How the rows of its files get their time.
    pub fn format(&self) -> Format {
        Format { timestamp_column: self.timestamp_column.clone(), interval_s: self.interval_s }
    }
}

impl Interval {
    /// Its length in microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self(60_000_000)
    }
}

impl From<Interval> for f64 {
    fn from(interval: Interval) -> Self {
        interval.0 as Self / 1e6
    }
}

impl TryFrom<f64> for Interval {
    type Error = IntervalError;

    fn try_from(seconds: f64) -> Result<Self, IntervalError> {
        if (1e-6..=31_536_000.0).contains(&seconds) {
            Ok(Self((seconds * 1e6).round() as u64))
        } else {
            Err(IntervalError(seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Config {
        source: Vec<Source>,
    }

    #[test]
    fn the_kinds_of_source_are_read_from_toml() {
        let text = r#"
            [[source]]
            kind = "csv"
            path = "train.csv.gz"
            interval_s = 300
            [[source]]
            kind = "directory"
            path = "spool"
            timestamp_column = "time"
            [[source]]
            kind = "host"
            interval_s = 0.5
            [[source]]
            kind = "jsonl"
            path = "log"
            [[source]]
            kind = "prometheus"
            url = "http://rack-1.example.com:9100/metrics"
        "#;
        let config: Config = toml::from_str(text).unwrap();
        let [
            Source::Csv(csv),
            Source::Directory(directory),
            Source::Host(host),
            Source::Jsonl(_),
            Source::Prometheus(exporter),
        ] = &config.source[..]
        else {
            panic!("these kinds in this order: {config:?}");
        };
        assert_eq!((exporter.url.port, exporter.timeout_s.micros()), (9100, 5_000_000));
        assert_eq!(csv.interval_s.micros(), 300_000_000);
        assert_eq!(directory.timestamp_column.as_deref(), Some("time"));
        assert_eq!((directory.interval_s.micros(), host.interval_s.micros()), (60_000_000, 500_000));
    }

    #[test]
    fn an_unknown_key_kind_or_interval_is_refused_by_name() {
        let error =
            |text: &str| toml::from_str::<Config>(&format!("[[source]]\n{text}")).unwrap_err().to_string();
        assert!(
            error("kind = \"csv\"\npath = \"a\"\nintervall_s = 1").contains("unknown field `intervall_s`")
        );
        assert!(error("kind = \"host\"\npath = \"a\"").contains("unknown field `path`"));
        assert!(error("kind = \"ftp\"").contains("unknown variant `ftp`"));
        assert!(error("kind = \"csv\"").contains("missing field `path`"));
        assert!(error("kind = \"host\"\ninterval_s = 0").contains("0 is not a number of seconds"));
    }
}
