//! Asks the coordinator that gave a token to be let in.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::crypto::{AnswerKey, Identity};
use common::join::{Answer, Name, Reply, Request, Standing};
use common::known::Peer;
use common::limits::JOIN_ANSWER_BYTES_MAX;
use common::token::Ticket;
use common::units::Timestamp;
use edge::now;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a coordinator may take to answer: its key may be in a slow token.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first wait before it is asked again; doubled up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(1);

/// The longest wait before it is asked again.
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// Asks once.
///
/// # Errors
///
/// When there is no answer that is the coordinator's; says why, and what to do.
pub async fn ask(ticket: &Ticket, identity: &Identity, tenant: Option<&str>, peer: &Peer) -> Result<Answer> {
    let tenant = tenant.map(Name::try_from).transpose()?;
    let request = Request { tenant, at: now(), peer: peer.clone() };
    let (bytes, key) = request.seal(&ticket.token, identity, &mut edge::entropy()?)?;
    let late =
        || format!("no answer within {} s: does a coordinator with [join] serve there?", PATIENCE.as_secs());
    let answer = timeout(PATIENCE, exchange(ticket, &bytes, &key)).await.with_context(late);
    answer.and_then(|answer| answer).with_context(|| format!("coordinator at {ticket}"))
}

/// Asks again until somebody has decided, or it is too late; what came last.
///
/// # Errors
///
/// As [`ask`], at the end: what fails meanwhile is tried again.
pub async fn ask_until(
    ticket: &Ticket,
    identity: &Identity,
    tenant: &str,
    peer: &Peer,
    until: Timestamp,
) -> Result<Answer> {
    let mut after = AGAIN;
    loop {
        let left = Duration::from_micros(until.micros_since(now()));
        tokio::time::sleep(after.min(left)).await;
        after = (after * 2).min(AGAIN_MAX);
        let answered = ask(ticket, identity, Some(tenant), peer).await;
        let is_decided = matches!(&answered, Ok(answer) if answer.standing != Standing::Waiting);
        if is_decided || now() >= until {
            return answered;
        }
    }
}

async fn exchange(ticket: &Ticket, request: &[u8], key: &AnswerKey) -> Result<Answer> {
    let connected = TcpStream::connect((ticket.host.as_str(), ticket.port)).await;
    let mut stream =
        connected.context("cannot connect: is [join] in its coordinator.toml, and the port open?")?;
    let lost = "the connection was lost before the answer came; join again";
    stream.write_u32_le(request.len() as u32).await.context(lost)?;
    stream.write_all(request).await.context(lost)?;
    let length = stream.read_u32_le().await.context(lost)? as usize;
    if length > JOIN_ANSWER_BYTES_MAX {
        bail!("what answers there is no coordinator: {length} bytes are no answer");
    }
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).await.context(lost)?;
    match Reply::parse(&reply)? {
        Reply::Sealed(sealed) => Ok(Answer::open(&sealed, key)?),
        Reply::TurnedAway(why) => bail!("{why}"),
    }
}
