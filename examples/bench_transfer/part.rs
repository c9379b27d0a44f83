//! What every process of a transfer does: it obeys the orders on its stdin, and answers each on stdout.
//!
//! | order | answer |
//! |---|---|
//! | (it is started) | `here CARD`: how the others reach it |
//! | `meet CARD..` | `ready` when it has met them; the cards of all, senders first |
//! | `prepare N` | `ready` when all is made that transfer N begins with |
//! | `go` | `done START END` when its end of the transfer is over, in microseconds of the clock they share; with a third one if it sealed: when it had |
//! | `check` | `ok` when what arrived is what was sent |
//! | (the end of stdin) | it ends |
//!
//! In place of any answer, `failed REASON`.

use std::io::BufRead;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use common::units::Timestamp;

/// What the first argument is in a process that plays a part.
pub(crate) const PART: &str = "__transfer";

/// Which part it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whether it sends.
    pub(crate) sends: bool,
    /// Its number among the senders, or among the receivers.
    pub(crate) index: usize,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    pub(crate) bytes: usize,
    pub(crate) address: Ipv4Addr,
    pub(crate) domain: u16,
}

/// What a process is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Meet(Vec<String>),
    Prepare(u64),
    Go,
    Check,
}

impl Part {
    /// As arguments; programs of other languages take the same.
    pub(crate) fn to_args(&self) -> [String; 7] {
        let Self { sends, index, senders, receivers, bytes, address, domain } = self;
        [
            if *sends { "send" } else { "receive" }.to_owned(),
            index.to_string(),
            senders.to_string(),
            receivers.to_string(),
            bytes.to_string(),
            address.to_string(),
            domain.to_string(),
        ]
    }

    pub(crate) fn from_args(args: &[String]) -> Result<Self> {
        let [role, index, senders, receivers, bytes, address, domain] = args else {
            bail!("a part has 7 arguments, not {}", args.len());
        };
        Ok(Self {
            sends: role == "send",
            index: index.parse()?,
            senders: senders.parse()?,
            receivers: receivers.parse()?,
            bytes: bytes.parse()?,
            address: address.parse()?,
            domain: domain.parse()?,
        })
    }

    /// Among all cards those of the other side.
    pub(crate) fn others<'c>(&self, cards: &'c [String]) -> Result<&'c [String]> {
        let (senders, receivers) = cards.split_at_checked(self.senders).context("cards are missing")?;
        Ok(if self.sends { receivers } else { senders })
    }
}

impl Order {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        Ok(match words.next() {
            Some("meet") => Self::Meet(words.map(str::to_owned).collect()),
            Some("prepare") => Self::Prepare(words.next().context("which transfer?")?.parse()?),
            Some("go") => Self::Go,
            Some("check") => Self::Check,
            _ => bail!("`{line}` is no order"),
        })
    }
}

/// Hands each order on, until stdin ends or nobody takes them.
pub(crate) fn hear(mut on_order: impl FnMut(Order) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if !Order::parse(&line).is_ok_and(&mut on_order) {
                break;
            }
        }
    });
}

/// Answers; whoever does not listen any more is about to end this process.
pub(crate) fn say(answer: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
}

/// Answers `go`.
pub(crate) fn say_done(start: Timestamp, end: Timestamp, sealed: Option<Timestamp>) {
    let sealed = sealed.map(|sealed| format!(" {}", sealed.0)).unwrap_or_default();
    say(&format!("done {} {}{sealed}", start.0, end.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_back_from_its_arguments() {
        let part = Part {
            sends: true,
            index: 3,
            senders: 8,
            receivers: 1,
            bytes: 64_000,
            address: Ipv4Addr::LOCALHOST,
            domain: 7,
        };
        assert_eq!(Part::from_args(&part.to_args()).unwrap(), part);
        assert!(Part::from_args(&part.to_args()[1..]).is_err());
        let cards: Vec<String> = (0..9).map(|card| card.to_string()).collect();
        assert_eq!(part.others(&cards).unwrap(), ["8"]);
        assert_eq!(Part { sends: false, ..part }.others(&cards).unwrap().len(), 8);
    }

    #[test]
    fn an_order_is_read_and_anything_else_is_refused() {
        assert_eq!(Order::parse("meet a b").unwrap(), Order::Meet(vec!["a".into(), "b".into()]));
        assert_eq!(Order::parse("prepare 12").unwrap(), Order::Prepare(12));
        for line in ["", "prepare", "prepare x", "stop"] {
            assert!(Order::parse(line).is_err(), "{line}");
        }
    }
}
