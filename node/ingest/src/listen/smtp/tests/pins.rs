//! Mailboxes that are pinned to a format or a layout, from the socket to the records.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::intake;

/// Three records of 42 bytes in EBCDIC 037, and a title.
const REPORT: &[u8] = include_bytes!("../../../../corpus/layout-cp037.bin");

const MAILBOXES: &str = r#"
trusted_networks = ["127.0.0.0/8"]
tokens = [{ tenant = "acme", blake3 = "TOKEN" }]

[mailboxes]
ops = "acme"
acme = { tenant = "acme", format = "xml" }
columns = { tenant = "acme", format = "separated" }

[mailboxes.mainframe]
tenant = "acme"

[mailboxes.mainframe.layout]
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
]
"#;

fn start() -> Bridge {
    let token = blake3::hash(b"s3cret").to_hex();
    Bridge::start(&MAILBOXES.replace("TOKEN", &token), 1 << 30)
}

async fn greeted(bridge: &Bridge) -> Client<TcpStream> {
    let mut client = bridge.connect().await;
    client.reply().await;
    client.say("EHLO mainframe").await;
    client
}

/// A mail with words and an attachment of this type.
fn with_attachment(media_type: &str, bytes: &[u8]) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"cut\"\r\n\r\n\
         --cut\r\nContent-Type: text/plain\r\n\r\nGood morning,\r\nthe report of today is attached, as every day.\r\n\
         --cut\r\nContent-Type: {media_type}; name=\"REPORT.TXT\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--cut--",
        BASE64_STANDARD.encode(bytes)
    )
}

impl Bridge {
    /// Hands a mail with its own header over.
    async fn take(&self, to: &[&str], mail: &str) {
        let mut client = greeted(self).await;
        client.say("MAIL FROM:<jes2@example.com>").await;
        for to in to {
            let reply = client.say(&format!("RCPT TO:<{to}@bridge>")).await;
            assert!(reply.starts_with("250"), "{reply}");
        }
        assert!(client.say("DATA").await.starts_with("354"));
        let reply = client.say(&format!("From: jes2@example.com\r\n{mail}\r\n.")).await;
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// What the entries of the spool give, by the bridge's configuration: a line a value, or a reject.
    fn read(&self) -> Vec<Vec<String>> {
        let mut reader = of_acme(&self.spool).reader(Position::default());
        let entries = std::iter::from_fn(|| reader.next_entry().unwrap());
        entries
            .map(|entry| {
                let read = intake::read(&entry, &self.pins);
                let records = read.records.iter().flat_map(|record| {
                    let values = record.metrics.iter().zip(&record.values);
                    values.map(|(name, value)| format!("{} {} {value}", record.source(), name.as_str()))
                });
                records.chain(read.rejects.iter().map(ToString::to_string)).collect()
            })
            .collect()
    }
}

#[tokio::test]
async fn a_report_in_ebcdic_is_read_by_the_layout_of_its_mailbox() {
    let bridge = start();
    bridge.take(&["MainFrame"], &with_attachment("application/octet-stream", REPORT)).await;
    // As text, which the mail's parser would take for UTF-8.
    bridge.take(&["mainframe"], &with_attachment("text/plain", REPORT)).await;
    let alone = BASE64_STANDARD.encode(REPORT);
    bridge.take(&["mainframe"], &format!("Content-Transfer-Encoding: base64\r\n\r\n{alone}")).await;
    let read = bridge.read();
    assert_eq!(read[0].len(), 12);
    assert_eq!(
        read[0][..4],
        ["MVS1 balance -425", "MVS1 cpu 12.5", "MVS1 jobs -7", "MVS1 mips 12345.67"].map(str::to_owned)
    );
    assert_eq!(read[1..], [read[0].clone(), read[0].clone()]);
    let plain = start();
    plain.take(&["ops"], &with_attachment("application/octet-stream", REPORT)).await;
    let rejects = &plain.read()[0];
    assert!(rejects.iter().all(|reject| reject.contains("no known format") || reject.contains("no text")));
}

#[tokio::test]
async fn a_format_is_pinned_where_the_content_looks_like_another() {
    let bridge = start();
    let rows = "Content-Type: text/plain\r\n\r\nhost=a,cpu\r\nb,7";
    bridge.take(&["columns"], rows).await;
    bridge.take(&["acme"], rows).await;
    let read = bridge.read();
    assert_eq!(read[0], ["jes2@example.com b.cpu 7"]);
    assert!(read[1][0].starts_with("mail of jes2@example.com received at "), "{}", read[1][0]);
    assert!(read[1][0].contains(" ms: to `acme`: "), "{}", read[1][0]);
}

#[tokio::test]
async fn a_mail_to_several_mailboxes_of_a_tenant_counts_once_and_a_token_is_no_mailbox() {
    let bridge = start();
    let rows = "Content-Type: text/plain\r\n\r\nhost,cpu\r\nb,7";
    bridge.take(&["ops", "mainframe", "columns"], rows).await;
    bridge.take(&["columns", "ops"], rows).await;
    bridge.take(&["acme+s3cret", "ops"], rows).await;
    let mut reader = of_acme(&bridge.spool).reader(Position::default());
    let entries: Vec<Entry> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
    assert_eq!(
        entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(),
        [Kind::PinnedMail, Kind::PinnedMail, Kind::Mail]
    );
    assert_eq!(entries[0].id, entries[1].id, "the order of recipients is nothing that a mail says");
    assert_eq!(bridge.read(), vec![vec!["b cpu 7".to_owned()]; 3]);
}

#[test]
fn a_mail_whose_mailbox_has_no_pin_any_more_is_read_by_its_content() {
    let body = addressed("columns", b"From: a@example.com\r\n\r\nhost,cpu\r\nb,7\r\n");
    let entry = |body: Vec<u8>| Entry {
        id: EntryId([0; 16]),
        tenant: TenantId::of_name("acme"),
        kind: Kind::PinnedMail,
        received: Timestamp(0),
        source: "a@example.com".try_into().unwrap(),
        body: body.into(),
    };
    let read = intake::read(&entry(body), &Pins::default());
    assert_eq!((read.records.len(), read.rejects), (1, vec![]));
    let read = intake::read(&entry(b"no mailbox".to_vec()), &Pins::default());
    assert!(read.rejects[0].to_string().ends_with("it does not begin with a mailbox"));
}
