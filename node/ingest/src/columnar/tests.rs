use std::path::PathBuf;

use super::*;
use crate::directory::Follower;
use crate::follow::Follow;
use crate::record::TENANT;

fn follower(path: &Path, format: Format) -> Follower {
    Follower::new(path, TENANT, format, None, Follow::default())
}

/// A file in a folder of its own.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.PARQUET");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_it_says_what_to_do_and_reads_the_others() {
    let (folder, _) = file(b"PAR1");
    std::fs::write(folder.path().join("b.csv"), "cpu\n1\n").unwrap();
    let mut follower = follower(folder.path(), Format::default());
    let records = follower.look().unwrap().records;
    assert_eq!(records.len(), 1);
    let told = follower.look().unwrap().refused.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with("this build cannot read Parquet; build with --features parquet"), "{told:?}");
    assert!(follower.look().unwrap().refused.is_empty(), "it is said once");
}

#[cfg(feature = "parquet")]
mod built_in {
    use std::sync::Arc;

    use common::model::MetricName;
    use parquet::basic::{Compression, GzipLevel};
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::limits::PARQUET_BATCH_ROWS;

    const SCHEMA: &str = "message m {
        required int64 ts (TIMESTAMP(MICROS,true));
        optional double cpu;
        required int32 fan (INTEGER(32,false));
        optional int64 watt (DECIMAL(18,2));
        required boolean on;
        optional binary rack (UTF8);
        optional group disk { optional float used; }
        repeated int32 cores;
    }";

    /// Two groups of `rows` rows, a second apart; every third `cpu` is missing.
    fn written(rows: usize, compression: Compression) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
        for group in 0..2 {
            let numbers: Vec<usize> = (group * rows..(group + 1) * rows).collect();
            let mut group = writer.next_row_group().unwrap();
            let mut index = 0;
            while let Some(mut column) = group.next_column().unwrap() {
                let whole: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
                let all = vec![1; rows];
                match column.untyped() {
                    ColumnWriter::Int64ColumnWriter(writer) if index == 0 => {
                        let times: Vec<i64> = whole.iter().map(|second| second * 1_000_000).collect();
                        writer.write_batch(&times, None, None).unwrap();
                    }
                    ColumnWriter::DoubleColumnWriter(writer) => {
                        let levels: Vec<i16> =
                            numbers.iter().map(|number| i16::from(number % 3 != 0)).collect();
                        let there: Vec<f64> = numbers
                            .iter()
                            .filter(|&number| number % 3 != 0)
                            .map(|&number| number as f64)
                            .collect();
                        writer.write_batch(&there, Some(&levels), None).unwrap();
                    }
                    ColumnWriter::Int32ColumnWriter(writer) if index == 2 => {
                        writer.write_batch(&vec![-1; rows], None, None).unwrap();
                    }
                    ColumnWriter::Int64ColumnWriter(writer) => {
                        writer.write_batch(&whole, Some(&all), None).unwrap();
                    }
                    ColumnWriter::BoolColumnWriter(writer) => {
                        writer.write_batch(&vec![true; rows], None, None).unwrap();
                    }
                    ColumnWriter::ByteArrayColumnWriter(writer) => {
                        writer.write_batch(&vec![ByteArray::from("r"); rows], Some(&all), None).unwrap();
                    }
                    ColumnWriter::FloatColumnWriter(writer) => {
                        // Level 1: the group is there, what is in it is not.
                        writer.write_batch(&[], Some(&all), None).unwrap();
                    }
                    ColumnWriter::Int32ColumnWriter(writer) => {
                        writer.write_batch(&[], Some(&vec![0; rows]), Some(&vec![0; rows])).unwrap();
                    }
                    _ => panic!("no other type is in the schema"),
                }
                index += 1;
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.close().unwrap();
        bytes
    }

    fn read_all(
        bytes: &[u8],
        format: &Format,
        required: Option<&[MetricName]>,
    ) -> Result<Ingested, IngestError> {
        let (_folder, path) = file(bytes);
        let mut out = Ingested::default();
        crate::file::read_file(&path, TENANT, format, required, &mut out).map(|()| out)
    }

    #[test]
    fn columns_of_numbers_are_metrics_and_what_is_missing_is_nan() {
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(GzipLevel::default())]
        {
            let found =
                read_all(&written(PARQUET_BATCH_ROWS + 5, compression), &Format::default(), None).unwrap();
            assert_eq!(found.records.len(), 2 * (PARQUET_BATCH_ROWS + 5));
            let names: Vec<&str> = found.records[0].metrics.iter().map(MetricName::as_str).collect();
            assert_eq!(names, ["cpu", "fan", "watt", "on", "disk.used"]);
            for (number, record) in found.records.iter().enumerate() {
                assert_eq!(record.at.0, number as u64 * 1_000_000);
                assert_eq!(record.values[0].is_nan(), number % 3 == 0);
            }
            assert_eq!(format!("{:?}", found.records[100].values), "[100.0, 4294967300.0, 1.0, 1.0, NaN]");
        }
    }

    #[test]
    fn a_column_that_is_asked_for_is_there_or_the_file_is_refused() {
        let bytes = written(3, Compression::SNAPPY);
        let named = |name: &str| [MetricName::try_from(name).unwrap()];
        let found = read_all(&bytes, &Format::default(), Some(&named("watt"))).unwrap();
        let values: Vec<f32> = found.records.iter().map(|record| record.values[0]).collect();
        assert_eq!(values, [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]);
        let error = read_all(&bytes, &Format::default(), Some(&named("rack"))).unwrap_err().to_string();
        assert!(error.ends_with("there is no column `rack`"), "{error}");
        let other = Format { timestamp_column: Some("when".into()), ..Format::default() };
        assert!(
            read_all(&bytes, &other, None).unwrap_err().to_string().ends_with("no timestamp column `when`")
        );
        let text = Format { timestamp_column: Some("rack".into()), ..Format::default() };
        let found = read_all(&bytes, &text, None).unwrap();
        assert_eq!((found.records.len(), found.rejected_count), (0, 6), "`r` is not a time");
    }

    #[test]
    fn a_file_damaged_anywhere_is_read_or_refused_and_nothing_else() {
        let bytes = written(20, Compression::SNAPPY);
        for at in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            if let Err(error) = read_all(&damaged, &Format::default(), None) {
                assert!(error.to_string().contains("a.PARQUET: "), "{error}");
            }
        }
        for length in [0, 3, 8, bytes.len() / 2, bytes.len() - 1] {
            assert!(read_all(&bytes[..length], &Format::default(), None).is_err(), "{length}");
        }
    }

    #[test]
    fn a_file_in_a_directory_is_read_when_it_is_complete() {
        let bytes = written(3, Compression::SNAPPY);
        let (folder, path) = file(&bytes[..40]);
        let mut follower = follower(folder.path(), Format::default());
        assert_eq!(follower.look().unwrap(), Ingested::default());
        std::fs::write(path, &bytes).unwrap();
        assert_eq!(follower.look().unwrap(), Ingested::default());
        assert_eq!(follower.look().unwrap().records.len(), 6);
        assert_eq!(follower.look().unwrap(), Ingested::default());
    }
}
