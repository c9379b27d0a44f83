//! Which cells are wanted: words that each name a system, a pattern, a network, a size or a loss.

use std::str::FromStr;

use clap::ValueEnum;

use crate::cell::{Cell, Pattern, System, Wire};

/// One word of `--only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Control,
    System(System),
    Pattern(Pattern),
    Wire(Wire),
    Bytes(usize),
    Loss(u32),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        fn of<T: ValueEnum>(text: &str, choice: impl Fn(T) -> Choice) -> Option<Choice> {
            T::from_str(text, true).ok().map(choice)
        }
        let control = (text == "control").then_some(Self::Control);
        control
            .or_else(|| of(text, Self::System))
            .or_else(|| of(text, Self::Pattern))
            .or_else(|| of(text, Self::Wire))
            .or_else(|| text.strip_suffix('%')?.parse().ok().map(Self::Loss))
            .or_else(|| bytes(text).map(Self::Bytes))
            .ok_or_else(|| {
                "is no system, pattern, network, size (as 4MB), loss (as 1%) or `control`".to_owned()
            })
    }
}

/// As `64kB` or `4MB`.
fn bytes(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let (digits, unit) = match (text.strip_suffix("kb"), text.strip_suffix("mb")) {
        (Some(digits), _) => (digits, 1000),
        (_, Some(digits)) => (digits, 1_000_000),
        _ => (text.as_str(), 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// Whether a cell is wanted: of each kind of word that is there, one has to fit.
pub(crate) fn is_chosen(cell: &Cell, only: &[Choice]) -> bool {
    let fits = |choice: &Choice| match *choice {
        Choice::Control => false,
        Choice::System(system) => cell.system == system,
        Choice::Pattern(pattern) => cell.pattern == pattern,
        Choice::Wire(wire) => cell.wire == wire,
        Choice::Bytes(bytes) => cell.bytes == bytes,
        Choice::Loss(percent) => cell.loss_percent == percent,
    };
    let same_kind = |a: &Choice, b: &Choice| std::mem::discriminant(a) == std::mem::discriminant(b);
    only.iter().all(|choice| only.iter().any(|other| same_kind(choice, other) && fits(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Cell = Cell {
        system: System::Tcp,
        pattern: Pattern::EightToOne,
        bytes: 4_000_000,
        wire: Wire::Mtu1500,
        loss_percent: 1,
    };

    fn choices(words: &str) -> Vec<Choice> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn words_of_one_kind_widen_and_words_of_another_narrow() {
        for words in ["", "tcp", "tcp starling", "8-1 4MB", "4000000 mtu1500 1%", "64kB 4mb 1-1 8-1"] {
            assert!(is_chosen(&CELL, &choices(words)), "{words}");
        }
        for words in ["starling", "tcp 1-1", "64kB", "loopback", "0%", "control", "tcp control"] {
            assert!(!is_chosen(&CELL, &choices(words)), "{words}");
        }
    }

    #[test]
    fn a_word_that_means_nothing_is_refused() {
        for word in ["", "tpc", "4GB", "%", "9-1", "-4MB"] {
            assert!(word.parse::<Choice>().is_err(), "{word}");
        }
    }
}
