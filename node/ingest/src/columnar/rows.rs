//! Rows from columns: a batch of each at a time, so that a page of each is in memory, not a file.

use std::fs::File;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use super::columns::{Clock, Columns, Scale};
use crate::config::Format;
use crate::csv::Rows;
use crate::error::{IngestError, RowError, RowFault, Shown};
use crate::limits::{PARQUET_BATCH_ROWS, RECORDS_MAX, VALUES_MAX};
use crate::record::{Origin, TelemetryRecord};
use crate::{Ingested, time};

/// A cell; `None` where there is none.
enum Cell {
    Whole(i64),
    Real(f64),
    Text(String),
}

pub(super) fn read(
    name: &str,
    file: File,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let refuse = |reason: String| IngestError::Parquet { file: name.to_owned(), reason };
    let broken = |error: ParquetError| {
        refuse(format!("not a Parquet file that can be read: {}", Shown::of(&error.to_string())))
    };
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let columns =
        Columns::of(reader.metadata().file_metadata().schema_descr(), format, required).map_err(refuse)?;
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
    let too_large = |max: usize, unit| IngestError::TooLarge { file: name.to_owned(), max: max as u64, unit };
    if rows > RECORDS_MAX {
        return Err(too_large(RECORDS_MAX, "rows"));
    }
    if rows.saturating_mul(columns.metrics.len()) > VALUES_MAX {
        return Err(too_large(VALUES_MAX, "values"));
    }
    let origin = Origin::new(tenant, name);
    let mut row = 0;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(broken)?;
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        // What a file says of its rows is checked against what it says of each group.
        if count > rows - row {
            return Err(refuse("its groups have more rows than the file".to_owned()));
        }
        let mut batches = Batches::open(&*group, &columns).map_err(broken)?;
        let end = row + count;
        while row < end {
            let batch = batches.next((end - row).min(PARQUET_BATCH_ROWS)).map_err(broken)?;
            row += batch.put(row as u64, &origin, &columns.metrics, format, out);
        }
    }
    if row == 0 { Err(IngestError::NoRows { file: name.to_owned() }) } else { Ok(()) }
}

/// The columns of one group, read on and on.
struct Batches {
    metrics: Vec<(Column, Scale)>,
    time: Option<(Column, Clock)>,
}

struct Column {
    reader: ColumnReader,
    /// The level of a value that is there.
    deepest: i16,
}

/// As many rows of each column.
struct Batch {
    values: Vec<Vec<f32>>,
    times: Option<Vec<Result<Timestamp, RowFault>>>,
    rows: usize,
}

impl Batch {
    /// Makes records of the rows, the first of which is `first` in its file; says how many there were.
    fn put(
        self,
        first: u64,
        origin: &Arc<Origin>,
        metrics: &Arc<[MetricName]>,
        format: &Format,
        out: &mut Ingested,
    ) -> usize {
        let mut times = self.times.map(Vec::into_iter);
        for (index, row) in (first..).take(self.rows).enumerate() {
            let at = match &mut times {
                None => Ok(Timestamp(row.saturating_mul(format.interval_s.micros()))),
                Some(times) => times.next().unwrap_or(Err(RowFault::NotText)),
            };
            let value = |column: &Vec<f32>| column.get(index).copied().unwrap_or(f32::NAN);
            match at {
                Ok(at) => out.records.push(TelemetryRecord {
                    origin: Arc::clone(origin),
                    at,
                    metrics: Arc::clone(metrics),
                    values: self.values.iter().map(value).collect(),
                }),
                Err(fault) => {
                    let file = origin.source.to_string();
                    out.reject(RowError { file, line: row + 1, column: None, fault, bytes: None });
                }
            }
        }
        self.rows
    }
}

