use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::record::TENANT;

fn metric(name: &str) -> MetricName {
    MetricName::try_from(name).unwrap()
}

fn read_as(mail: &[u8], format: &Format, required: Option<&[MetricName]>) -> Result<Ingested, IngestError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(mail).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut out = Ingested::default();
    read("a.eml", &file, TENANT, format, required, &mut out).map(|()| out)
}

fn read_mail(mail: &[u8]) -> Result<Ingested, IngestError> {
    read_as(mail, &Format::default(), None)
}

fn error(mail: &[u8]) -> String {
    read_mail(mail).unwrap_err().to_string()
}

/// A mail with a text and these parts, each with its headers.
fn mail(parts: &[&str]) -> Vec<u8> {
    let mut mail = String::from(
        "From: pdu@rack7.example\r\nTo: telemetry@example\r\nSubject: daily report\r\nMIME-Version: 1.0\r\n\
         Date: Wed, 14 May 2014 02:00:00 +0200\r\n\
         Content-Type: multipart/mixed; boundary=\"cut\"\r\n\r\n--cut\r\nContent-Type: text/plain\r\n\r\nHello.\r\n",
    );
    for part in parts {
        mail.push_str("--cut\r\n");
        mail.push_str(part);
        mail.push_str("\r\n");
    }
    mail.push_str("--cut--\r\n");
    mail.into_bytes()
}

const PLAIN: &str = "Content-Type: text/csv; name=\"a.csv\"\r\n\r\ncpu,fan\r\n1,2\r\n3,4";

/// 2014-05-14 00:00:00.
const SENT: Timestamp = Timestamp(1_400_025_600_000_000);

#[test]
fn attachments_become_records_of_the_sender_at_the_date_of_the_mail() {
    let xml = "Content-Type: application/xml; name=\"b.xml\"\r\n\r\n<r><host>db-1</host><load>5</load></r>";
    let out = read_mail(&mail(&[PLAIN, xml])).unwrap();
    let rows: Vec<_> =
        out.records.iter().map(|record| (record.source(), record.at, &record.values[..])).collect();
    let sender = "pdu@rack7.example";
    assert_eq!(rows, [("db-1", SENT, &[5.0][..]), (sender, SENT, &[1.0, 2.0]), (sender, SENT, &[3.0, 4.0])]);
    assert_eq!(out.refused[0].to_string(), "a.eml: `part 1`: no known format");
}

#[test]
fn a_mail_without_a_date_came_when_its_file_was_written() {
    let out = read_mail(b"From: a@b.example\nContent-Type: text/csv\n\ncpu,fan\n1,2\n").unwrap();
    assert!(out.records[0].at > SENT, "{:?}", out.records[0].at);
}

#[test]
fn the_time_is_in_the_column_that_the_configuration_names() {
    let part = "Content-Type: text/csv\r\n\r\ntaken,time,cpu\r\n2014-05-14T01:00:00Z,7,1\r\n2014-05-14T02:00:00Z,8,2";
    let format = Format { timestamp_column: Some("taken".to_owned()), ..Format::default() };
    let out = read_as(&mail(&[part]), &format, None).unwrap();
    let rows: Vec<_> = out
        .records
        .iter()
        .map(|record| ((record.at.0 - SENT.0) / 3_600_000_000, &record.values[..]))
        .collect();
    assert_eq!(rows, [(1, &[1.0, 7.0][..]), (2, &[2.0, 8.0])]);
    let out = read_as(&mail(&[PLAIN]), &format, None).unwrap();
    assert_eq!(out.records[0].at, SENT, "where no column has that name, the usual rules hold");
}

