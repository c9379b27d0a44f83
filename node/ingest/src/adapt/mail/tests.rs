use std::fmt::Write as _;
use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::super::Adapter;
use super::*;
use crate::limits::ADAPT_UNPACKED_BYTES_MAX;

const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An archive of one file, which says to unpack to `claimed` bytes.
fn zip(content: &[u8], claimed: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let sizes = [crc.sum(), packed.len() as u32, claimed as u32];
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    let start = [&b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0"[..], &sizes, b"\x05\0\0\0a.csv", &packed].concat();
    let entry = [
        &b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0"[..],
        &sizes,
        b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a.csv",
    ]
    .concat();
    let end = [
        &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
        &(entry.len() as u32).to_le_bytes(),
        &(start.len() as u32).to_le_bytes(),
        b"\0\0",
    ]
    .concat();
    [start, entry, end].concat()
}

/// RFC 4648, section 4, in lines as mail wants them.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for (index, group) in bytes.chunks(3).enumerate() {
        let bits =
            group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (24 - 8 * group.len());
        let digit = |place: usize| DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
        text.extend((0..4).map(|place| if place > group.len() { b'=' } else { digit(place) }));
        if index % 19 == 18 {
            text.extend_from_slice(b"\r\n");
        }
    }
    text
}

/// A mail from `db-07@example.com` with these attachments, which have no names.
fn mail(parts: &[&[u8]]) -> Vec<u8> {
    let head = b"From: <db-07@example.com>\r\nContent-Type: multipart/mixed; boundary=\"cut\"\r\n\r\n";
    let mut mail = head.to_vec();
    for part in parts {
        mail.extend_from_slice(b"--cut\r\nContent-Type: application/octet-stream\r\n");
        mail.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        mail.extend_from_slice(&base64(part));
        mail.extend_from_slice(b"\r\n");
    }
    mail.extend_from_slice(b"--cut--\r\n");
    mail
}

fn rejects(mail: &[u8]) -> Vec<String> {
    let outcome = read_mail(mail, RECEIVED, None);
    assert_eq!(outcome.readings, []);
    outcome.rejects.iter().map(ToString::to_string).collect()
}

const CSV: &[u8] = b"cpu,fan\n1,2\n";

#[test]
fn packed_parts_are_read_within_their_depth() {
    let mut packed = CSV.to_vec();
    for depth in 0..=ADAPT_PACK_DEPTH_MAX {
        let outcome = read_mail(&mail(&[&packed]), RECEIVED, None);
        assert_eq!((outcome.readings.len(), outcome.rejects), (1, vec![]), "{depth}");
        packed = if depth == 1 { zip(&packed, packed.len()) } else { gzip(&packed) };
    }
    assert_eq!(rejects(&mail(&[&packed])), ["`part 1/a.csv`: packed more than 3 times"]);
}

#[test]
fn compression_bombs_are_stopped_at_their_ratio() {
    let zeros = vec![b'0'; 10 << 20];
    assert_eq!(
        rejects(&mail(&[&gzip(&zeros), &zip(&zeros, zeros.len()), &zip(&zeros, 100)])),
        [
            "`part 1`: it unpacks to more than 200 times its size",
            "`part 2/a.csv`: it unpacks to more than 200 times its size",
            "`part 3/a.csv`: it unpacks to more than 200 times its size",
        ]
    );
    // Bytes that hardly repeat unpack to more than one part may have.
    let huge: Vec<u8> = (0..5_u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let packed = gzip(&huge);
    assert_eq!(rejects(&mail(&[&packed]))[0], "`part 1`: larger than 16777216 bytes");
}

#[test]
fn archives_that_lie_or_are_cut_are_refused() {
    let whole = zip(CSV, CSV.len());
    let lying = "`part 1/a.csv`: damaged zip: a file has another size than the directory says";
    assert_eq!(rejects(&mail(&[&zip(CSV, 5)])), [lying]);
    let cut = "`part 1`: damaged zip: there is no directory: it is cut short";
    assert_eq!(rejects(&mail(&[&whole[..whole.len() - 30]])), [cut]);
    let mut many = whole.clone();
    let end = many.len() - 22;
    many[end + 10..end + 12].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(rejects(&mail(&[&many])), ["`part 1`: more than 256 parts"]);
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            let _ = read_mail(&mail(&[&damaged]), RECEIVED, None);
        }
    }
    let gzip = gzip(CSV);
    assert!(rejects(&mail(&[&gzip[..gzip.len() - 4]]))[0].starts_with("`part 1`: damaged compressed data: "));
}

#[test]
fn all_parts_together_unpack_within_one_budget() {
    let mut lines = String::from("a report of\nlong numbers\n");
    for number in 0..300_000_u32 {
        let _ = writeln!(lines, "{}", number.wrapping_mul(2_654_435_761).to_string().repeat(5));
    }
    assert!(lines.len() * 4 < ADAPT_UNPACKED_BYTES_MAX && lines.len() * 5 > ADAPT_UNPACKED_BYTES_MAX);
    let packed = gzip(lines.as_bytes());
    let parts = rejects(&mail(&[&packed[..]; 6]));
    assert_eq!(parts[..4], [1, 2, 3, 4].map(|part| format!("`part {part}`: no known format")));
    let spent = |part| format!("`part {part}`: the mail unpacks to more than 67108864 bytes");
    assert_eq!(parts[4..], [5, 6].map(spent));
}