impl Batches {
    fn open(group: &dyn RowGroupReader, columns: &Columns) -> Result<Self, ParquetError> {
        let open = |index: usize| {
            let deepest = group.metadata().column(index).column_descr().max_def_level();
            Ok::<_, ParquetError>(Column { reader: group.get_column_reader(index)?, deepest })
        };
        let metrics = columns.places.iter().map(|(index, scale)| Ok((open(*index)?, *scale)));
        let metrics = metrics.collect::<Result<_, ParquetError>>()?;
        let time = columns.time.map(|(index, clock)| Ok::<_, ParquetError>((open(index)?, clock)));
        Ok(Self { metrics, time: time.transpose()? })
    }

    fn next(&mut self, count: usize) -> Result<Batch, ParquetError> {
        let mut values = Vec::with_capacity(self.metrics.len());
        for (column, scale) in &mut self.metrics {
            let cells = column.cells(count)?;
            values.push(cells.iter().map(|cell| number(cell.as_ref(), *scale)).collect());
        }
        let Some((column, clock)) = &mut self.time else {
            return Ok(Batch { values, times: None, rows: count });
        };
        let times = column.cells(count)?.into_iter().map(|cell| instant(cell, *clock)).collect();
        Ok(Batch { values, times: Some(times), rows: count })
    }
}

/// What no 32-bit float can tell was not measured.
fn number(cell: Option<&Cell>, scale: Scale) -> f32 {
    let value = match cell {
        Some(Cell::Whole(number)) => match scale.unsigned {
            Some(bits) => (*number as u64 & bits) as f64,
            None => *number as f64 * scale.factor,
        },
        Some(Cell::Real(number)) => *number,
        Some(Cell::Text(_)) | None => f64::NAN,
    };
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}

fn instant(cell: Option<Cell>, clock: Clock) -> Result<Timestamp, RowFault> {
    let text = match cell {
        Some(Cell::Whole(number)) => number.to_string(),
        Some(Cell::Real(number)) => number.to_string(),
        Some(Cell::Text(text)) => text,
        None => String::new(),
    };
    let at = match clock {
        Clock::Written => time::parse(&text),
        Clock::PerSecond(units) => {
            let number = text.parse::<u64>().ok();
            number.map(|number| Timestamp((u128::from(number) * 1_000_000 / u128::from(units)) as u64))
        }
    };
    at.ok_or_else(|| RowFault::NotATime(Shown::of(&text)))
}

impl Column {
    /// The next cells.
    fn cells(&mut self, count: usize) -> Result<Vec<Option<Cell>>, ParquetError> {
        let deepest = self.deepest;
        let text = |bytes: &[u8]| Cell::Text(String::from_utf8_lossy(bytes).into_owned());
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                typed(reader, count, deepest, |on| Cell::Whole(i64::from(on)))
            }
            ColumnReader::Int32ColumnReader(reader) => {
                typed(reader, count, deepest, |number| Cell::Whole(i64::from(number)))
            }
            ColumnReader::Int64ColumnReader(reader) => typed(reader, count, deepest, Cell::Whole),
            ColumnReader::Int96ColumnReader(reader) => {
                typed(reader, count, deepest, |time| Cell::Whole(time.to_millis()))
            }
            ColumnReader::FloatColumnReader(reader) => {
                typed(reader, count, deepest, |number| Cell::Real(f64::from(number)))
            }
            ColumnReader::DoubleColumnReader(reader) => typed(reader, count, deepest, Cell::Real),
            ColumnReader::ByteArrayColumnReader(reader) => {
                typed(reader, count, deepest, |bytes| text(bytes.data()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                typed(reader, count, deepest, |bytes| text(bytes.data()))
            }
        }
    }
}

fn typed<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    deepest: i16,
    cell: impl Fn(T::T) -> Cell,
) -> Result<Vec<Option<Cell>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < count {
        let (records, _, _) = reader.read_records(count - read, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF("a column ends before its group".to_owned()));
        }
        read += records;
    }
    let mut values = values.into_iter().map(cell);
    let mut there = |level: i16| if level == deepest { values.next() } else { None };
    // A column that must have values has no levels.
    Ok(if deepest == 0 {
        (0..count).map(|_| there(deepest)).collect()
    } else {
        levels.into_iter().map(there).collect()
    })
}
