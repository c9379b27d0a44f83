use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use super::layout::{Layout, LayoutConfig, LayoutError};
use super::*;
use crate::limits::ADAPT_READINGS_MAX;

/// Set to anything, the test of the goldens writes them anew; look at the difference before committing.
const REWRITE: &str = "INGEST_REWRITE_GOLDENS";

/// 2014-05-14 20:40:00, some hours after the times in the corpus.
const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

/// The layouts of the files that are pinned to one.
const LAYOUTS: [(&str, &str); 3] = [
    (
        "layout-cp037.bin",
        r#"
        code_page = "cp037"
        record_bytes = 42
        skip_first = 1
        skip_containing = ["TOTAL"]
        columns = [
            { name = "host", start = 1, length = 12, kind = "text" },
            { name = "day", start = 13, length = 8, kind = "date" },
            { name = "mips", start = 21, length = 4, kind = "packed_decimal", scale = 2 },
            { name = "balance", start = 25, length = 6, kind = "zoned_decimal", scale = 1 },
            { name = "jobs", start = 31, length = 4, kind = "binary" },
            { name = "cpu", start = 35, length = 8, kind = "number" },
        ]"#,
    ),
    (
        "layout-cp1047.txt",
        r#"
        code_page = "cp1047"
        columns = [
            { name = "host", start = 1, length = 10, kind = "text" },
            { name = "metric", start = 12, length = 8, kind = "text" },
            { name = "value", start = 20, length = 6, kind = "zoned_decimal", scale = 1 },
        ]"#,
    ),
    (
        "layout-lines.txt",
        r#"
        code_page = "ascii"
        skip_first = 2
        skip_containing = ["TOTAL"]
        columns = [
            { name = "system", start = 1, length = 10, kind = "text" },
            { name = "time", start = 12, length = 8, kind = "date" },
            { name = "cpu", start = 22, length = 10, kind = "number" },
            { name = "paging", start = 32, length = 9, kind = "number" },
        ]"#,
    ),
];

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap()).filter(|name| !name.ends_with(".golden"));
    let files = names.map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()));
    let files: BTreeMap<_, _> = files.collect();
    assert!(files.len() >= 30, "the corpus is found from the crate's folder");
    files
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn part(bytes: &[u8]) -> Part<'_> {
    let (sender, subject) = ("monitor@example.com", "");
    Part {
        name: None,
        media_type: "text/plain",
        bytes,
        received: RECEIVED,
        sender,
        subject,
        time_column: None,
    }
}

/// Reads a file of the corpus: as a mail, or by its layout.
fn read_file(name: &str, bytes: &[u8]) -> Outcome {
    let Some((_, layout)) = LAYOUTS.iter().find(|(file, _)| *file == name) else {
        return read_mail(bytes, RECEIVED, None);
    };
    let layout: Layout = toml::from_str(layout).unwrap();
    match layout::read(&layout, &part(bytes)) {
        Ok(readings) => Outcome { readings, rejects: Vec::new() },
        Err(reject) => Outcome { readings: Vec::new(), rejects: vec![reject] },
    }
}

/// One line a reading (time in microseconds), one a reject.
fn golden(outcome: &Outcome) -> String {
    let mut text = String::new();
    for Reading { source, at, values } in &outcome.readings {
        write!(text, "{source} @{}", at.0).unwrap();
        for (name, value) in values {
            write!(text, " | {name} = {value}").unwrap();
        }
        text.push('\n');
    }
    for reject in &outcome.rejects {
        writeln!(text, "! {reject}").unwrap();
    }
    text
}

