use proptest::prelude::*;

use super::*;

/// A sample as a line: role, name, labels, value, time in milliseconds.
fn lines(text: &str, syntax: Syntax) -> Vec<String> {
    let line = |sample: &Sample| {
        let labels: Vec<String> =
            sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let Sample { name, value, role, .. } = sample;
        let at = sample.at.map_or("-".to_owned(), |at| at.millis().to_string());
        format!("{role:?} {name} [{}] {value} {at}", labels.join(" "))
    };
    parse(text.as_bytes(), syntax).unwrap().iter().map(line).collect()
}

fn fault(text: &[u8], syntax: Syntax) -> String {
    parse(text, syntax).unwrap_err().to_string()
}

#[test]
fn the_text_format_is_read_with_types_escapes_and_times() {
    let text = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero", } +Inf 0
# TYPE h histogram
h_bucket{le="0.05"} 24054
h_bucket{le="+Inf"} 144320
h_sum 53423
h_count 144320
# TYPE s summary
s{quantile="0.01"} 3102
s_sum 1.7560473e+07
s_count 2693
 {"a.b c","x-y"="1"} NaN
"#;
    assert_eq!(
        lines(text, Syntax::Text),
        [
            r#"Counter http_requests_total [method="post" code="200"] 1027 1395066363000"#,
            r#"Counter http_requests_total [method="post" code="400"] 3 1395066363000"#,
            "Gauge msdos_file_access_time_seconds [path=\"C:\\\\DIR\\\\FILE.TXT\" error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\"] 1458255915 -",
            "Gauge metric_without_timestamp_and_labels [] 12.47 -",
            r#"Gauge something_weird [problem="division by zero"] inf 0"#,
            "Sum h [] 53423 -",
            "Count h [] 144320 -",
            r#"Gauge s [quantile="0.01"] 3102 -"#,
            "Sum s [] 17560473 -",
            "Count s [] 2693 -",
            r#"Gauge a.b c [x-y="1"] NaN -"#,
        ]
    );
}

#[test]
fn openmetrics_has_seconds_exemplars_and_an_end() {
    let text = "# TYPE acme_http counter\n# UNIT acme_http seconds\nacme_http_total 17.0 1520879607.789 # {trace=\"a\"} 0.7\n\
        acme_http_created 1520430000.123\n# TYPE f histogram\nf_bucket{le=\"0.1\"} 8 # {} 0.054\nf_count 17\nf_sum 324789.3\n\
        # TYPE b info\nb_info{version=\"1\"} 1\n# TYPE g gaugehistogram\ng_gcount 2\ng_gsum 5\n# TYPE st stateset\nst{st=\"on\"} 1 # {} 1\n# EOF\n";
    assert_eq!(
        lines(text, Syntax::OpenMetrics),
        [
            "Counter acme_http_total [] 17 1520879607789",
            "Count f [] 17 -",
            "Sum f [] 324789.3 -",
            "Gauge g_gcount [] 2 -",
            "Gauge g_gsum [] 5 -",
            r#"Gauge st [st="on"] 1 -"#,
        ]
    );
    assert_eq!(fault(b"a 1\n", Syntax::OpenMetrics), "line 2: the text does not end with `# EOF`");
    assert_eq!(fault(b"# EOF\na 1", Syntax::OpenMetrics), "line 2: there is no end of the text at `a 1`");
}

#[test]
fn what_is_wrong_is_told_by_line() {
    let long = format!("a{{b=\"{}\"}} 1", "x".repeat(LINE_BYTES_MAX));
    let labels = format!("a{{{}}} 1", "b=\"1\",".repeat(SCRAPE_LABELS_MAX + 1));
    let cases: [(&[u8], &str); 14] = [
        (b"a 1\nb", "line 2: there is no number at ``"),
        (b"a one", "line 1: there is no number at `one`"),
        (b"1a 1", "line 1: there is no name at `1a 1`"),
        (b"a{b=\"c} 1", "line 1: there is no closing quotation mark at `c} 1`"),
        (b"a{b=\"c\\", "line 1: there is no closing quotation mark at `c\\\\`"),
        (b"a{b} 1", "line 1: there is no equals sign at `} 1`"),
        (b"a{b=\"c\" d=\"e\"} 1", "line 1: there is no comma or closing brace at `d=\\\"e\\\"} 1`"),
        (b"{b=\"c\"} 1", "line 1: there is no name of a metric at `{b=\\\"c\\\"} 1`"),
        (b"a 1 -5", "line 1: there is no time at `-5`"),
        (b"a 1 5 x", "line 1: there is no end of the line at `x`"),
        (b"# TYPE a gauge\n# TYPE a counter", "line 2: the type of `a` is there twice"),
        (b"# TYPE a speed", "line 1: `speed` is not a type"),
        (b"a 1\n\xff 2", "line 2: the line is not UTF-8 text"),
        (long.as_bytes(), "line 1: the line is longer than 65536 bytes"),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(text, Syntax::Text), expected);
    }
    assert!(fault(labels.as_bytes(), Syntax::Text).contains("more than 64 labels"));
    let many = "a 1\n".repeat(SCRAPE_SAMPLES_MAX + 1);
    assert!(fault(many.as_bytes(), Syntax::Text).contains("samples"));
}

proptest! {
    #[test]
    fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for syntax in [Syntax::Text, Syntax::OpenMetrics] {
            assert_eq!(format!("{:?}", parse(&text, syntax)), format!("{:?}", parse(&text, syntax)));
        }
    }

    #[test]
    fn no_line_of_its_own_characters_panics(text in "[a{}=\",\\\\ #1.\n-]{0,60}") {
        let _ = parse(text.as_bytes(), Syntax::Text);
        let _ = parse(format!("{text}\n# EOF").as_bytes(), Syntax::OpenMetrics);
    }
}
