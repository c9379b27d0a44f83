//! Remote write, 1.0 and 2.0: a request packed with Snappy (block format) to records.

use common::id::TenantId;
use common::units::Timestamp;
use prost::Message;

use super::messages::{Histogram, Request, Sample};
use super::names::{self, Labels, NAME, SOURCE_LABELS};
use crate::error::Shown;
use crate::gathered::{Gathered, Outcome, Reject};

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// The block is damaged.
    #[error("not a block of Snappy: {0}")]
    Snappy(Shown),
    /// It says of itself that it is too long.
    #[error("the request unpacks to {bytes} bytes, more than {max}")]
    TooLarge {
        /// What it says.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not protobuf of this message.
    #[error("not a remote-write request in protobuf: {0}")]
    Protobuf(Shown),
    /// Labels come in pairs.
    #[error("series {series}: the labels' references are odd in number")]
    OddReferences {
        /// Which, counted from 1.
        series: usize,
    },
    /// A reference to a symbol that is not there.
    #[error("series {series}: there is no symbol {reference} among {symbols}")]
    Reference {
        /// Which, counted from 1.
        series: usize,
        /// What it refers to.
        reference: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// A series without a metric's name.
    #[error("series {series}: there is no label {NAME}")]
    Unnamed {
        /// Which, counted from 1; those of v1 before those of v2.
        series: usize,
    },
}

/// How much a request holds: what its sender is told was written (Remote-Write 2.0, "Required Written Response
/// Headers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
}

/// A request of either version, unpacked and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteRequest(Request);

impl WriteRequest {
    /// Unpacks and decodes a request. Its length is looked at before there is room made for it.
    ///
    /// # Errors
    ///
    /// [`WriteFault`] says what is wrong with the bytes.
    pub fn decode(packed: &[u8], unpacked_bytes_max: usize) -> Result<Self, WriteFault> {
        let damaged = |error: snap::Error| WriteFault::Snappy(Shown::of(&error.to_string()));
        let bytes = snap::raw::decompress_len(packed).map_err(damaged)?;
        if bytes > unpacked_bytes_max {
            return Err(WriteFault::TooLarge { bytes, max: unpacked_bytes_max });
        }
        let body = snap::raw::Decoder::new().decompress_vec(packed).map_err(damaged)?;
        let request = Request::decode(body.as_slice());
        let request = Self(request.map_err(|error| WriteFault::Protobuf(Shown::of(&error.to_string())))?);
        request.for_each(|series, labels, _, _| {
            let is_named = labels.iter().any(|(name, value)| *name == NAME && !value.is_empty());
            if is_named { Ok(()) } else { Err(WriteFault::Unnamed { series }) }
        })?;
        Ok(request)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.series.is_empty() && self.0.interned.is_empty()
    }

    /// How much it holds.
    pub fn written(&self) -> Written {
        let Request { series, interned, .. } = &self.0;
        let first = series.iter().map(|series| (series.samples.len(), series.histograms.len()));
        let second = interned.iter().map(|series| (series.samples.len(), series.histograms.len()));
        first.chain(second).fold(Written::default(), |sum, (samples, histograms)| Written {
            samples: sum.samples + samples,
            histograms: sum.histograms + histograms,
        })
    }

    /// The records of a request. What names no source is of `peer`.
    ///
    /// A native histogram is its count, its sum and their quotient. A stale marker, as every NaN, is a missing
    /// value.
    pub fn records(&self, tenant: TenantId, peer: &str, received: Timestamp) -> Outcome {
        let mut out = Gathered::new(peer, received);
        let gathered = self.for_each(|_, labels, samples, histograms| {
            gather(labels, samples, histograms, &mut out);
            Ok(())
        });
        debug_assert_eq!(gathered, Ok(()), "the references were checked when it was decoded");
        out.into_outcome(tenant)
    }

    /// Each series with its place, its labels, samples and histograms.
    fn for_each(
        &self,
        mut each: impl FnMut(usize, &Labels<'_>, &[Sample], &[Histogram]) -> Result<(), WriteFault>,
    ) -> Result<(), WriteFault> {
        let Request { series, symbols, interned } = &self.0;
        let mut labels: Vec<(&str, &str)> = Vec::new();
        for (index, series) in series.iter().enumerate() {
            labels.clear();
            labels.extend(series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())));
            each(index + 1, &labels, &series.samples, &series.histograms)?;
        }
        for (index, interned) in interned.iter().enumerate() {
            let series = series.len() + index + 1;
            let symbol = |reference: u32| {
                let missing = WriteFault::Reference { series, reference, symbols: symbols.len() };
                symbols.get(reference as usize).map(String::as_str).ok_or(missing)
            };
            let (pairs, rest) = interned.labels.as_chunks();
            if !rest.is_empty() {
                return Err(WriteFault::OddReferences { series });
            }
            labels.clear();
            for &[name, value] in pairs {
                labels.push((symbol(name)?, symbol(value)?));
            }
            each(series, &labels, &interned.samples, &interned.histograms)?;
        }
        Ok(())
    }
}

fn gather(labels: &Labels<'_>, samples: &[Sample], histograms: &[Histogram], out: &mut Gathered) {
    let place = names::place(labels, &SOURCE_LABELS);
    let source = out.source(place.source);
    let mut put = |millis: i64, ending: &str, value: f64| {
        let name = [place.name, ending, &*place.labels];
        match u64::try_from(millis) {
            Ok(millis) => out.put(&source, Timestamp(millis.saturating_mul(1000)), &name, Some(value)),
            Err(_) => out.reject(Reject::BeforeEpoch(Shown::of(&source), Shown::of_pieces(&name))),
        }
    };
    for sample in samples {
        put(sample.timestamp, "", sample.value);
    }
    for histogram in histograms {
        // Counts are exact to 2^53.
        let whole = histogram.count_int.map(|count| count as f64);
        let count = whole.or(histogram.count_float).unwrap_or_default();
        let mean = if count > 0.0 { histogram.sum / count } else { f64::NAN };
        for (ending, value) in [(".count", count), (".sum", histogram.sum), (".mean", mean)] {
            put(histogram.timestamp, ending, value);
        }
    }
}

#[cfg(test)]
mod tests;
