//! The local control socket: one JSON line asks, JSON lines answer.
//!
//! Whoever may open the socket file (mode 0600, so its owner) may start and stop runs, and say what aliases name. It
//! never leaves the host.

mod join;
mod model;

pub use join::{JoinAnswer, JoinDesk, JoinOrder};
pub use model::{ModelAnswer, ModelDesk, ModelOrder};

use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as Listener, UnixStream as Stream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::view::{AttemptView, InstalledRoster, NodeOrder, OrderedNode, OrderedRun, View};

/// Longest line either side accepts, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// What the driver itself answers.
    Ask(Question),
    /// Look at models, or do something with them.
    Model(ModelOrder),
    /// Look at tokens or at who waits for approval, or do something with them.
    Join(JoinOrder),
    /// The view now.
    View,
    /// The view now, and again each time it changes.
    Watch,
}

/// What the driver answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// Do something with a run.
    Do(RunOrder),
    /// What would be done; nothing is changed.
    Try(RunOrder),
    /// What is stored and in no view.
    Stored(Stored),
    /// Do something with a node, or only look whether that can be done.
    Node {
        /// Its name, its id, or the start of that.
        node: String,
        /// What is to be done.
        order: NodeOrder,
        /// Change nothing.
        dry_run: bool,
    },
    /// Make this roster count, or only look whether it may.
    Roster {
        /// As the operator signed it.
        text: String,
        /// Change nothing.
        dry_run: bool,
    },
}

/// What is stored of a run, by its whole id, and in no view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stored", rename_all = "snake_case")]
pub enum Stored {
    /// The text of its configuration.
    Config {
        /// Which run.
        run: String,
    },
    /// Every attempt at one of its rounds.
    Attempts {
        /// Which run.
        run: String,
        /// Which round, from 1.
        round: u32,
    },
}

/// What can be done with a run. It is named by its id, the start of that, or its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum RunOrder {
    /// Start one with this configuration text.
    Start {
        /// The text of a `run.toml`.
        config: String,
        /// Asked again with the same key, the same run is told of, and no other one started.
        key: Option<String>,
    },
    /// Stop working on it; the round going on is given up.
    Pause {
        /// Which.
        run: String,
    },
    /// Go on with one that is paused.
    Resume {
        /// Which.
        run: String,
    },
    /// End it for good.
    Stop {
        /// Which.
        run: String,
    },
    /// Add rounds to it; one that is finished goes on.
    Extend {
        /// Which.
        run: String,
        /// How many more.
        rounds: NonZeroU32,
    },
}

impl RunOrder {
    /// The run that it is for; none for one that is not there yet.
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::Start { .. } => None,
            Self::Pause { run } | Self::Resume { run } | Self::Stop { run } | Self::Extend { run, .. } => {
                Some(run)
            }
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It was done, durably; or, if only that was asked, it would be.
    Done(OrderedRun),
    /// The view.
    View(Box<View>),
    /// The text of a configuration.
    Config {
        /// As it was when the run was started.
        text: String,
    },
    /// Attempts at a round.
    Attempts {
        /// The oldest first.
        attempts: Vec<AttemptView>,
    },
    /// What was asked of models.
    Model(ModelAnswer),
    /// What was asked of joining.
    Join(JoinAnswer),
    /// It was done with a node, durably; or, if only that was asked, it would be.
    Node(OrderedNode),
    /// The roster counts, durably; or, if only that was asked, it would.
    Roster(InstalledRoster),
    /// It was not done.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// A question on its way to the driver.
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Reply>,
}

/// Who answers what the driver need not: beside its loop.
#[derive(Clone)]
pub struct Desks {
    /// What is asked of models.
    pub models: ModelDesk,
    /// What is asked of joining.
    pub joining: JoinDesk,
}

/// Where the socket of a coordinator folder is.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// The open socket of a coordinator folder, whose file goes with it. Who connects while nobody serves, since the
/// coordinator is about to go on under another key, is answered then.
pub struct Socket {
    listener: Listener,
    path: PathBuf,
}

