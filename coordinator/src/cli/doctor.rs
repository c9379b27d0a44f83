//! `coordinator doctor`: reads the folder and looks around it; changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use common::id::ModelHash;
use common::units::{Millis, Timestamp};
use edge::{Format, Listing, now};

use super::asked::{self, Absent};
use super::exit::Exit;
use crate::control::{ModelAnswer, ModelOrder};
use crate::doctor::{Finding, Key, Place, Seen, Verdict, examine};
use crate::folder::{Enrolled, Folder, REMEDY};
use crate::store::Models;
use crate::view::View;

/// How often a long check says how far it is.
const PROGRESS: Millis = Millis(1000);

pub(super) async fn execute(dir: &Path, format: Format) -> Result<ExitCode> {
    let findings = examine(&look(dir).await);
    let mut list = Listing::begin(format);
    for finding in &findings {
        list.item(finding, || vec![line(finding)])?;
    }
    list.end();
    let fails = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if fails { Exit::Failed } else { Exit::Done }.into())
}

fn line(finding: &Finding) -> String {
    let Finding { check, verdict, found, remedy } = finding;
    let verdict = match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    };
    let remedy = remedy.as_ref().map_or(String::new(), |remedy| format!(" > {remedy}"));
    format!("{verdict:<4}  {check:<15} {found}{remedy}")
}

async fn look(dir: &Path) -> Seen {
    let view = asked::serving_view(dir).await;
    let has_drifted = |view: &View| view.nodes.iter().filter(|node| node.drifted.is_some()).count();
    let drifted = view.as_ref().map_or(0, has_drifted);
    let served = match view {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.downcast_ref(), Some(Absent::NotServing(_))) => Ok(false),
        Err(error) => Err(words(error)),
    };
    let identity = identity(dir).map_err(words);
    let is_elsewhere = matches!(identity, Ok(Key::Elsewhere(_)));
    let listed = match served {
        Err(_) => Some(Err("not known while the coordinator does not answer".to_owned())),
        Ok(false) if is_elsewhere => None,
        Ok(_) => Some(listed(dir).await.map_err(words)),
    };
    let named = listed.as_ref().and_then(|listed| listed.as_ref().ok()).and_then(Option::as_ref);
    let named = named.map(|(models, _)| models.clone()).unwrap_or_default();
    Seen {
        config: config(dir).map_err(words),
        roster: Enrolled::open(dir).map(|enrolled| enrolled.roster.nodes.len()).map_err(words),
        served,
        drifted,
        state: listed
            .map(|listed| listed.map(|listed| listed.map(|(models, newest)| (models.len(), newest)))),
        models: (named.is_empty() || !is_elsewhere).then(|| checked(dir, &named)),
        identity,
        free: free(dir).map_err(words),
        receive_buffer_max: fs::read_to_string("/proc/sys/net/core/rmem_max")
            .ok()
            .and_then(|bytes| bytes.trim().parse().ok()),
        now: now(),
    }
}

fn words(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn config(dir: &Path) -> Result<Place> {
    let config = Folder::config(dir)?;
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(_) => UdpSocket::bind((*address, 0)).err().map(|error| error.to_string()),
        IpAddr::V6(_) => Some("only IPv4 is supported".to_owned()),
    };
    let interfaces = config.dds.interfaces.iter();
    Ok(Place {
        domain: config.dds.domain,
        participant: dds::next_participant(config.dds.domain),
        interfaces: interfaces.map(|address| (address.to_string(), usable(address))).collect(),
    })
}

fn identity(dir: &Path) -> Result<Key> {
    let custody = Folder::config(dir)?.custody;
    let custody::Config::File {} = custody else {
        // What asks for a PIN is not asked to look around.
        return Ok(Key::Elsewhere(custody.to_string()));
    };
    custody::open(dir, &custody, REMEDY)?;
    let path = dir.join("identity.pem");
    Ok(Key::InTheClear(fs::metadata(&path).with_context(|| path.display().to_string())?.permissions().mode()))
}

/// All models that are named, and when the newest came; none without a state.
async fn listed(dir: &Path) -> Result<Option<(BTreeSet<ModelHash>, Timestamp)>> {
    custody::refuse_shredded(dir)?;
    if !dir.join("state.redb").exists() {
        return Ok(None);
    }
    let ModelAnswer::Listed { models } = asked::models(dir, ModelOrder::List).await? else {
        bail!(asked::OTHER_ANSWER)
    };
    let newest = models.iter().map(|model| model.at_ms).max().unwrap_or(0);
    let hashes: Result<BTreeSet<ModelHash>, _> = models.iter().map(|model| model.model.parse()).collect();
    Ok(Some((hashes?, Timestamp::from_millis(newest))))
}

/// Reads every one of these files whole.
fn checked(dir: &Path, models: &BTreeSet<ModelHash>) -> Vec<Result<u64, String>> {
    if models.is_empty() {
        return Vec::new();
    }
    let files = match Folder::vault(dir) {
        Ok(vault) => Models::of_folder(dir, vault),
        Err(error) => return vec![Err(words(error))],
    };
    let mut told = now();
    let check = |(index, model): (usize, &ModelHash)| {
        if now() >= told + PROGRESS {
            told = now();
            eprintln!("coordinator: {index} of {} models are checked", models.len());
        }
        files.check(*model).map_err(words)
    };
    models.iter().enumerate().map(check).collect()
}

fn free(dir: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(dir).with_context(|| dir.display().to_string())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
