//! What the coordinator of a folder says: asked where one serves it, else read from the folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::control::{
    Client, JoinAnswer, JoinOrder, ModelAnswer, ModelOrder, Question, Reply, Request, Stored, socket_path,
};
use crate::driver;
use crate::view::{NodeView, RunView, View};

/// What a coordinator of another version may do.
pub(super) const OTHER_ANSWER: &str = "the coordinator answered something else; is it of another version?";

/// Nobody serves the folder, or nobody does any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Absent {
    #[error("no coordinator answers at {}; start `coordinator serve`", .0.display())]
    NotServing(PathBuf),
    #[error("the coordinator ended before it answered; start `coordinator serve` again")]
    Ended,
}

impl Absent {
    pub(super) fn at(dir: &Path) -> Self {
        Self::NotServing(socket_path(dir))
    }
}

/// A conversation with the coordinator that serves this folder, which must be there.
pub(super) async fn ask(dir: &Path, request: &Request) -> Result<Client> {
    Ok(Client::ask(dir, request).await?.ok_or_else(|| Absent::at(dir))?)
}

/// The view of the coordinator that serves this folder, which must be there.
pub(super) async fn serving_view(dir: &Path) -> Result<View> {
    viewed(ask(dir, &Request::View).await?).await
}

/// The view of the coordinator that serves this folder, or of the folder itself when none does.
pub(super) async fn view(dir: &Path) -> Result<View> {
    match Client::ask(dir, &Request::View).await? {
        None => driver::stored_view(dir),
        Some(client) => viewed(client).await,
    }
}

async fn viewed(mut client: Client) -> Result<View> {
    match client.next().await? {
        Some(Reply::View(view)) => Ok(*view),
        _ => bail!(Absent::Ended),
    }
}

/// What is stored of a run.
pub(super) async fn stored(dir: &Path, asked: Stored) -> Result<Reply> {
    match Client::ask(dir, &Request::Ask(Question::Stored(asked.clone()))).await? {
        None => driver::stored_answer(dir, &asked),
        Some(mut client) => Ok(client.next().await?.ok_or(Absent::Ended)?),
    }
}

/// What is known of models, and what is done with them.
pub(super) async fn models(dir: &Path, order: ModelOrder) -> Result<ModelAnswer> {
    match Client::ask(dir, &Request::Model(order.clone())).await? {
        None => driver::stored_models(dir, &order),
        Some(mut client) => match client.next().await?.ok_or(Absent::Ended)? {
            Reply::Model(answer) => Ok(answer),
            _ => bail!(OTHER_ANSWER),
        },
    }
}

/// What is done with tokens, by the coordinator that serves this folder, which must be there.
pub(super) async fn joining(dir: &Path, order: JoinOrder) -> Result<JoinAnswer> {
    match ask(dir, &Request::Join(order)).await?.next().await?.ok_or(Absent::Ended)? {
        Reply::Join(answer) => Ok(answer),
        _ => bail!(OTHER_ANSWER),
    }
}

/// Who waits for approval.
pub(super) async fn applicants(dir: &Path) -> Result<Vec<NodeView>> {
    match Client::ask(dir, &Request::Join(JoinOrder::Applicants)).await? {
        None => driver::stored_applicants(dir),
        Some(mut client) => match client.next().await?.ok_or(Absent::Ended)? {
            Reply::Join(JoinAnswer::Applicants { nodes }) => Ok(nodes),
            _ => bail!(OTHER_ANSWER),
        },
    }
}

/// The run that somebody means: the one that goes on, or else the newest, when none is named.
pub(super) fn pick<'v>(view: &'v View, wanted: Option<&str>) -> Result<&'v RunView> {
    Ok(view.run(wanted)?)
}
