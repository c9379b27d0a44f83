//! The SMTP bridge: a socket around [`crate::smtp::Session`], the spool behind it.
//!
//! A mail is answered with 250 when the spool has it for each of its tenants, and not before.

mod accounts;
mod certificates;
mod config;
mod mailboxes;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use common::id::TenantId;
use common::limits::NAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub use self::accounts::{Accounts, AccountsError};
pub use self::certificates::CertificateConfig;
pub use self::config::SmtpConfig;
pub use self::mailboxes::MailboxConfig;

use self::certificates::Certificates;
use self::config::Networks;
use super::connections::Connections;
use super::door;
use super::rate::Rates;
use super::{Clock, ListenError, listen_on, tls};
use crate::adapt::{Pins, addressed};
use crate::smtp::{Effect, Event, Mail, Peer, Policy, Protocol, Recipient, Refusal, Session, TlsMode};
use crate::spool::{self, Entry, EntryId, Kind, Spool};

/// The longest session, however busy: a sender that drips bytes holds its connection no longer.
const SESSION: Duration = Duration::from_hours(1);

/// Bytes read from a socket at once.
const READ_BYTES: usize = 16 * 1024;

/// The bridge, listening; it ends its sessions politely when the watch says so.
#[derive(Debug)]
pub struct SmtpBridge {
    shared: Arc<Shared>,
    listeners: Vec<(TcpListener, Arc<Policy>)>,
}

/// What all sessions share.
struct Shared {
    spool: Spool,
    clock: Clock,
    networks: Networks,
    pins: Pins,
    accounts: Accounts,
    certificates: Certificates,
    tls: Option<TlsAcceptor>,
    connections: Connections,
    rates: Mutex<Rates>,
    timeout: Duration,
}

impl SmtpBridge {
    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub fn bind(config: &SmtpConfig, spool: Spool, clock: Clock) -> Result<Self, ListenError> {
        config.check()?;
        let tls = config.tls.as_ref().map(super::TlsConfig::acceptor).transpose()?;
        let start_tls = if tls.is_some() { TlsMode::StartTls } else { TlsMode::None };
        let kinds = [
            (&config.listen, Protocol::Smtp, start_tls),
            (&config.listen_tls, Protocol::Smtp, TlsMode::Implicit),
            (&config.listen_lmtp, Protocol::Lmtp, start_tls),
        ];
        let mut listeners = Vec::new();
        for (addresses, protocol, mode) in kinds {
            let policy = Arc::new(Policy { protocol, tls: mode, ..config.policy() });
            for &address in addresses {
                listeners.push((listen_on(address)?, Arc::clone(&policy)));
            }
        }
        let shared = Arc::new(Shared {
            spool,
            clock,
            networks: config.networks(),
            pins: config.pins()?,
            accounts: Accounts::read(config.accounts.as_deref())?,
            certificates: Certificates(config.certificates.clone()),
            tls,
            connections: Connections::new(config.connections_max, config.connections_per_source_max),
            rates: Mutex::new(Rates::new(config.mails_per_minute)),
            timeout: Duration::from_secs(config.timeout_s),
        });
        Ok(Self { shared, listeners })
    }

    /// Where it listens, in the order of the configuration: with STARTTLS, with TLS, LMTP.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Takes connections until `stop` turns true, then lets the open sessions come to their end.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { shared, listeners } = self;
        let mut accepting = JoinSet::new();
        for (listener, policy) in listeners {
            let (shared, until) = (Arc::clone(&shared), stop.clone());
            let connections = shared.connections.clone();
            let talk = move |stream, source| {
                let (policy, shared, stop) = (Arc::clone(&policy), Arc::clone(&shared), until.clone());
                async move {
                    // Only this peer is told of what breaks its connection.
                    let talk = converse(stream, source, &policy, &shared, stop);
                    let _ = tokio::time::timeout(SESSION, talk).await;
                }
            };
            accepting.spawn(door::accept(listener, connections, stop.clone(), turn_away, talk));
        }
        while accepting.join_next().await.is_some() {}
    }
}

/// RFC 5321, section 3.1: 421 may be said instead of a greeting.
async fn turn_away(mut stream: TcpStream) {
    const REPLY: &[u8] = b"421 4.7.0 Too many connections, try again later\r\n";
    // It may be gone already.
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(REPLY)).await;
}

async fn converse(
    stream: TcpStream,
    source: IpAddr,
    policy: &Arc<Policy>,
    shared: &Shared,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = Peer {
        is_trusted: shared.networks.trusts(source),
        sends_bare_newlines: shared.networks.sends_bare_newlines(source),
    };
    let session = Session::new(Arc::clone(policy), peer);
    let mut talk = Talk { session, source, shared, stop, out: Vec::new() };
    talk.session.step(Event::Connected, &mut talk.out);
    let mut stream = stream;
    if talk.run(&mut stream).await? == Ended::Closed {
        return Ok(());
    }
    let Some(acceptor) = &shared.tls else { return Ok(()) };
    let handshake = tokio::time::timeout(shared.timeout, acceptor.accept(stream)).await;
    let mut stream = handshake.map_err(std::io::Error::other)??;
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.map(|chain| shared.certificates.judge(tls::names_of(chain)));
    talk.session.step(Event::TlsStarted { certificate }, &mut talk.out);
    talk.run(&mut stream).await?;
    stream.shutdown().await
}

