//! Relays as an operator makes them: a hub, its spokes, and the keys that they list of each other.

use std::path::Path;

use crate::programs::{edit, run};

/// Where a relay stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its folder beside those of the others, and how they call it.
    pub name: &'a str,
    /// The domain of its site, on loopback.
    pub domain: u16,
}

/// Makes the folders of a hub that listens at this address, and of its spokes. They know each other.
///
/// # Panics
///
/// When a command fails.
pub fn star(dir: &Path, address: &str, hub: Place<'_>, spokes: &[Place<'_>]) {
    let line = relay(dir, hub, ["--listen", address], &[]);
    let spoke = |place: &Place<'_>| relay(dir, *place, ["--connect", address], &[&line]);
    let lines: Vec<String> = spokes.iter().map(spoke).collect();
    list(dir, hub.name, &lines);
}

/// Makes a relay's folder; returns its name and key, as its peers list them.
///
/// # Panics
///
/// When it cannot be made.
pub fn relay(dir: &Path, place: Place<'_>, end: [&str; 2], peers: &[&str]) -> String {
    let (folder, domain) = (dir.join(place.name).display().to_string(), place.domain.to_string());
    let mut args = vec!["--dir", &folder, "relay-init", "--name", place.name, "--domain", &domain];
    args.extend(["--interface", "127.0.0.1"].into_iter().chain(end));
    for peer in peers {
        args.push("--peer");
        args.extend(peer.split_whitespace());
    }
    let made = run("coordinator", &args);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}

/// Lets a relay that listed nobody list these.
///
/// # Panics
///
/// When its configuration cannot be changed.
pub fn list(dir: &Path, relay: &str, peers: &[String]) {
    edit(&dir.join(relay).join("relay.toml"), |text| {
        text.replace("peers = []", &format!("peers = {peers:?}"))
    });
}
