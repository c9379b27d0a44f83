use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn read_mail(mail: &[u8]) -> Result<Ingested, IngestError> {
    let mut out = Ingested::default();
    read("a.eml", mail, crate::record::TENANT, &Format::default(), None, &mut out).map(|()| out)
}

fn error(mail: &[u8]) -> String {
    read_mail(mail).unwrap_err().to_string()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// RFC 4648, section 4, in lines as mail wants them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, group) in bytes.chunks(3).enumerate() {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit > group.len() { '=' } else { DIGITS[value] as char });
        }
        if index % 19 == 18 {
            text.push_str("\r\n");
        }
    }
    text
}

/// A mail with a text and these parts, each with its headers.
fn mail(parts: &[&str]) -> Vec<u8> {
    let mut mail = String::from(
        "From: pdu@rack7.example\r\nTo: telemetry@example\r\nSubject: daily report\r\nMIME-Version: 1.0\r\n\
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

fn packed_part(packed: &[u8]) -> String {
    format!(
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"b.csv.gz\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        base64(packed)
    )
}

#[test]
fn csv_attachments_plain_and_packed_become_records() {
    let out = read_mail(&mail(&[PLAIN, &packed_part(&gzip(b"cpu,fan\n5,6\n"))])).unwrap();
    let values: Vec<&[f32]> = out.records.iter().map(|record| &record.values[..]).collect();
    assert_eq!(values, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_eq!(out.records[2].source(), "a.eml: attachment `b.csv.gz`");
}

#[test]
fn a_mail_whose_text_is_csv_needs_no_attachment() {
    let out = read_mail(b"From: a@b.example\nContent-Type: text/csv\n\ncpu\n1\n").unwrap();
    assert_eq!(out.records[0].values, [1.0]);
}

#[test]
fn a_mail_that_cannot_be_read_is_refused_with_a_reason() {
    assert_eq!(error(&mail(&[])), "a.eml: this mail holds no CSV, neither as its text nor as an attachment");
    assert_eq!(error(b""), "a.eml: the file is empty");
    assert_eq!(error(b"no mail at all"), error(&mail(&[])));
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
    assert_eq!(error(&mail(&[PLAIN; 65])), "a.eml: this mail holds more than 64 CSV attachments");
    let huge = vec![b'x'; MAIL_BYTES_MAX as usize + 1];
    assert_eq!(error(&huge), "a.eml: this mail is larger than 33554432 bytes");
}

#[test]
fn a_bad_attachment_is_named_with_its_line() {
    let out = read_mail(&mail(&[PLAIN, "Content-Type: text/csv\r\n\r\ncpu\r\nhot"])).unwrap();
    assert_eq!(
        out.rejected[0].to_string(),
        "a.eml: attachment `part 2`: line 2, column `cpu`: `hot` is not a number"
    );
    let packed = gzip(b"cpu,fan\n5,6\n");
    assert_eq!(
        error(&mail(&[&packed_part(&packed[..20])])),
        "a.eml: attachment `b.csv.gz`: truncated gzip: the file ends at byte 20, inside the compressed data"
    );
}

#[test]
fn a_compression_bomb_is_stopped_at_its_limit() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![b'\n'; 1 << 20];
    for _ in 0..=ATTACHMENT_UNPACKED_BYTES_MAX >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert_eq!(
        error(&mail(&[&packed_part(&bomb)])),
        "a.eml: attachment `b.csv.gz`: more than 268435456 unpacked bytes"
    );
}

#[test]
fn shapes_that_only_an_attack_has_are_refused_before_parsing() {
    let reason = "a.eml: this mail has more than 65536 boundaries or a header over 65536 bytes";
    assert_eq!(error(&[&mail(&[])[..], &b"--cut\r\n".repeat(70_000)].concat()), reason);
    assert_eq!(error(&b"a:\n".repeat(30_000)), reason);
    let folded = b"Content-Type:\n message/\n rfc822\n\nSubject: x\n\nx";
    assert_eq!(error(folded), "a.eml: this mail holds another message, which is not read");
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
