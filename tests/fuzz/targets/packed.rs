//! Packed attachments: any bytes as gzip and as zip, and what gzip and zip make of any bytes.
#![no_main]

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::units::Timestamp;
use flate2::{Compression, Crc, write::DeflateEncoder, write::GzEncoder};
use ingest::adapt;
use libfuzzer_sys::fuzz_target;

fn attached(bytes: &[u8]) -> adapt::Outcome {
    let head = "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n";
    let mail = format!("{head}Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", STANDARD.encode(bytes));
    adapt::read_mail(mail.as_bytes(), Timestamp(1_400_100_000_000_000), None)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory takes all");
    packed.finish().expect("memory takes all")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory takes all");
    packed.finish().expect("memory takes all")
}

/// An archive of these files, each deflated or stored as it is.
fn zip(files: &[&[u8]]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        let (method, packed) = if index % 2 == 0 { (8_u16, deflate(file)) } else { (0, file.to_vec()) };
        let mut sum = Crc::new();
        sum.update(file);
        let mut about = [20_u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        about.extend([sum.sum(), packed.len() as u32, file.len() as u32].map(u32::to_le_bytes).concat());
        about.extend([5_u16, 0].map(u16::to_le_bytes).concat());
        let name = format!("f{:04}", index % 10_000);
        let local = out.len() as u32;
        out.extend([b"PK\x03\x04".as_slice(), &about, name.as_bytes(), &packed].concat());
        directory.extend([b"PK\x01\x02\x14\0".as_slice(), &about, &[0; 10]].concat());
        directory.extend([local.to_le_bytes().as_slice(), name.as_bytes()].concat());
    }
    let (start, bytes, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count.to_le_bytes(), &count.to_le_bytes()].concat());
    out.extend([bytes, start].map(u32::to_le_bytes).concat());
    out.extend([0, 0]);
    out
}

fuzz_target!(|data: &[u8]| {
    attached(data);
    let one = attached(&gzip(data));
    let files: Vec<&[u8]> = data.split(|&byte| byte == 0).take(300).collect();
    let many = attached(&zip(&files));
    attached(&gzip(&zip(&files)));
    if files.len() == 1 {
        assert_eq!(many.readings, one.readings, "a file is the same however it is packed");
    }
});
