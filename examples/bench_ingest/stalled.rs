//! Senders that begin a mail and never end it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, bail};

/// Opens connections, each in the middle of a mail.
pub(crate) fn senders(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let mut senders = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(address)?;
        let mut replies = BufReader::new(stream.try_clone()?);
        let envelope = "MAIL FROM:<a@example.com>\r\nRCPT TO:<telemetry@x>\r\nDATA\r\n";
        for (say, codes) in [("", 1), ("HELO x\r\n", 1), (envelope, 3)] {
            (&stream).write_all(say.as_bytes())?;
            for _ in 0..codes {
                let mut reply = String::new();
                replies.read_line(&mut reply)?;
                if !reply.starts_with(['2', '3']) {
                    bail!("the bridge says {}", reply.trim());
                }
            }
        }
        (&stream).write_all(format!("Subject: x\r\n\r\n{}", "half a mail\r\n".repeat(1000)).as_bytes())?;
        senders.push(stream);
    }
    Ok(senders)
}
