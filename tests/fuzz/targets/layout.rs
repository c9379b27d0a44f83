//! Reports of fixed width: EBCDIC and ASCII, by layouts that are given and by one that the input makes.
#![no_main]

use common::units::Timestamp;
use ingest::adapt::Part;
use ingest::adapt::layout::{self, CodePage, Column, Kind, Layout, LayoutConfig};
use libfuzzer_sys::fuzz_target;

const PAGES: [CodePage; 3] = [CodePage::Ascii, CodePage::Cp037, CodePage::Cp1047];

const KINDS: [Kind; 6] =
    [Kind::Text, Kind::Number, Kind::Date, Kind::Binary, Kind::PackedDecimal, Kind::ZonedDecimal];

const NAMES: [&str; 8] = ["host", "time", "date", "metric", "value", "cpu", "jobs", ""];

/// A column of the report in the corpus.
const COLUMNS: [(&str, usize, usize, Kind, u8); 6] = [
    ("host", 1, 12, Kind::Text, 0),
    ("day", 13, 8, Kind::Date, 0),
    ("mips", 21, 4, Kind::PackedDecimal, 2),
    ("balance", 25, 6, Kind::ZonedDecimal, 1),
    ("jobs", 31, 4, Kind::Binary, 0),
    ("cpu", 35, 8, Kind::Number, 0),
];

fn read(config: LayoutConfig, bytes: &[u8]) {
    let Ok(layout) = Layout::try_from(config) else { return };
    let part = Part {
        name: None,
        media_type: "text/plain",
        bytes,
        received: Timestamp(1_400_100_000_000_000),
        sender: "monitor@example.com",
        subject: "",
        time_column: None,
    };
    if let Ok(readings) = layout::read(&layout, &part) {
        assert!(readings.iter().flat_map(|reading| &reading.values).all(|(_, value)| value.is_finite()));
    }
}

fuzz_target!(|data: &[u8]| {
    let column = |&(name, start, length, kind, scale): &(&str, usize, usize, Kind, u8)| Column {
        name: name.to_owned(),
        start,
        length,
        kind,
        scale,
    };
    for code_page in PAGES {
        let of = |record_bytes, columns| LayoutConfig {
            code_page,
            record_bytes,
            skip_first: 1,
            skip_containing: vec!["TOTAL".to_owned()],
            columns,
        };
        read(of(Some(42), COLUMNS.iter().map(column).collect()), data);
        let is_text = |kind: Kind| !matches!(kind, Kind::PackedDecimal | Kind::Binary);
        let texts = COLUMNS.iter().filter(|(.., kind, _)| is_text(*kind));
        read(of(None, texts.map(column).collect()), data);
    }
    let Some((&[page, record, count], rest)) = data.split_first_chunk() else { return };
    let (told, content) = rest.split_at(rest.len().min(usize::from(count % 12) * 4));
    let columns = told.chunks_exact(4).map(|told| Column {
        name: NAMES[usize::from(told[0] % 8)].to_owned(),
        start: usize::from(told[1]),
        length: usize::from(told[2]),
        kind: KINDS[usize::from(told[3] % 6)],
        scale: told[3] / 6,
    });
    let config = LayoutConfig {
        code_page: PAGES[usize::from(page % 3)],
        record_bytes: Some(usize::from(record)).filter(|bytes| *bytes > 0),
        skip_first: 0,
        skip_containing: Vec::new(),
        columns: columns.collect(),
    };
    read(config, content);
});
