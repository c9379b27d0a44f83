//! What the schema of a file says: which columns are metrics, and which one is the time.

use std::sync::Arc;

use common::limits::METRICS_MAX;
use common::model::MetricName;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use crate::config::Format;
use crate::error::Shown;
use crate::limits::PARQUET_COLUMNS_MAX;

/// The columns that are read.
pub(super) struct Columns {
    pub(super) metrics: Arc<[MetricName]>,
    /// The place of each metric in the file.
    pub(super) places: Vec<(usize, Scale)>,
    pub(super) time: Option<(usize, Clock)>,
}

/// What a number of the file is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) factor: f64,
    /// The bits of an integer without sign.
    pub(super) unsigned: Option<u64>,
}

/// How a column tells the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Integers: as many in a second.
    PerSecond(u64),
    /// As a cell of CSV would: a number or a text.
    Written,
}

impl Columns {
    /// # Errors
    ///
    /// A reason, which names the column.
    pub(super) fn of(
        schema: &SchemaDescriptor,
        format: &Format,
        required: Option<&[MetricName]>,
    ) -> Result<Self, String> {
        if schema.num_columns() > PARQUET_COLUMNS_MAX {
            return Err(format!(
                "{} columns are more than the limit of {PARQUET_COLUMNS_MAX}",
                schema.num_columns()
            ));
        }
        let columns = || schema.columns().iter().enumerate();
        let time = match &format.timestamp_column {
            Some(name) => {
                let found = columns().find(|(_, column)| column.path().string() == *name);
                let (index, column) =
                    found.ok_or_else(|| format!("there is no timestamp column {}", Shown::of(name)))?;
                Some((index, clock(column).unwrap_or(Clock::Written)))
            }
            None => columns().find_map(|(index, column)| Some((index, clock(column)?))),
        };
        let is_time = |index: usize| time.is_some_and(|(time, _)| time == index);
        let numbers: Numbers = columns()
            .filter(|(index, _)| !is_time(*index))
            .filter_map(|(index, column)| Some((column.path().string(), (index, scale(column)?))))
            .collect();
        let (metrics, places) = match required {
            Some(required) => chosen(&numbers, required)?,
            None => all(numbers)?,
        };
        match metrics.len() {
            0 => Err("there is no column of numbers".to_owned()),
            count if count > METRICS_MAX => {
                Err(format!("{count} columns of numbers are more than {METRICS_MAX}"))
            }
            _ => Ok(Self { metrics, places, time }),
        }
    }
}

type Numbers = Vec<(String, (usize, Scale))>;
type Chosen = (Arc<[MetricName]>, Vec<(usize, Scale)>);

fn chosen(numbers: &Numbers, required: &[MetricName]) -> Result<Chosen, String> {
    let place = |metric: &MetricName| {
        let found = numbers.iter().find(|(name, _)| name == metric.as_str());
        found.map(|(_, place)| *place).ok_or_else(|| format!("there is no column {}", Shown::of(metric)))
    };
    let places: Result<Vec<_>, String> = required.iter().map(place).collect();
    Ok((required.into(), places?))
}

fn all(numbers: Numbers) -> Result<Chosen, String> {
    let metric = |(name, _): &(String, _)| {
        MetricName::try_from(name.as_str())
            .map_err(|_| format!("the name of column {} is too long", Shown::of(name)))
    };
    let metrics: Result<Vec<MetricName>, String> = numbers.iter().map(metric).collect();
    Ok((metrics?.into(), numbers.into_iter().map(|(_, place)| place).collect()))
}

/// The time of a column that says of itself that it is one.
fn clock(column: &ColumnDescriptor) -> Option<Clock> {
    if column.max_rep_level() > 0 {
        return None;
    }
    match (column.logical_type_ref(), column.converted_type(), column.physical_type()) {
        (Some(LogicalType::Timestamp(time)), _, _) => Some(Clock::PerSecond(match time.unit {
            TimeUnit::MILLIS => 1000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        })),
        (None, ConvertedType::TIMESTAMP_MICROS, _) => Some(Clock::PerSecond(1_000_000)),
        // INT96 is deprecated, and still written by old Spark: nanoseconds, which are read as milliseconds.
        (None, ConvertedType::TIMESTAMP_MILLIS, _) | (None, _, Type::INT96) => Some(Clock::PerSecond(1000)),
        _ => None,
    }
}

/// How a column of numbers is read; lists, texts, dates and times are no numbers.
fn scale(column: &ColumnDescriptor) -> Option<Scale> {
    let is_number = matches!(
        column.physical_type(),
        Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE
    );
    if !is_number || column.max_rep_level() > 0 || clock(column).is_some() {
        return None;
    }
    let plain = Scale { factor: 1.0, unsigned: None };
    let bits = if column.physical_type() == Type::INT32 { u64::from(u32::MAX) } else { u64::MAX };
    let unsigned = Scale { unsigned: Some(bits), ..plain };
    let decimal = |scale: i32| Scale { factor: 0.1_f64.powi(scale), ..plain };
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Integer(integer)), _) => Some(if integer.is_signed { plain } else { unsigned }),
        (Some(LogicalType::Decimal(written)), _) => Some(decimal(written.scale)),
        (Some(_), _)
        | (None, ConvertedType::DATE | ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => None,
        (None, ConvertedType::DECIMAL) => Some(decimal(column.type_scale())),
        (
            None,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
        ) => Some(unsigned),
        (None, _) => Some(plain),
    }
}
