//! The figures of one cell.

use anyhow::Result;
use common::units::Millis;
use edge::now;

use crate::cell::{Cell, Figure};
use crate::crew::{Crew, Late, Program, Transfer};
use crate::site::Site;

/// Transfers before those that count: they bring fresh pages and wake what sleeps.
const WARM_UP: usize = 2;

/// A cell that has taken this long, and its [`LEAST`], has enough.
const ENOUGH: Millis = Millis(5000);

/// Transfers without which there is no median.
const LEAST: usize = 3;

/// So many that did not arrive, or starts at which the processes did not meet, are enough to know.
const NEVER: usize = 2;

/// Transfers of one cell.
const fn most(bytes: usize) -> usize {
    match bytes {
        0..=4_000_000 => 20,
        4_000_001..=20_000_000 => 10,
        _ => 5,
    }
}

/// Makes the transfers of a cell, and tells of those that did not arrive.
pub(crate) fn measure(
    cell: &Cell,
    site: &Site,
    program: &Program,
    limit: Millis,
    note: impl Fn(Late),
) -> Result<Figure> {
    let mut arrived: Vec<Transfer> = Vec::new();
    let (mut never, mut memory_bytes) = (0, None);
    let mut ready = None;
    let enough_at = now() + ENOUGH;
    while arrived.len() < most(cell.bytes) && never < NEVER {
        if now() >= enough_at && arrived.len() >= LEAST {
            break;
        }
        let crew = match ready.take() {
            Some(crew) => Ok(crew),
            None => warm_up(cell, site, program, limit)?,
        };
        let transferred = match crew {
            Ok(mut crew) => crew.transfer(limit)?.map(|transfer| (crew, transfer)),
            Err(late) => Err(late),
        };
        match transferred {
            Ok((crew, transfer)) => {
                arrived.push(transfer);
                memory_bytes = memory_bytes.max(Some(crew.memory_bytes()?));
                ready = Some(crew);
            }
            Err(late) => {
                note(late);
                never += 1;
            }
        }
    }
    let of = |figure: fn(&Transfer) -> f64| {
        median(arrived.iter().map(figure).chain(std::iter::repeat_n(f64::INFINITY, never)))
    };
    let Cell { system, pattern, bytes, wire, loss_percent } = *cell;
    Ok(Figure {
        system,
        pattern,
        bytes,
        network: wire,
        loss_percent,
        ms_median: of(|transfer| transfer.ms),
        seal_ms_median: median(arrived.iter().filter_map(|transfer| transfer.seal_ms)),
        cpu_s: of(|transfer| transfer.cpu_s),
        sent_bytes: of(|transfer| transfer.sent_bytes as f64).map(|bytes| bytes as u64),
        memory_bytes,
        transfers: arrived.len(),
        never,
    })
}

/// Processes that have made their first transfers, over a network that loses nothing yet.
fn warm_up<'s>(
    cell: &Cell,
    site: &'s Site,
    program: &Program,
    limit: Millis,
) -> Result<Result<Crew<'s>, Late>> {
    site.lose(0)?;
    let mut started = Crew::start(cell, site, program)?;
    for _ in 0..WARM_UP {
        if let Ok(crew) = &mut started
            && let Err(late) = crew.transfer(limit)?
        {
            started = Err(late);
        }
    }
    site.lose(cell.loss_percent)?;
    Ok(started)
}

/// The middle one, when it is finite.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_and_none_when_half_never_came() {
        let never = f64::INFINITY;
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([1.0, never, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([1.0, never].into_iter()), None);
        assert_eq!(median(std::iter::empty()), None);
    }
}
