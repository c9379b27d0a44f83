use proptest::collection::vec;
use proptest::prelude::*;

use super::super::Ingested;
use super::*;
use crate::error::LineHash;
use crate::record::TENANT;

/// Decodes one text as a whole.
fn whole(text: &[u8], format: &Format, required: Option<&[MetricName]>) -> Result<Ingested, IngestError> {
    let mut out = Ingested::default();
    Decoder::new("a.csv", TENANT, format, required).finish(text, &mut out).map(|()| out)
}

fn rows(text: &str) -> Vec<Vec<f32>> {
    whole(text.as_bytes(), &Format::default(), None)
        .unwrap()
        .records
        .into_iter()
        .map(|row| row.values)
        .collect()
}

/// What the first bad row of a text says.
fn row_error(text: &str) -> String {
    let timed = Format { timestamp_column: Some("t".into()), ..Format::default() };
    whole(text.as_bytes(), &timed, None).unwrap().rejected[0].to_string()
}

fn file_error(text: &str) -> String {
    whole(text.as_bytes(), &Format::default(), None).unwrap_err().to_string()
}

fn names(names: &[&str]) -> Vec<MetricName> {
    names.iter().map(|name| MetricName::try_from(*name).unwrap()).collect()
}

#[test]
fn rows_become_records_with_the_times_of_their_numbers() {
    let format = Format { interval_s: 300.0.try_into().unwrap(), ..Format::default() };
    let out = whole(b"cpu,memory\n1,2\nbad,2\n3,4", &format, None).unwrap();
    let times: Vec<u64> = out.records.iter().map(|record| record.at.0 / 1_000_000).collect();
    assert_eq!(times, [0, 600], "a row that is left out keeps its number");
    assert_eq!(out.records[1].values, [3.0, 4.0]);
    assert_eq!(out.rejected_count, 1);
}

#[test]
fn a_timestamp_column_gives_the_time_and_is_no_metric() {
    let format = Format { timestamp_column: Some("time".into()), ..Format::default() };
    let out = whole(b"cpu,time\n1,2014-05-14T01:14:00Z\n2,1400030041\n", &format, None).unwrap();
    assert_eq!(
        out.records.iter().map(|record| record.at.millis()).collect::<Vec<_>>(),
        [1_400_030_040_000, 1_400_030_041_000]
    );
    assert_eq!(&*out.records[0].metrics, names(&["cpu"]));
}

#[test]
fn empty_cells_and_nan_are_missing_values() {
    let rows = rows("a,b,c\n,NaN, nan \n1,2,3\n");
    assert!(rows[0].iter().all(|value| value.is_nan()));
    assert_eq!(rows[1], [1.0, 2.0, 3.0]);
}

#[test]
fn quotes_byte_order_mark_carriage_returns_and_blank_lines_are_understood() {
    assert_eq!(rows("\u{feff}\"cpu{core=\"\"0\"\",host=a}\",b\r\n\r\n\"1\",2\r\n"), [[1.0, 2.0]]);
}

#[test]
fn required_metrics_choose_and_order_the_values() {
    let required = names(&["c", "a"]);
    let out = whole(b"a,b,c\n1,text,3\n", &Format::default(), Some(&required)).unwrap();
    assert_eq!(out.records[0].values, [3.0, 1.0]);
    assert_eq!(&*out.records[0].metrics, required);
    let error = whole(b"a,b\n1,2\n", &Format::default(), Some(&names(&["c", "a", "d"]))).unwrap_err();
    assert_eq!(error.to_string(), "a.csv: line 1: there is no column `c` (and 1 more are missing)");
}

