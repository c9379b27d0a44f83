//! What came of an import: for the event stream, for a person, and for a mail (RFC 5322).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::units::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use crate::error::Reason;
use crate::file::shown;
use crate::time;

/// What came of an import. `accepted` and the rejected rows together are `rows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The file.
    pub file: String,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines, with the header and blank ones; a row may be on several.
    pub lines: u64,
    /// Rows below the header.
    pub rows: u64,
    /// Rows that became records.
    pub accepted: u64,
    /// Rows that were left out, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// How long it took, all runs together, as the caller measured it.
    pub seconds: f64,
}

impl Summary {
    /// What `state` says of the file at `path`.
    pub fn new(path: &Path, state: &State, seconds: f64) -> Self {
        Self {
            file: shown(path),
            bytes: state.bytes(),
            lines: state.lines(),
            rows: state.rows(),
            accepted: state.accepted(),
            rejected: state.rejected().clone(),
            seconds,
        }
    }

    /// All rows that were left out.
    pub fn rejected_count(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// The summary as a mail: header and text with CRLF (RFC 5322). The addresses must be valid ones.
    ///
    /// The text is base64 (RFC 2045, section 6.8), because a file's name may hold any characters.
    pub fn mail(&self, from: &str, to: &[String], at: Timestamp) -> String {
        let text = format!("{self}\r\n");
        let domain = from.rsplit('@').next().unwrap_or_default();
        let id = blake3::hash(format!("{}\n{}\n{text}", at.0, to.join(",")).as_bytes()).to_hex();
        let header = [
            ("Date", time::rfc5322(at)),
            ("From", from.to_owned()),
            ("To", to.join(",\r\n ")),
            ("Subject", format!("Import: {} accepted, {} rejected", self.accepted, self.rejected_count())),
            ("Message-ID", format!("<{}@{domain}>", &id[..32])),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", "base64".to_owned()),
        ];
        let header: String = header.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        // Lines of 76 characters; base64 is ASCII, so they can be cut anywhere.
        let text = STANDARD.encode(text);
        let lines = text.as_bytes().chunks(76).flat_map(|line| ["\r\n".as_bytes(), line]);
        header + &String::from_utf8_lossy(&lines.collect::<Vec<_>>().concat()) + "\r\n"
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(
            f,
            "{}: {} rows on {} lines, {megabytes:.1} MB in {:.1} s: {} accepted, {} rejected",
            self.file,
            self.rows,
            self.lines,
            self.seconds,
            self.accepted,
            self.rejected_count()
        )?;
        let mut before = " (";
        for (reason, count) in &self.rejected {
            write!(f, "{before}{count} {reason}")?;
            before = ", ";
        }
        if self.rejected.is_empty() { Ok(()) } else { f.write_char(')') }
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn summary() -> Summary {
        Summary {
            file: "d/grün.csv".into(),
            bytes: 2_500_000,
            lines: 1002,
            rows: 1000,
            accepted: 997,
            rejected: BTreeMap::from([(Reason::NotANumber, 2), (Reason::OpenQuote, 1)]),
            seconds: 1.25,
        }
    }

    const TEXT: &str = "d/grün.csv: 1000 rows on 1002 lines, 2.5 MB in 1.2 s: 997 accepted, 3 rejected \
                        (2 not a number, 1 quote not closed)";

    #[test]
    fn a_summary_is_one_line_and_survives_json() {
        assert_eq!(summary().to_string(), TEXT);
        let json = serde_json::to_string(&summary()).unwrap();
        assert!(json.contains("\"rejected\":{\"not_a_number\":2,\"open_quote\":1}"));
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary());
    }

    #[test]
    fn the_mail_is_read_back_by_a_mail_parser() {
        let to = ["ops@example.com".to_owned(), "night@example.com".to_owned()];
        let mail = summary().mail("node@example.com", &to, Timestamp(1_709_210_096_000_000));
        assert!(mail.split("\r\n").all(|line| line.len() <= 78 && line.is_ascii() && !line.contains('\n')));
        let read = MessageParser::default().parse(mail.as_bytes()).unwrap();
        assert_eq!(read.subject(), Some("Import: 997 accepted, 3 rejected"));
        assert_eq!(read.to().unwrap().iter().count(), 2);
        assert_eq!(read.date().unwrap().to_timestamp(), 1_709_210_096);
        assert!(read.message_id().unwrap().ends_with("@example.com"));
        assert_eq!(read.body_text(0).unwrap().trim_end(), TEXT);
    }
}