/// How a part of a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    StartTls,
    Closed,
}

/// One session and what it needs.
struct Talk<'s> {
    session: Session,
    source: IpAddr,
    shared: &'s Shared,
    stop: watch::Receiver<bool>,
    out: Vec<Effect>,
}

impl Talk<'_> {
    /// Talks until the end, or until TLS is to be started.
    async fn run(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<Ended> {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let mut replies = Vec::new();
        let mut is_stopping = false;
        loop {
            while !self.out.is_empty() {
                if let Some(ended) = self.carry_out(stream, &mut replies).await? {
                    return Ok(ended);
                }
            }
            if !replies.is_empty() {
                self.send(stream, &mut replies).await?;
            }
            buffer.clear();
            let event = tokio::select! {
                read = tokio::time::timeout(self.shared.timeout, stream.read_buf(&mut buffer)) => match read {
                    Ok(Ok(0)) => Event::Eof,
                    Ok(read) => {
                        read?;
                        Event::Bytes(&buffer)
                    }
                    Err(_) => Event::TimedOut,
                },
                _ = self.stop.wait_for(|stop| *stop), if !is_stopping => {
                    is_stopping = true;
                    Event::ShuttingDown
                }
            };
            self.session.step(event, &mut self.out);
        }
    }

    /// Carries out what the session wants, in its order; answers of the spool bring more of it.
    async fn carry_out(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        replies: &mut Vec<u8>,
    ) -> std::io::Result<Option<Ended>> {
        for effect in std::mem::take(&mut self.out) {
            match effect {
                Effect::Reply(bytes) => replies.extend_from_slice(&bytes),
                Effect::StartTls => {
                    self.send(stream, replies).await?;
                    return Ok(Some(Ended::StartTls));
                }
                Effect::Authenticate { name, password } => {
                    let right = self.shared.accounts.check(&name, password.as_str()).await;
                    self.session.step(Event::Authenticated(right), &mut self.out);
                }
                Effect::Store(mail) => {
                    let stored = self.store(mail).await;
                    self.session.step(Event::Stored(stored), &mut self.out);
                }
                Effect::Close => {
                    self.send(stream, replies).await?;
                    return Ok(Some(Ended::Closed));
                }
            }
        }
        Ok(None)
    }

    /// A peer that does not take its replies is not waited for longer than one that says nothing.
    async fn send(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        replies: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        let sent = async {
            stream.write_all(replies).await?;
            stream.flush().await
        };
        tokio::time::timeout(self.shared.timeout, sent).await.map_err(std::io::Error::other)??;
        replies.clear();
        Ok(())
    }

    /// Puts a mail into the spool, once for each tenant.
    async fn store(&self, mail: Mail) -> Result<(), Refusal> {
        let now = (self.shared.clock.0)();
        let admitted =
            self.shared.rates.lock().unwrap_or_else(PoisonError::into_inner).admit(self.source, now);
        if !admitted {
            return Err(Refusal::Unavailable);
        }
        let plain = Bytes::from(mail.bytes);
        let source = shorten(&mail.sender);
        for (tenant, mailbox) in tenants(&mail.recipients, &self.shared.pins) {
            let tenant = TenantId::of_name(tenant);
            let (kind, body) = match mailbox {
                None => (Kind::Mail, plain.clone()),
                Some(mailbox) => (Kind::PinnedMail, addressed(mailbox, &plain).into()),
            };
            let entry = Entry {
                id: EntryId::of_content(tenant, kind, source, &body),
                tenant,
                kind,
                received: now,
                source: source.try_into().map_err(|_| Refusal::Unavailable)?,
                body,
            };
            self.shared.spool.store(entry).await.map_err(|error| refusal(&error))?;
        }
        Ok(())
    }
}

/// Whose a mail is, each with the mailbox whose pin tells how it is read. A tenant's mail counts once: of several
/// mailboxes with a pin, the first by name is taken, in whatever order the envelope names them.
fn tenants<'m>(recipients: &'m [Recipient], pins: &Pins) -> BTreeMap<&'m str, Option<&'m str>> {
    let mut tenants = BTreeMap::new();
    for Recipient { local_part, tenant, token_verified } in recipients {
        // With a token the local part is a tenant's name, which a mailbox may have too.
        let is_pinned = !token_verified && pins.of(local_part).is_some();
        let mailbox: &mut Option<&str> = tenants.entry(tenant.as_str()).or_default();
        *mailbox = mailbox.iter().copied().chain(is_pinned.then_some(local_part.as_str())).min();
    }
    tenants
}

/// As much of an address as an entry keeps.
fn shorten(address: &str) -> &str {
    let mut end = address.len().min(NAME_BYTES_MAX);
    while !address.is_char_boundary(end) {
        end -= 1;
    }
    &address[..end]
}

fn refusal(refusal: &spool::Refusal) -> Refusal {
    match refusal {
        spool::Refusal::Full { .. } => Refusal::Full,
        spool::Refusal::TooLarge { .. } => Refusal::Rejected(refusal.to_string()),
        spool::Refusal::Busy { .. } | spool::Refusal::Failed(_) | spool::Refusal::Closing => {
            Refusal::Unavailable
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("spool", &self.spool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