#[test]
fn a_bad_row_is_one_line_that_names_line_and_column() {
    assert_eq!(row_error("t,cpu\n0,1\n1,abc\n"), "a.csv: line 3, column `cpu`: `abc` is not a number");
    assert_eq!(row_error("t,cpu\n0,-inf\n"), "a.csv: line 2, column `cpu`: `-inf` is not a finite number");
    assert_eq!(row_error("t,cpu\n0,1e39\n"), "a.csv: line 2, column `cpu`: `1e39` is not a finite number");
    assert_eq!(row_error("t,cpu\n\n0,1,2\n"), "a.csv: line 3: 3 columns where the header has 2");
    assert_eq!(row_error("t,cpu\nx\n"), "a.csv: line 2: 1 columns where the header has 2");
    assert_eq!(
        row_error("t,cpu\nnoon,1\n"),
        "a.csv: line 2, column `t`: `noon` is not a time (Unix seconds or milliseconds, or RFC 3339)"
    );
    assert_eq!(row_error("t,cpu\n0,\"1\n"), "a.csv: line 2: a quotation mark is not closed");
    let forged = row_error(&format!("t,cpu\n0,x\u{1b}[31m{}\n", "y".repeat(99)));
    assert_eq!(
        forged,
        format!("a.csv: line 2, column `cpu`: `x\\u{{1b}}[31m{}…` is not a number", "y".repeat(34))
    );
}

#[test]
fn a_bad_header_refuses_the_file() {
    assert_eq!(file_error(""), "a.csv: the file is empty");
    assert_eq!(file_error("\n\r\n"), "a.csv: the file is empty");
    assert_eq!(file_error("a,b\n"), "a.csv: there is a header but no row");
    assert_eq!(file_error("a,b,a\n"), "a.csv: line 1: column `a` is there twice");
    assert_eq!(file_error("\na,,b\n"), "a.csv: line 2: column 2 has no name");
    assert_eq!(
        file_error("0.5,1,nan\n"),
        "a.csv: line 1: this is a row of numbers; the first line must name the columns"
    );
    assert_eq!(file_error(&"x".repeat(70_000)), "a.csv: line 1: the header is longer than 65536 bytes");
    assert_eq!(
        file_error(&format!("a,{}\n", "x".repeat(129))),
        "a.csv: line 1: the name of column 2 is longer than 128 bytes"
    );
    let wide = (0..1025).map(|index| format!("m{index}")).collect::<Vec<_>>().join(",");
    assert_eq!(file_error(&wide), "a.csv: line 1: 1025 columns are more than the limit of 1025");
    let timed = Format { timestamp_column: Some("time".into()), ..Format::default() };
    let error = whole(b"a,b\n1,2\n", &timed, None).unwrap_err();
    assert_eq!(error.to_string(), "a.csv: line 1: there is no timestamp column `time`");
}

#[test]
fn a_line_over_its_limit_is_left_out_alone() {
    let text = format!("a\n1\n{}\n2\n", "9".repeat(400_000));
    let out = whole(text.as_bytes(), &Format::default(), None).unwrap();
    assert_eq!(out.records.iter().map(|record| record.values[0]).collect::<Vec<_>>(), [1.0, 2.0]);
    assert_eq!(out.rejected[0].to_string(), "a.csv: line 3: the line is longer than 65536 bytes");
    assert_eq!(out.rejected_count, 1);
}

#[test]
fn only_the_first_bad_rows_keep_their_text() {
    let out = whole(format!("a\n{}", "x\n".repeat(1000)).as_bytes(), &Format::default(), None).unwrap();
    assert_eq!((out.rejected.len(), out.rejected_count), (20, 1000));
    assert_eq!(out.rejected[19].line, 21);
}

/// Decodes in pieces, each time as a restarted follower would: from a stored position.
fn in_pieces(text: &[u8], cuts: &[usize]) -> Result<Ingested, IngestError> {
    let format = Format::default();
    let mut out = Ingested::default();
    let mut position = Position::default();
    for &cut in cuts.iter().chain([&text.len()]) {
        let stored = serde_json::from_str(&serde_json::to_string(&position).unwrap()).unwrap();
        let mut decoder = Decoder::new("a.csv", TENANT, &format, None).resume(stored)?;
        decoder.decode(&text[(position.bytes as usize).min(cut)..cut], &mut out)?;
        position = decoder.into_position();
    }
    Ok(out)
}

