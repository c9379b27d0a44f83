//! A block of time, reduced to a few numbers.

use serde::{Deserialize, Serialize};

use super::Seen;

/// Parts of a block, of which each must have a record: half a day is not like a day.
const PARTS: u64 = 8;

/// What is drawn by the number of a block and added to its numbers: they are never equal, as those of a metric that never changes
/// would be, and in scaled values it is nothing.
const DITHER: f64 = 1e-6;

/// The sums of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    /// Blocks since 1970 before it.
    number: u64,
    rows: u64,
    /// A bit for each part that has a row.
    parts: u8,
    sums: Vec<f64>,
    squares: Vec<f64>,
    scores: u64,
    /// A bit for each part that has a score.
    parts_scored: u8,
    score_sum: f64,
}

impl Block {
    /// A block without records.
    pub(super) fn new(number: u64, metrics: usize) -> Self {
        let (rows, parts, scores, parts_scored, score_sum) = (0, 0, 0, 0, 0.0);
        let (sums, squares) = (vec![0.0; metrics], vec![0.0; metrics]);
        Self { number, rows, parts, sums, squares, scores, parts_scored, score_sum }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Adds a record that lies within.
    pub(super) fn add(&mut self, block_s: u64, Seen { at, row, score }: Seen<'_>) {
        let micros = block_s * 1_000_000;
        let part = 1_u8 << (at.0 % micros * PARTS / micros);
        self.rows += 1;
        self.parts |= part;
        for ((sum, square), value) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
            let value = f64::from(*value);
            *sum += value;
            *square += value * value;
        }
        if let Some(score) = score {
            self.scores += 1;
            self.parts_scored |= part;
            self.score_sum += score;
        }
    }

    /// Whether each of its parts has a record.
    pub(super) fn is_whole(&self) -> bool {
        self.parts == u8::MAX
    }

    /// The level of each metric, then the spread of each.
    pub(super) fn inputs(&self) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        let levels = self.sums.iter().map(|sum| sum / rows);
        let spreads =
            self.squares.iter().zip(levels.clone()).map(|(square, level)| square / rows - level * level);
        let dither = self.dither();
        levels.clone().chain(spreads).map(|number| number + dither).collect()
    }

    /// The mean score, where each part has one.
    pub(super) fn score(&self) -> Option<f64> {
        let is_whole = self.parts_scored == u8::MAX;
        is_whole.then(|| self.score_sum / self.scores as f64 + self.dither())
    }

    fn dither(&self) -> f64 {
        let hash = blake3::hash(&self.number.to_le_bytes());
        let drawn = u32::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"));
        DITHER * f64::from(drawn) / f64::from(u32::MAX)
    }
}
