use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use common::model::MetricName;

use super::*;
use crate::record::TENANT;

/// An exporter on loopback: says each of these answers once, in turn, and gives back the requests it got.
fn exporter(answers: Vec<Vec<u8>>) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let take = |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(&answer).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        answers.into_iter().map(take).collect()
    });
    (address, serving)
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n\r\n{body}", body.len()).into_bytes()
}

fn scraper(url: &str, more: &str) -> Result<Scraper, IngestError> {
    let source: PrometheusSource = toml::from_str(&format!("url = \"{url}\"\n{more}")).unwrap();
    Scraper::new(&source, TENANT)
}

const TEXT: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8";

#[test]
fn two_scrapes_of_a_real_server_give_rates() {
    let text = |total: u32| format!("# TYPE requests counter\nrequests{{code=\"200\"}} {total}\nload 0.5\n");
    let chunks = format!(
        "HTTP/1.1 200 OK\r\n{TEXT}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        text(30).len(),
        text(30)
    );
    let (address, serving) = exporter(vec![answer("200 OK", TEXT, &text(10)), chunks.into_bytes()]);
    let mut scraper = scraper(&format!("http://{address}/metrics?a=b"), "").unwrap();
    let first = scraper.look(Timestamp(10_000_000)).unwrap();
    assert!(first.records[0].values[1].is_nan(), "{first:?}");
    let second = scraper.look(Timestamp(20_000_000)).unwrap();
    let record = &second.records[0];
    assert_eq!(
        (record.source(), record.at, &record.values[..]),
        ("127.0.0.1", Timestamp(20_000_000), &[0.5, 2.0][..])
    );
    let names: Vec<&str> = record.metrics.iter().map(MetricName::as_str).collect();
    assert_eq!(names, ["load", "requests.per_s{code=200}"]);
    let requests = serving.join().unwrap();
    assert!(requests[0].starts_with("GET /metrics?a=b HTTP/1.1\r\n"), "{requests:?}");
    assert!(
        requests[0].contains(&format!("host: {address}")) && requests[0].contains("openmetrics"),
        "{requests:?}"
    );
}

#[test]
fn an_exporter_that_says_nothing_useful_is_told_with_its_url() {
    let openmetrics = "Content-Type: application/openmetrics-text; version=1.0.0";
    let cases = [
        (answer("503 Service Unavailable", TEXT, ""), "the answer is 503 Service Unavailable"),
        (answer("200 OK", "Content-Type: text/html", "<html>"), "of type `text/html`"),
        (answer("200 OK", TEXT, "a 1\nb two\n"), "line 2: there is no number at `two`"),
        (answer("200 OK", openmetrics, "a 1\n"), "does not end with `# EOF`"),
        (answer("200 OK", TEXT, &"a 1\n".repeat(300)), "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1".to_vec(), ""),
        (b"what?\r\n\r\n".to_vec(), ""),
    ];
    let (answers, expected): (Vec<Vec<u8>>, Vec<&str>) = cases.into_iter().unzip();
    let (address, serving) = exporter(answers);
    let mut scraper = scraper(&format!("http://{address}/"), "bytes_max = 1000").unwrap();
    for expected in expected {
        let error = scraper.look(Timestamp(1)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("http://{address}/: ")) && error.contains(expected), "{error}");
    }
    serving.join().unwrap();
    let error = scraper.look(Timestamp(1)).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_server_that_is_silent_is_given_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = scraper(&url, "timeout_s = 0.05").unwrap().look(Timestamp(1)).unwrap_err();
    assert_eq!(error.to_string(), format!("{url}: no answer within 0.05 s"));
}

#[test]
fn what_is_left_out_is_told_in_one_line() {
    let text = (0..1030).map(|number| format!("m{number:04} 1\n")).collect::<Vec<_>>().concat();
    let (address, serving) = exporter(vec![answer("200 OK", TEXT, &text)]);
    let found = scraper(&format!("http://{address}/"), "").unwrap().look(Timestamp(1)).unwrap();
    assert_eq!((found.records.len(), found.records[0].values.len(), found.refused.len()), (1, 1024, 1));
    assert!(
        found.refused[0].to_string().ends_with("`m1024` is left out (and 5 more)"),
        "{:?}",
        found.refused
    );
    serving.join().unwrap();
}

#[test]
fn https_is_read_with_a_ca_and_refused_without() {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, signed.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(&answer("200 OK", TEXT, "up 1\n")).unwrap();
        stream.flush().unwrap();
    });
    let url = format!("https://localhost:{port}/metrics");
    let trusted = format!("ca = {:?}", ca.display().to_string());
    let found = scraper(&url, &trusted).unwrap().look(Timestamp(1)).unwrap();
    assert_eq!((found.records[0].source(), &found.records[0].values[..]), ("localhost", &[1.0][..]));
    serving.join().unwrap();
    assert!(scraper(&url, "").unwrap_err().to_string().contains("needs the key `ca`"));
}