/// Lines of a CSV file, good and bad ones.
fn any_csv() -> impl Strategy<Value = String> {
    let cell = prop_oneof![4 => "[0-9]{1,3}(\\.[0-9])?", 1 => "NaN|inf|x|\"1\"|\"|é| "];
    let line = vec(cell, 1..4).prop_map(|cells| cells.join(","));
    vec(line, 1..20).prop_map(|lines| format!("a,\"b\",c\n{}\n", lines.join("\n")))
}

proptest! {
    #[test]
    fn a_file_read_in_pieces_gives_what_it_gives_as_a_whole(text in any_csv(), cuts in vec(0_usize..200, 0..5)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let mut whole_out = Ingested::default();
        let format = Format::default();
        let mut decoder = Decoder::new("a.csv", TENANT, &format, None);
        let used = decoder.decode(text.as_bytes(), &mut whole_out).unwrap();
        prop_assert!(used == text.len() || text[used..].contains('"'), "only an open quote waits for more");
        let pieces = in_pieces(text.as_bytes(), &cuts).unwrap();
        // NaN is not equal to itself; its text is.
        prop_assert_eq!(format!("{pieces:?}"), format!("{whole_out:?}"));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..400), cuts in vec(0_usize..400, 0..3)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let _ = in_pieces(&bytes, &cuts);
        let _ = whole(&bytes, &Format::default(), None);
        let _ = whole(&[b"a,b\n", &bytes[..]].concat(), &Format::default(), None);
    }
}

#[test]
fn a_long_line_cut_anywhere_is_reported_once() {
    let text = format!("a\n1\n{}\n2\n", "9".repeat(150_000));
    for cuts in [vec![], vec![10], vec![70_000], vec![66_000, 140_000], vec![66_000, 66_001, 150_004]] {
        let out = in_pieces(text.as_bytes(), &cuts).unwrap();
        assert_eq!((out.records.len(), out.rejected_count), (2, 1), "cut at {cuts:?}");
        assert_eq!(out.rejected[0].line, 3);
    }
}

#[test]
fn line_breaks_in_quoted_cells_keep_records_whole_and_lines_counted() {
    let text = "\"cpu\r\nload\",note\n1,\"two\n\"\"lines\"\"\"\r\nx,\"a\nb\"\ny,1\n";
    let required = names(&["cpu\r\nload"]);
    let out = whole(text.as_bytes(), &Format::default(), Some(&required)).unwrap();
    assert_eq!(out.records.iter().map(|record| record.values[0]).collect::<Vec<_>>(), [1.0]);
    let places: Vec<_> = out.rejected.iter().map(|row| (row.line, row.bytes.unwrap().offset)).collect();
    assert_eq!(places, [(5, 36), (7, 44)]);
    assert_eq!(&text[44..], "y,1\n");
    assert_eq!(out.rejected[1].bytes.unwrap().hash, LineHash::of(b"y,1"));
    assert_eq!(out.rejected[1].bytes.unwrap().hash.to_string(), blake3::hash(b"y,1").to_hex()[..16]);
}

#[test]
fn an_open_quote_costs_its_line_and_a_growing_file_waits_for_its_end() {
    let text = "a,b\n1,\"2\n3,4\n5,\"6\"\n";
    let out = whole(text.as_bytes(), &Format::default(), None).unwrap();
    assert_eq!(out.records.iter().map(|record| record.values[0]).collect::<Vec<_>>(), [3.0, 5.0]);
    assert_eq!(out.rejected[0].to_string(), "a.csv: line 2: a quotation mark is not closed");
    let format = Format::default();
    let mut out = Ingested::default();
    let mut decoder = Decoder::new("a.csv", TENANT, &format, None);
    assert_eq!(
        decoder.decode(&text.as_bytes()[..14], &mut out).unwrap(),
        4,
        "it may be a line break in a cell"
    );
    let used = decoder.decode(&text.as_bytes()[4..], &mut out).unwrap();
    assert_eq!((used, out.records.len(), out.rejected_count), (text.len() - 4, 2, 1));
    assert_eq!((decoder.position().lines, decoder.position().rows), (4, 3));
}