#[test]
fn shapes_that_only_an_attack_has_are_refused_as_a_whole() {
    assert_eq!(rejects(b""), ["`mail`: there is nothing in it"]);
    let parts = vec![CSV; 10_000];
    assert_eq!(rejects(&mail(&parts)), ["`mail`: more than 256 parts"]);
    let header = b"Subject: ".iter().copied().chain(std::iter::repeat_n(b'a', 1 << 20)).collect::<Vec<u8>>();
    assert!(rejects(&header)[0].contains("a header over 65536 bytes"));
    let nested = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext";
    assert_eq!(rejects(nested), ["`mail`: this mail holds another message, which is not read"]);
    let mut deep = String::new();
    for depth in 0..20 {
        let _ = write!(deep, "Content-Type: multipart/mixed; boundary=\"b{depth}\"\r\n\r\n--b{depth}\r\n");
    }
    deep.push_str("\r\ncpu,fan\n1,2\n\r\n");
    for depth in (0..20).rev() {
        let _ = write!(deep, "--b{depth}--\r\n");
    }
    let refused = rejects(deep.as_bytes());
    assert!(refused[0].ends_with("parts are nested more than 8 deep"), "{refused:?}");
    let line = [&b"Content-Type: text/csv\r\n\r\ncpu,fan\n1,"[..], &b"2".repeat(10 << 20)].concat();
    assert_eq!(rejects(&line), ["`part 0`: line 2: the line is longer than 65536 bytes"]);
}

#[test]
fn broken_encodings_and_charsets_are_named() {
    let body = |encoding: &str, charset: &str, text: &[u8]| {
        let head = format!(
            "Content-Type: text/csv; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        );
        rejects(&[head.as_bytes(), text].concat())
    };
    assert_eq!(
        body("base64", "utf-8", b"Y3B1L$%&/()=!!"),
        ["`part 0`: cut short, or its transfer encoding is broken"]
    );
    assert_eq!(
        body("8bit", "utf-8", b"cpu,temp\n1,40 \xb0C\n"),
        ["`part 0`: byte 14: this is no text in its charset"]
    );
    assert_eq!(
        body("quoted-printable", "utf-8", b"cpu,temp\n1,40 =B0C\n"),
        ["`part 0`: byte 14: this is no text in its charset"]
    );
}

#[test]
fn a_mail_that_is_cut_is_refused_where_it_is_cut() {
    let whole = mail(&[CSV, CSV]);
    let outcome = read_mail(&whole[..whole.len() - 14], RECEIVED, None);
    let refused: Vec<String> = outcome.rejects.iter().map(ToString::to_string).collect();
    assert_eq!(outcome.readings.len(), 1);
    assert_eq!(refused, ["`part 2`: cut short, or its transfer encoding is broken"]);
}

#[test]
fn the_sender_is_the_source_of_last_resort() {
    let outcome =
        read_mail(&mail(&[CSV]), RECEIVED, Some(&Pin::Format(Adapter::named("separated").unwrap())));
    assert_eq!(
        (outcome.readings[0].source.as_str(), outcome.readings[0].at),
        ("db-07@example.com", RECEIVED)
    );
}

#[test]
fn a_layout_counts_the_bytes_that_were_sent_whatever_their_charset() {
    let layout = "code_page = \"ascii\"\ncolumns = [\
        { name = \"host\", start = 1, length = 6, kind = \"text\" },\
        { name = \"cpu\", start = 7, length = 4, kind = \"number\" }]";
    let pin = Pin::Layout(toml::from_str(layout).unwrap());
    let head = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: ";
    let quoted = format!("{head}quoted-printable\r\n\r\nK=F6ln  12.5\r\nBonn  7\r\n");
    let plain = [format!("{head}8bit\r\n\r\nK").as_bytes(), b"\xf6ln  12.5\r\nBonn  7\r\n"].concat();
    for mail in [quoted.as_bytes(), &plain] {
        let outcome = read_mail(mail, RECEIVED, Some(&pin));
        assert_eq!(outcome.rejects, []);
        let rows: Vec<(&str, f32)> =
            outcome.readings.iter().map(|reading| (reading.source.as_str(), reading.values[0].1)).collect();
        assert_eq!(rows, [("Köln", 12.5), ("Bonn", 7.0)]);
    }
}

#[test]
fn a_pin_reads_the_text_beside_a_picture_and_not_beside_a_report() {
    let pin = Pin::Format(Adapter::named("pairs").unwrap());
    let mail = |attached: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=\"cut\"\r\n\r\n--cut\r\n\r\ncpu = 5\r\n--cut\r\n{attached}\r\n--cut--\r\n"
        )
    };
    let read = |attached: &str| {
        let outcome = read_mail(mail(attached).as_bytes(), RECEIVED, Some(&pin));
        outcome.readings.iter().map(|reading| reading.values[0].1).collect::<Vec<_>>()
    };
    assert_eq!(read("Content-Type: image/png; name=\"logo.png\"\r\n\r\nPNG"), [5.0]);
    assert_eq!(read("Content-Type: text/plain; name=\"report.txt\"\r\n\r\ncpu = 6"), [6.0]);
}