#[test]
fn metrics_that_are_asked_for_come_in_their_order() {
    let parts = mail(&[PLAIN, "Content-Type: text/csv\r\n\r\nload,hum\r\n5,6"]);
    let required = [metric("fan"), metric("cpu"), metric("gpu")];
    let out = read_as(&parts, &Format::default(), Some(&required)).unwrap();
    assert_eq!((out.records.len(), &out.records[0].values[..2]), (2, &[2.0, 1.0][..]));
    assert!(out.records[0].values[2].is_nan());
    let told: Vec<String> = out.refused.iter().map(ToString::to_string).collect();
    assert_eq!(told[1..], ["a.eml: 1 readings have no metric that is asked for"]);
    let error = read_as(&parts, &Format::default(), Some(&[metric("gpu")])).unwrap_err();
    assert_eq!(error.to_string(), "a.eml: `part 1`: no known format");
}

#[test]
fn a_mail_that_cannot_be_read_is_refused_with_a_reason() {
    assert_eq!(error(&mail(&[])), "a.eml: `part 1`: no known format");
    assert_eq!(error(b""), "a.eml: the file is empty");
    let whole = mail(&[PLAIN]);
    assert_eq!(
        error(&whole[..whole.len() - 12]),
        "a.eml: attachment `a.csv` is cut short or wrongly encoded"
    );
    let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext";
    assert_eq!(
        error(&mail(&[PLAIN, forwarded])),
        "a.eml: this mail holds another message, which is not read"
    );
    let huge = vec![b'x'; MAIL_BYTES_MAX as usize + 1];
    assert_eq!(error(&huge), "a.eml: this mail is larger than 33554432 bytes");
}

#[test]
fn a_bad_attachment_is_named_with_its_line_and_keeps_no_other_from_being_read() {
    let out = read_mail(&mail(&[PLAIN, "Content-Type: text/csv\r\n\r\ncpu,fan\r\n1,2\r\n1"])).unwrap();
    assert_eq!(out.records.len(), 2);
    let told: Vec<String> = out.refused.iter().map(ToString::to_string).collect();
    assert_eq!(told[1..], ["a.eml: `part 3`: line 3: 1 columns where the header has 2"]);
}

#[test]
fn every_mail_of_the_corpus_gives_the_same_as_when_it_is_pushed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut mails = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let pushed = adapt::records(TENANT, adapt::read_mail(&bytes, SENT, None).readings);
        let values = |records: &[TelemetryRecord]| -> Vec<(String, Vec<f32>)> {
            let mut rows: Vec<_> =
                records.iter().map(|record| (record.source().to_owned(), record.values.clone())).collect();
            rows.sort_by(|one, other| one.partial_cmp(other).unwrap());
            rows
        };
        let kept = read_mail(&bytes).map(|out| out.records).unwrap_or_default();
        assert_eq!(values(&kept), values(&pushed), "{}", path.display());
        mails += 1;
    }
    assert!(mails >= 25, "{mails}");
}

/// Pieces of which mails are made.
fn any_mail() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"Content-Type: multipart/mixed; boundary=\"cut\"\r\n"[..]),
        Just(&b"Content-Type: text/csv; name*0=\"a.c\"; name*1=\"sv\"\n"[..]),
        Just(&b"Content-Type: message/rfc822\r\n"[..]),
        Just(&b"Content-Type: (x) mess(y)age/(z)rfc822; charset=\"utf-8"[..]),
        Just(&b"Content-Type: multipart/digest; boundary=\"\"\n"[..]),
        Just(&b"Content-Transfer-Encoding: base64\r\n"[..]),
        Just(&b"Content-Transfer-Encoding: quoted-printable\n"[..]),
        Just(&b"Content-Disposition: attachment; filename*=utf-8''%61%"[..]),
        Just(&b"--cut\r\n"[..]),
        Just(&b"--cut--"[..]),
        Just(&b"--"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\n"[..]),
        Just(&b" \t"[..]),
        Just(&b"cpu,fan\n1,2\n"[..]),
        Just(&b"Y3B1CjEK=="[..]),
        Just(&b"=3D=\xff\x00"[..]),
    ];
    prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_of_a_mail_panic(mail in any_mail(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_mail(&mail);
        let _ = read_mail(&bytes);
        let _ = read_mail(&[mail, bytes].concat());
    }
}
