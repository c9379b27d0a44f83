//! One cell of the table: which system, which pattern, how many bytes, over what.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// Who moves the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum System {
    /// Plain sockets, a blob behind its length, the connection open already.
    Tcp,
    /// RustDDS by itself: the blob is one reliable sample.
    Rustdds,
    /// Ours: sealed, in chunks, with receipts.
    Starling,
    /// Cyclone DDS from C: the blob is one reliable sample.
    Cyclonedds,
}

/// How many send to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Pattern {
    /// One to one.
    #[serde(rename = "1-1")]
    #[value(name = "1-1")]
    OneToOne,
    /// Each of eight sends its own to one.
    #[serde(rename = "8-1")]
    #[value(name = "8-1")]
    EightToOne,
    /// One sends the same to each of eight.
    #[serde(rename = "1-8")]
    #[value(name = "1-8")]
    OneToEight,
}

/// Over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wire {
    /// All on one host.
    Loopback,
    /// Each on its own host, on links of MTU 1500.
    Mtu1500,
}

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) system: System,
    pub(crate) pattern: Pattern,
    pub(crate) bytes: usize,
    pub(crate) wire: Wire,
    pub(crate) loss_percent: u32,
}

/// The sizes of the table.
const SIZES: [usize; 5] = [64_000, 1_000_000, 4_000_000, 20_000_000, 64_000_000];

/// What lies between the hosts, and the packets of a hundred that are lost there.
pub(crate) const NETWORKS: [(Wire, u32); 3] = [(Wire::Loopback, 0), (Wire::Mtu1500, 0), (Wire::Mtu1500, 1)];

impl Pattern {
    /// How many processes send, and how many receive.
    pub(crate) const fn ends(self) -> (usize, usize) {
        match self {
            Self::OneToOne => (1, 1),
            Self::EightToOne => (8, 1),
            Self::OneToEight => (1, 8),
        }
    }
}

impl Cell {
    /// All cells over one network: the systems side by side.
    pub(crate) fn all_over((wire, loss_percent): (Wire, u32)) -> Vec<Self> {
        let patterns = Pattern::value_variants().iter();
        let sized = patterns.flat_map(|pattern| SIZES.map(|bytes| (*pattern, bytes)));
        sized
            .flat_map(|(pattern, bytes)| {
                let systems = System::value_variants().iter();
                systems.map(move |system| Self { system: *system, pattern, bytes, wire, loss_percent })
            })
            .collect()
    }

    /// How many processes take part.
    pub(crate) const fn processes(&self) -> usize {
        let (senders, receivers) = self.pattern.ends();
        senders + receivers
    }
}

/// The word that stands for a value in options, tables and JSON.
pub(crate) fn word(value: impl ValueEnum + Copy) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, pattern, bytes, wire, loss_percent } = *self;
        let (wire, pattern, system) = (word(wire), word(pattern), word(system));
        write!(f, "{wire:<8} {loss_percent:>4} % {pattern:>7} {:>9.3} {system:<10}", bytes as f64 / 1e6)
    }
}

/// The figures of a cell; `Display` is a line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) system: System,
    pub(crate) pattern: Pattern,
    pub(crate) bytes: usize,
    pub(crate) network: Wire,
    pub(crate) loss_percent: u32,
    /// From the first sender's start to the last receiver's end; none when half of the transfers did not end.
    pub(crate) ms_median: Option<f64>,
    /// Of it, until the last sender had sealed; only of a system that seals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seal_ms_median: Option<f64>,
    /// Of all processes, for one transfer.
    pub(crate) cpu_s: Option<f64>,
    /// What the senders put on the wire for one transfer; on loopback what everybody did.
    pub(crate) sent_bytes: Option<u64>,
    /// The most that one of the processes held.
    pub(crate) memory_bytes: Option<u64>,
    /// Transfers that arrived.
    pub(crate) transfers: usize,
    /// Transfers that did not arrive in time.
    pub(crate) never: usize,
}

/// The first line of the table.
pub(crate) const HEADER: &str = "\
network    loss pattern        MB system     median ms of it seal    CPU ms   MB sent   MB held transfers never";

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, pattern, bytes, network: wire, loss_percent, transfers, never, .. } = *self;
        let cell = Cell { system, pattern, bytes, wire, loss_percent };
        let or_never = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "never".to_owned(), |value| format!("{value:.digits$}"))
        };
        let megabytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / 1e6);
        write!(
            f,
            "{cell} {:>9} {:>10} {:>9} {:>9} {:>9} {transfers:>9} {never:>5}",
            or_never(self.ms_median, 2),
            self.seal_ms_median.map_or_else(|| "-".to_owned(), |seal_ms| format!("{seal_ms:.2}")),
            or_never(self.cpu_s.map(|seconds| seconds * 1000.0), 2),
            or_never(megabytes(self.sent_bytes), 3),
            or_never(megabytes(self.memory_bytes), 1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_of_a_size_stand_side_by_side() {
        let cells = Cell::all_over(NETWORKS[0]);
        assert_eq!(cells.len(), 3 * 5 * 4);
        assert!(cells.chunks(4).all(|row| row.iter().all(|cell| cell.bytes == row[0].bytes)));
    }

    #[test]
    fn a_figure_has_the_agreed_keys_and_words() {
        let figure = Figure {
            system: System::Cyclonedds,
            pattern: Pattern::OneToEight,
            bytes: 64_000,
            network: Wire::Mtu1500,
            loss_percent: 1,
            ms_median: None,
            seal_ms_median: None,
            cpu_s: Some(0.5),
            sent_bytes: Some(70_000),
            memory_bytes: None,
            transfers: 0,
            never: 2,
        };
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!(json["system"], "cyclonedds");
        assert_eq!(json["pattern"], "1-8");
        assert_eq!(json["network"], "mtu1500");
        assert!(json["ms_median"].is_null());
        for key in ["bytes", "loss_percent", "cpu_s", "sent_bytes"] {
            assert!(json[key].is_number(), "{key}");
        }
        assert!(figure.to_string().contains("1-8"), "{figure}");
    }
}