impl Socket {
    /// Opens the socket; one that a dead coordinator left behind is replaced.
    ///
    /// # Errors
    ///
    /// When another coordinator answers there, or the file cannot be made.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = socket_path(dir);
        if Stream::connect(&path).is_ok() {
            bail!("{}: another coordinator is serving this folder", path.display());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => (),
        }
        let listener = Listener::bind(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let socket = Self { listener, path };
        let mode = PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&socket.path, mode).with_context(|| socket.path.display().to_string())?;
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Who connects, for the runtime of whoever serves now.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn listen(&self) -> Result<UnixListener> {
        let listener = self.listener.try_clone().and_then(UnixListener::from_std);
        listener.with_context(|| self.path.display().to_string())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers everyone who connects. Each conversation holds `questions` until it is over.
pub async fn answer_all(
    listener: UnixListener,
    questions: mpsc::Sender<Asked>,
    desks: Desks,
    view: watch::Receiver<View>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that hangs up ends its own conversation only.
        tokio::spawn(answer(stream, questions.clone(), desks.clone(), view.clone()));
    }
}

async fn answer(
    stream: UnixStream,
    questions: mpsc::Sender<Asked>,
    desks: Desks,
    mut view: watch::Receiver<View>,
) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    match serde_json::from_str(&line) {
        Err(error) => say(&mut write, &Reply::Refused { reason: format!("not a request: {error}") }).await,
        Ok(Request::View) => {
            let now = view.borrow().clone();
            say(&mut write, &Reply::View(Box::new(now))).await
        }
        Ok(Request::Watch) => loop {
            let now = view.borrow_and_update().clone();
            say(&mut write, &Reply::View(Box::new(now))).await?;
            view.changed().await?;
        },
        Ok(Request::Model(order)) => {
            // The driver must not wait for a large file to be read.
            let answered = tokio::task::spawn_blocking(move || (desks.models)(&order)).await?;
            let reply = answered.map_or_else(|reason| Reply::Refused { reason }, Reply::Model);
            say(&mut write, &reply).await
        }
        Ok(Request::Join(order)) => {
            // Nor for a disk, or a token with keys.
            let answered = tokio::task::spawn_blocking(move || (desks.joining)(order)).await?;
            let reply = answered.map_or_else(|reason| Reply::Refused { reason }, Reply::Join);
            say(&mut write, &reply).await
        }
        Ok(Request::Ask(question)) => {
            let (answer, answered) = oneshot::channel();
            let ended = Reply::Refused {
                reason: "the coordinator is ending, or goes on under another key: ask again".to_owned(),
            };
            let reply = match questions.send(Asked { question, answer }).await {
                Ok(()) => answered.await.unwrap_or(ended),
                Err(_) => ended,
            };
            say(&mut write, &reply).await
        }
    }
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(write.write_all(&line).await?)
}

/// How long a coordinator may take to answer: it may have to write a large model first.
const ANSWER_S: u64 = 60;

/// A conversation with the coordinator of a folder.
pub struct Client {
    /// Whether an answer has come: further ones come when something changes.
    is_answered: bool,
    lines: tokio::io::Lines<BufReader<tokio::io::Take<UnixStream>>>,
}

impl Client {
    /// Asks; `None` when no coordinator is serving the folder.
    ///
    /// # Errors
    ///
    /// When the socket is there and cannot be used.
    pub async fn ask(dir: &Path, request: &Request) -> Result<Option<Self>> {
        let path = socket_path(dir);
        let mut stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await.with_context(|| path.display().to_string())?;
        let lines = BufReader::new(stream.take(u64::MAX)).lines();
        Ok(Some(Self { is_answered: false, lines }))
    }

    /// The next answer; `None` when the coordinator has ended.
    ///
    /// # Errors
    ///
    /// When the answer cannot be read, is a refusal, or the first one does not come within a minute.
    pub async fn next(&mut self) -> Result<Option<Reply>> {
        let line = self.lines.next_line();
        let line = if std::mem::replace(&mut self.is_answered, true) {
            line.await?
        } else {
            let late =
                || format!("the coordinator did not answer within {ANSWER_S} s: is it stopped, or its disk?");
            tokio::time::timeout(Duration::from_secs(ANSWER_S), line).await.with_context(late)??
        };
        let Some(line) = line else { return Ok(None) };
        match serde_json::from_str(&line).context("the coordinator's answer cannot be read")? {
            Reply::Refused { reason } => bail!(reason),
            reply => Ok(Some(reply)),
        }
    }
}
