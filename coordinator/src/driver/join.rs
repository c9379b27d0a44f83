//! Joining, beside the loop: what comes over the network and what the operator orders go to one [`Desk`], whose changes
//! are on the disk before anybody is answered. A roster that this coordinator signs itself takes the way of
//! `roster install`.

mod door;

use core::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use common::crypto::{Identity, PresharedSeed, Suite};
use common::glob::Glob;
use common::id::{NodeId, TokenId};
use common::join::{Answer, Refusal, Reply, Request, Standing, TurnedAway};
use common::known::Peer;
use common::roster::{Membership, Roster};
use common::token::{JOIN_PORT, Token};
use common::units::{Millis, Timestamp};
use common::wire::encode;
use edge::now;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Members;
use crate::config::{CoordinatorConfig, JoinConfig};
use crate::control::{self, Asked, JoinAnswer, JoinDesk, JoinOrder, Question};
use crate::folder::{self, Enrolled};
use crate::join::{self, Applicant, Change, Decision, Desk, Issued, LIFE_MAX, Rates, Setting};
use crate::store::Store;
use crate::view::{IssuedToken, NodeView, TokenView, WaitingView};

/// What one who waits does.
const WAITS: &str = "waits";

/// Opens the door, if there is to be one.
pub(super) async fn at_door(office: Arc<Office>) -> Result<Option<JoinHandle<()>>> {
    match office.config.as_ref().map(|config| config.listen) {
        None => Ok(None),
        Some(address) => Ok(Some(tokio::spawn(door::open(address, office).await?))),
    }
}

/// Everything that joining needs.
pub(super) struct Office {
    store: Arc<Store>,
    config: Option<JoinConfig>,
    domain: u16,
    suite: Suite,
    members: Members,
    /// The operator's key, when this coordinator approves by itself.
    signer: Option<Identity>,
    desk: Mutex<Desk>,
    rates: Mutex<Rates>,
    /// One roster is signed after the other.
    signing: Mutex<()>,
    questions: mpsc::Sender<Asked>,
    errands: mpsc::Sender<Errand>,
}

/// The channels to the driver's loop.
pub(super) struct Channels {
    /// What is asked of the driver.
    pub(super) questions: mpsc::Sender<Asked>,
    /// What it does for those who come.
    pub(super) errands: mpsc::Sender<Errand>,
}

/// What the driver's loop does for somebody who came with a token.
pub(super) enum Errand {
    /// It waits: those who watch are told.
    Waits(Peer),
    /// It is a member: if it needs a certificate, it is given one.
    Certify {
        /// Who.
        node: NodeId,
        /// Whether it is let in again if its last one ended.
        renew: bool,
        /// For the certificate, as DER.
        answer: oneshot::Sender<Result<Option<Vec<u8>>, Refusal>>,
    },
}

impl Office {
    /// Reads what is stored, and opens the operator's key if this coordinator is to approve by itself.
    pub(super) fn open(
        dir: &Path,
        store: &Arc<Store>,
        config: &CoordinatorConfig,
        members: &Members,
        channels: Channels,
    ) -> Result<Self> {
        let approve = config.join.as_ref().and_then(|join| join.approve.as_ref());
        let signer = approve.map(|place| folder::open_operator(&dir.join(place))).transpose();
        let signer = signer.context("`join.approve`")?;
        if let Some(signer) = &signer {
            ensure!(
                *signer.public() == members.read().unwrap_or_else(PoisonError::into_inner).operator,
                "`join.approve` is not the key of the operator; the one in that folder has handed over"
            );
            tracing::warn!("`join.approve`: this machine can let in whom it likes, with a token or without");
        }
        let office = Self {
            store: Arc::clone(store),
            config: config.join.clone(),
            domain: config.dds.domain,
            suite: config.suite,
            members: Arc::clone(members),
            signer,
            desk: Mutex::new(store.state().desk()?),
            rates: Mutex::default(),
            signing: Mutex::default(),
            questions: channels.questions,
            errands: channels.errands,
        };
        office.tidy(now())?;
        Ok(office)
    }

    /// Forgets what has expired, as often as the clock says so.
    fn tidied(&self) {
        if let Err(error) = self.tidy(now()) {
            tracing::error!("tokens that have expired could not be forgotten: {error:#}");
        }
    }

    /// Forgets what time has made of no use.
    fn tidy(&self, now: Timestamp) -> Result<()> {
        self.change(&mut self.lock(), Vec::new(), &self.enrolled().roster, now)
    }

