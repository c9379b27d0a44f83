//! Following a run: its view as often as it changes, and waiting for its end.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cli::asked::{self, Absent};
use crate::cli::exit::Exit;
use crate::control::{Client, Reply, Request};
use crate::view::{NodeView, RunStatus, RunView};

/// A run that is followed: the same one, whatever else is started.
pub(super) struct Followed<'a> {
    dir: &'a Path,
    client: Client,
    /// As it was named, then its id.
    run: Option<String>,
}

impl<'a> Followed<'a> {
    /// Follows the run that is named, or the newest.
    pub(super) async fn begin(dir: &'a Path, run: Option<&str>) -> Result<Self> {
        let client = asked::ask(dir, &Request::Watch).await?;
        Ok(Self { dir, client, run: run.map(str::to_owned) })
    }

    /// The run and all nodes, at once, and then each time something changed. May be given up at any time.
    pub(super) async fn next(&mut self) -> Result<(RunView, Vec<NodeView>)> {
        let mut reply = self.client.next().await?;
        if reply.is_none() {
            // A coordinator that goes on under another key is there again.
            self.client = Client::ask(self.dir, &Request::Watch).await?.ok_or(Absent::Ended)?;
            reply = self.client.next().await?;
        }
        let Some(Reply::View(view)) = reply else { bail!(Absent::Ended) };
        let run = asked::pick(&view, self.run.as_deref())?.clone();
        self.run = Some(run.run.clone());
        Ok((run, view.nodes))
    }
}

/// How a command ends that follows a run, when the run is over.
pub(super) fn ending(status: RunStatus) -> Option<Exit> {
    match status {
        RunStatus::Running | RunStatus::Paused => None,
        RunStatus::Finished => Some(Exit::Done),
        RunStatus::Failed => Some(Exit::RunFailed),
    }
}

/// Waits until a run is over, or paused, or the time is up.
pub(super) async fn wait(dir: &Path, run: Option<&str>, timeout: Option<Duration>) -> Result<ExitCode> {
    let over = over(dir, run);
    let exit = match timeout {
        None => over.await?,
        Some(limit) => tokio::time::timeout(limit, over).await.unwrap_or(Ok(Exit::TimedOut))?,
    };
    Ok(exit.into())
}

async fn over(dir: &Path, run: Option<&str>) -> Result<Exit> {
    if Client::ask(dir, &Request::View).await?.is_none() {
        // What is over stays so; anything else has to be served first.
        let over = asked::pick(&asked::view(dir).await?, run).ok().and_then(|run| ending(run.status));
        return Ok(over.ok_or_else(|| Absent::at(dir))?);
    }
    let mut followed = Followed::begin(dir, run).await?;
    loop {
        let (run, _) = followed.next().await?;
        let exit = if run.status == RunStatus::Paused { Some(Exit::Paused) } else { ending(run.status) };
        if let Some(exit) = exit {
            return Ok(exit);
        }
    }
}
