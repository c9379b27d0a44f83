//! `coordinator relay-init`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use edge::print_lines;

use crate::folder::{RelayFolder, SAMPLE_RELAY_CONFIG};

/// What a relay is made of.
#[derive(Args)]
pub(super) struct RelayInit {
    /// A name for people, without spaces.
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    /// The hub of the star: listen on this address and port.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        required_unless_present = "connect",
        conflicts_with = "connect"
    )]
    listen: Option<SocketAddr>,
    /// A spoke of the star: where its hub listens.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// The relay at another site: its name and its public key, as `relay-init` printed them there; may be repeated.
    #[arg(long = "peer", num_args = 2, value_names = ["NAME", "KEY"])]
    peers: Vec<String>,
    /// DDS domain of this site, 0 to 231.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=i64::from(dds::DOMAIN_MAX)))]
    domain: u16,
    /// Address of a network interface to use; may be repeated. Without one, all of them.
    #[arg(long = "interface", value_name = "ADDRESS")]
    interfaces: Vec<IpAddr>,
    #[command(flatten)]
    custody: custody::Options,
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.len() > common::limits::NAME_BYTES_MAX {
        return Err("a name is one word of at most 128 bytes".into());
    }
    Ok(text.to_owned())
}

pub(super) fn init(dir: &Path, options: &RelayInit) -> Result<ExitCode> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let place = match (&options.listen, &options.connect) {
        (Some(address), _) => format!("listen = \"{address}\""),
        (None, to) => format!("connect = {}", quoted(to.as_deref().unwrap_or_default())),
    };
    let interfaces: Vec<String> = options.interfaces.iter().map(|address| format!("\"{address}\"")).collect();
    let peers: Vec<String> = options.peers.chunks(2).map(|peer| quoted(&peer.join(" "))).collect();
    let custody = options.custody.config();
    let config = SAMPLE_RELAY_CONFIG
        .replace("kind = \"file\"\n", &custody.lines())
        .replace("name = \"site-a\"", &format!("name = {}", quoted(&options.name)))
        .replace("\nlisten = \"0.0.0.0:7420\"", &format!("\n{place}"))
        .replace("peers = []", &format!("peers = [{}]", peers.join(", ")))
        .replace("domain = 0", &format!("domain = {}", options.domain))
        .replace("interfaces = [\"127.0.0.1\"]", &format!("interfaces = [{}]", interfaces.join(", ")));
    let identity = RelayFolder::init(dir, &config, &custody, &mut edge::entropy()?)?;
    // For the `peers` of the relays at other sites.
    print_lines(&[format!("{} {}", options.name, identity.public())]);
    Ok(ExitCode::SUCCESS)
}