    /// Answers what the operator orders.
    pub(super) fn desk(self: &Arc<Self>) -> JoinDesk {
        let office = Arc::clone(self);
        Arc::new(move |order| office.order(order, now()).map_err(|error| format!("{error:#}")))
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enrolled(&self) -> Arc<Enrolled> {
        Arc::clone(&self.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores changes, with those that time has brought, and makes them count.
    fn change(
        &self,
        desk: &mut Desk,
        mut changes: Vec<Change>,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<()> {
        let mut next = desk.clone();
        next.apply(changes.clone());
        let outdated = next.outdated(roster, now);
        next.apply(outdated.clone());
        changes.extend(outdated);
        self.store.state().change_desk(&changes)?;
        *desk = next;
        Ok(())
    }

    /// What somebody is answered who sent these bytes. May take long: it belongs beside every loop.
    pub(super) fn answer(&self, bytes: &[u8], from: IpAddr) -> Reply {
        self.opened(bytes, from).unwrap_or_else(Reply::TurnedAway)
    }

    fn opened(&self, bytes: &[u8], from: IpAddr) -> Result<Reply, TurnedAway> {
        let now = now();
        let token = Request::claimed(bytes).map_err(|_| TurnedAway::Unreadable)?;
        let issued = self.lock().look(token, now)?.clone();
        if !self.rates.lock().unwrap_or_else(PoisonError::into_inner).admit(from, now) {
            return Err(TurnedAway::Busy);
        }
        let ours = |error: anyhow::Error| {
            tracing::error!(%token, "a request to join could not be answered: {error:#}");
            TurnedAway::Busy
        };
        let seed = issued.seed.as_ref().ok_or(TurnedAway::Expired)?;
        let opened = Request::open(bytes, seed, &issued.operator);
        let (request, key) = opened.map_err(|error| {
            tracing::warn!(%token, %from, "a request to join is refused: {error}");
            TurnedAway::Unreadable
        })?;
        let peer = request.peer.clone();
        let mut standing = self.decide(token, request, now).map_err(ours)??;
        let mut certificate = None;
        if standing == Standing::Admitted {
            let certified = self.certify(peer.key.node_id(), issued.used_by.is_none()).map_err(ours)?;
            match certified {
                Ok(issued) => certificate = issued,
                Err(why) => standing = Standing::Refused(why),
            }
        }
        tracing::info!(%token, %from, node = %peer.key.node_id(), name = peer.name, ?standing, "asked to join");
        let answer = self.said(standing, certificate.unwrap_or_default(), now).map_err(ours)?;
        Ok(Reply::Sealed(key.seal(&encode(&answer), &mut edge::entropy().map_err(ours)?)))
    }

    /// What becomes of a request; what it changes is on the disk then.
    fn decide(
        &self,
        token: TokenId,
        request: Request,
        now: Timestamp,
    ) -> Result<Result<Standing, TurnedAway>> {
        let (peer, enrolled) = (request.peer.clone(), self.enrolled());
        let roster = &enrolled.roster;
        let setting = Setting { roster, is_open: self.signer.is_some() };
        let mut desk = self.lock();
        let Decision { standing, changes } = match desk.decide(token, request, setting, now) {
            Ok(decision) => decision,
            Err(why) => return Ok(Err(why)),
        };
        let came = changes.iter().find_map(|change| match change {
            Change::Applicant(_, Some(Applicant { peer, .. })) => Some(peer.clone()),
            _ => None,
        });
        if !changes.is_empty() {
            self.change(&mut desk, changes, roster, now)?;
        }
        let waits = desk.applicants(roster).find(|applicant| applicant.peer.key == peer.key);
        let waits = waits.map(|applicant| applicant.peer.clone());
        drop(desk);
        if standing != Standing::Waiting {
            return Ok(Ok(standing));
        }
        if let (Some(signer), Some(peer)) = (&self.signer, waits) {
            match self.admit(signer, peer) {
                Ok(()) => return Ok(Ok(Standing::Admitted)),
                Err(error) => tracing::error!("a node waits that should be let in: {error:#}"),
            }
        }
        if let Some(peer) = came {
            // Nobody waits for those who watch.
            let _ = self.errands.try_send(Errand::Waits(peer));
        }
        Ok(Ok(Standing::Waiting))
    }

    /// Signs the next roster with this member, and has the driver install it.
    fn admit(&self, signer: &Identity, peer: Peer) -> Result<()> {
        let _one_by_one = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = self.enrolled().roster.clone();
        if let Membership::Member(_) = roster.membership(peer.key.node_id()) {
            return Ok(());
        }
        let mut next = join::admitting(roster, [(peer.key.node_id(), peer)].into())?;
        let question = Question::Roster { text: next.sign(signer, now())?, dry_run: false };
        let (answer, answered) = oneshot::channel();
        self.questions.blocking_send(Asked { question, answer }).ok().context("the coordinator is ending")?;
        match answered.blocking_recv().context("the coordinator is ending")? {
            control::Reply::Refused { reason } => bail!(reason),
            _ => Ok(()),
        }
    }

    /// The certificate of a member, if it needs one. A token that nobody has used yet lets one in again whose last one
    /// ended.
    fn certify(&self, node: NodeId, renew: bool) -> Result<Result<Option<Vec<u8>>, Refusal>> {
        let (answer, answered) = oneshot::channel();
        let errand = Errand::Certify { node, renew, answer };
        self.errands.blocking_send(errand).ok().context("the coordinator is ending")?;
        answered.blocking_recv().context("the coordinator is ending")
    }

    fn said(&self, standing: Standing, certificate: Vec<u8>, now: Timestamp) -> Result<Answer> {
        let enrolled = self.enrolled();
        let Enrolled { text, roster, .. } = &*enrolled;
        let text = if matches!(standing, Standing::Refused(_)) { "" } else { text };
        Ok(Answer {
            at: now,
            standing,
            tenant: roster.tenant.as_str().try_into()?,
            domain: self.domain,
            suite: self.suite,
            roster: text.try_into()?,
            certificate: certificate.try_into()?,
        })
    }

    fn order(&self, order: JoinOrder, now: Timestamp) -> Result<JoinAnswer> {
        let enrolled = self.enrolled();
        let roster = &enrolled.roster;
        Ok(match order {
            JoinOrder::Issue { tenant, life_s, labels, names, dry_run } => {
                let other = tenant.filter(|tenant| *tenant != roster.tenant);
                if let Some(other) = other {
                    bail!("this coordinator works for the tenant `{}`, not for `{other}`", roster.tenant);
                }
                let names = names.map(Glob::try_from).transpose().context("--names")?;
                JoinAnswer::Issued(self.issue(
                    Millis(life_s.saturating_mul(1000)),
                    labels,
                    names,
                    dry_run,
                    now,
                )?)
            }
            JoinOrder::Tokens => {
                let desk = self.lock();
                let tokens = desk.issued().map(|(token, issued)| token_view(token, issued, false, now));
                JoinAnswer::Tokens { tokens: tokens.collect() }
            }
            JoinOrder::Revoke { token, dry_run } => {
                let mut desk = self.lock();
                let (token, issued) = desk.revoke(&token)?;
                if !dry_run {
                    self.change(&mut desk, vec![Change::Token(token, Some(issued.clone()))], roster, now)?;
                }
                JoinAnswer::Revoked(token_view(token, &issued, dry_run, now))
            }
            JoinOrder::Applicants => JoinAnswer::Applicants { nodes: waiting(&self.lock(), roster) },
            JoinOrder::Dismiss { node, dry_run } => {
                let mut desk = self.lock();
                if !dry_run {
                    let node: NodeId = node.parse()?;
                    let changes = desk.dismiss(node);
                    self.change(&mut desk, changes, roster, now)?;
                }
                JoinAnswer::Applicants { nodes: waiting(&desk, roster) }
            }
        })
    }

    fn issue(
        &self,
        life: Millis,
        labels: common::known::Labels,
        names: Option<Glob>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<IssuedToken> {
        let Some(config) = &self.config else {
            bail!(
                "nothing listens for nodes that join: write [join] and `listen = \"0.0.0.0:{JOIN_PORT}\"` into \
                 coordinator.toml, and start the coordinator again"
            );
        };
        ensure!(life <= LIFE_MAX, "a token is good for {} days at most", LIFE_MAX.0 / 86_400_000);
        let enrolled = self.enrolled();
        let (operator, roster) = (enrolled.operator, &enrolled.roster);
        let mut random = edge::entropy()?;
        let seed = PresharedSeed::generate(&mut random);
        let token = Token { key: seed.shared(), operator };
        let expires = now + life;
        let issued = Issued {
            created: now,
            expires,
            operator,
            labels: labels.clone(),
            names: names.clone(),
            seed: Some(seed),
            used_by: None,
            revoked: false,
        };
        let mut desk = self.lock();
        let changes = desk.issue(token.id(), issued, now)?;
        if !dry_run {
            self.change(&mut desk, changes, roster, now)?;
        }
        Ok(IssuedToken {
            dry_run,
            id: (!dry_run).then(|| token.id().to_string()),
            token: (!dry_run).then(|| token.to_text().as_str().to_owned()),
            port: config.listen.port(),
            expires_s: expires.millis() / 1000,
            labels,
            names: names.map(String::from),
            approves: self.signer.is_some(),
        })
    }
}

/// Who waits, as they are listed.
pub(super) fn waiting(desk: &Desk, roster: &Roster) -> Vec<NodeView> {
    let view = |Applicant { peer, token, since }: &Applicant| {
        let (key, token, since_s) = (peer.key.to_string(), token.to_string(), since.millis() / 1000);
        let waiting = Some(WaitingView { key, token, since_s });
        NodeView { waiting, ..NodeView::of(peer.key.node_id(), peer, false, WAITS) }
    };
    desk.applicants(roster).map(view).collect()
}

fn token_view(token: TokenId, issued: &Issued, dry_run: bool, now: Timestamp) -> TokenView {
    TokenView {
        dry_run,
        id: token.to_string(),
        status: issued.status(now),
        created_s: issued.created.millis() / 1000,
        expires_s: issued.expires.millis() / 1000,
        labels: issued.labels.clone(),
        names: issued.names.as_ref().map(ToString::to_string),
        used_by: issued.used_by.map(|node| node.to_string()),
    }
}