#[test]
fn every_file_of_the_corpus_gives_its_golden_readings() {
    let rewrite = std::env::var_os(REWRITE).is_some();
    let mut wrong = Vec::new();
    for (name, bytes) in corpus() {
        let path = folder().join(format!("{name}.golden"));
        let found = golden(&read_file(&name, &bytes));
        if rewrite {
            std::fs::write(path, found).unwrap();
        } else if std::fs::read_to_string(path).unwrap_or_default() != found {
            wrong.push(format!("{name} gives\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "set {REWRITE} to rewrite the goldens:\n{}", wrong.join("\n"));
}

#[test]
fn every_format_is_recognised_by_its_own_adapter_alone() {
    let mut seen = BTreeSet::new();
    for (name, bytes) in corpus() {
        let format = name.split('-').next().unwrap();
        let Some(own) = ADAPTERS.iter().find(|adapter| adapter.name == format) else { continue };
        let known = mail::Known { received: RECEIVED, is_saved: false, pinned: None, time_column: None };
        let found = std::cell::RefCell::new(BTreeSet::new());
        mail::read_mail_by(&bytes, known, &|part| {
            found.borrow_mut().extend(recognise(part).map(|adapter| adapter.name));
            Err(part.reject(Fault::NotRecognised))
        });
        assert_eq!(found.into_inner(), BTreeSet::from([own.name]), "{name}");
        seen.insert(own.name);
    }
    assert_eq!(seen.len(), ADAPTERS.len(), "every adapter has a file in the corpus");
}

#[test]
fn a_pinned_adapter_reads_whatever_the_content_looks_like() {
    let text = part(b"cpu = 5");
    let pinned = |name| read_part(&text, Some(&Pin::Format(Adapter::named(name).unwrap())));
    assert_eq!(read_part(&text, None), pinned("pairs"));
    let error = pinned("separated").unwrap_err().to_string();
    assert_eq!(error, "`text`: line 1: the first line must name the columns");
    assert_eq!(Adapter::named("cobol"), None);
    assert_eq!(read_part(&part(b"Good morning"), None).unwrap_err().to_string(), "`text`: no known format");
}

/// `SplitMix64` (Steele et al. 2014): a seed names a run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

#[test]
fn no_damage_to_a_file_of_the_corpus_panics_or_passes_the_limits() {
    let check = |name: &str, bytes: &[u8]| {
        assert!(read_file(name, bytes).readings.len() <= ADAPT_READINGS_MAX, "{name}");
        for adapter in &ADAPTERS {
            let _ = (adapter.read)(&part(bytes));
        }
    };
    for (name, bytes) in corpus() {
        let mut seeded = Seeded(7);
        for cut in 0..80 {
            check(&name, &bytes[..bytes.len() * cut / 80]);
        }
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..=seeded.below(4) {
                let at = seeded.below(damaged.len());
                damaged[at] = seeded.below(256) as u8;
            }
            check(&name, &damaged);
            // The body alone, without the header that makes it a mail.
            let body = damaged.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
            check(&name, &damaged[body + seeded.below(8).min(damaged.len() - body)..]);
        }
    }
}

#[test]
fn texts_over_a_limit_are_refused_and_say_which() {
    let error = |bytes: &[u8]| read_part(&part(bytes), None).unwrap_err().to_string();
    let long_line = [&b"time,cpu\n1400030040,"[..], &b"1".repeat(10 << 20)].concat();
    assert_eq!(error(&long_line), "`text`: line 2: the line is longer than 65536 bytes");
    assert_eq!(error(&b"1".repeat(ADAPT_PART_BYTES_MAX + 1)), "`text`: larger than 16777216 bytes");
    let rows = |count: usize| format!("host,time,cpu\n{}", "a,2014-05-14,1\n".repeat(count));
    assert_eq!(
        read_part(&part(rows(ADAPT_READINGS_MAX).as_bytes()), None).unwrap().len(),
        ADAPT_READINGS_MAX
    );
    let line = format!("`text`: line {}: more than 65536 readings", ADAPT_READINGS_MAX + 2);
    assert_eq!(error(rows(ADAPT_READINGS_MAX + 1).as_bytes()), line);
    let list = format!("[1{}]", ",1".repeat(2 << 20));
    assert_eq!(error(list.as_bytes()), "`text`: more than 1048576 values");
    assert!(error("[".repeat(1000).as_bytes()).contains("recursion limit"));
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert_eq!(error(deep.as_bytes()), "`text`: line 1: nested more than 32 deep");
    assert!(error("<a>".repeat(1000).as_bytes()).ends_with("nested more than 32 deep"));
    assert!(error("<table>".repeat(1000).as_bytes()).ends_with("parts are nested more than 16 deep"));
    let wide = (0..1100).map(|column| format!("c{column}=1")).collect::<Vec<_>>().join(" ");
    assert_eq!(error(wide.as_bytes()), "`text`: line 1: more than 1024 metrics in a reading");
}

#[test]
fn many_values_below_one_long_name_take_no_more_than_they_are() {
    let error = |text: &str| read_part(&part(text.as_bytes()), None).unwrap_err().to_string();
    let (long, leaves) = ("n".repeat(1 << 20), "\"a\":1,".repeat(100_000));
    let told = format!("`text`: line 1: the name `{}…` is longer than 128 bytes", "n".repeat(40));
    assert_eq!(error(&format!("{{\"{long}\":{{{leaves}\"b\":2}}}}")), told, "a hundred gigabytes of names");
    assert_eq!(error(&format!("{{\"{long}\":[{}{{\"b\":2}}]}}", "{},".repeat(100_000))), told);
    let elements = "<a>1</a>".repeat(100_000);
    let xml = format!("<r><{long}>{elements}<b>1</b></{long}></r>");
    assert!(error(&xml).ends_with("is longer than 128 bytes"));
}

#[test]
fn a_long_text_above_many_rows_is_not_taken_over_by_each() {
    let pair = |name: &str, text: &str| format!("<tr><td>{name}<td>{text}");
    let host = pair("Host", "db-07") + &pair("Server", &"x".repeat(4 << 20)) + &pair("Load", "1");
    let rows = "<tr><td>sda<td>5<td>6".repeat(20_000);
    let html = format!("<table>{host}</table><table><tr><th>Disk<th>a<th>b{rows}</table>");
    assert_eq!(read_part(&part(html.as_bytes()), None).unwrap().len(), 20_000, "eighty gigabytes of copies");
}

#[test]
fn a_configuration_that_is_no_layout_is_refused_with_the_column() {
    let layout = |columns: &str, record: &str| {
        let text = format!("code_page = \"ascii\"\n{record}\ncolumns = [{columns}]");
        Layout::try_from(toml::from_str::<LayoutConfig>(&text).unwrap()).unwrap_err()
    };
    let fixed = "record_bytes = 10";
    assert_eq!(layout("", fixed), LayoutError::Columns(0));
    let binary = "{ name = \"n\", start = 1, length = 4, kind = \"binary\" }";
    assert_eq!(layout(binary, ""), LayoutError::BinaryInLines(Shown::of("n")));
    for (start, length) in [(0, 4), (8, 4), (usize::MAX >> 1, 4)] {
        let column = format!("{{ name = \"n\", start = {start}, length = {length}, kind = \"binary\" }}");
        assert_eq!(layout(&column, fixed), LayoutError::Outside(Shown::of("n")));
    }
    assert_eq!(layout(&binary.replace('4', "3"), fixed), LayoutError::Length(Shown::of("n")));
    let scaled = |kind: &str, scale: u8| {
        let column = format!("{{ name = \"n\", start = 1, length = 2, kind = \"{kind}\", scale = {scale} }}");
        layout(&column, fixed)
    };
    for (kind, scale) in [("binary", 19), ("number", 1), ("packed_decimal", 4), ("zoned_decimal", 3)] {
        assert_eq!(scaled(kind, scale), LayoutError::Scale(Shown::of("n")), "{kind}");
    }
    let misspelt = binary.replace("kind", "scal = 1, kind");
    let misspelt = format!("code_page = \"ascii\"\ncolumns = [{misspelt}]");
    assert!(toml::from_str::<Layout>(&misspelt).unwrap_err().to_string().contains("unknown field `scal`"));
    assert_eq!(layout(binary, "record_bytes = 0"), LayoutError::RecordBytes);
}
