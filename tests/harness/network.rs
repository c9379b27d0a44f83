//! A network of hosts on one machine: a network namespace for each host and one for the switch between them.
//!
//! Everything is inside the namespaces, so that no firewall, route or address of the machine takes part; two networks
//! at a time may have the same addresses. It needs root, `ip`, `tc` and `nft`.

mod delay;
mod rules;

use std::ffi::OsStr;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use common::units::Millis;
use serde_json::Value;

use crate::others::Need;
use delay::Line;
use rules::Rules;

/// What such a network needs of the machine.
pub const NEEDS: [Need; 4] = [
    Need::Root,
    Need::Program("ip", "iproute2"),
    Need::Program("tc", "iproute2"),
    Need::Program("nft", "nftables"),
];

/// The hosts of one network: its addresses have one byte for them, and a bridge of Linux takes 1024.
pub const HOSTS_MAX: usize = 250;

/// How the names of our namespaces begin.
const PREFIX: &str = "starling";

/// What the rate of a link may save up, in bytes: a few packets of full size.
const BURST_BYTES: u64 = 16 * 1024;

/// Networks that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A bridge and its hosts, numbered from 0. All is undone when it is dropped, and what still runs in it is killed.
pub struct Network {
    /// `starling-PROCESS-COUNT`: the namespaces begin with it.
    name: String,
    hosts: usize,
    rules: Mutex<Rules>,
    lines: Mutex<Vec<Line>>,
}

/// What went through an interface since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames, with the 14 of each Ethernet header.
    pub bytes: u64,
    /// Frames: a fragment of a datagram is one.
    pub packets: u64,
}

impl Network {
    /// A network of this many hosts, with links of MTU 1500.
    ///
    /// # Errors
    ///
    /// When this process may not make one, as in many containers.
    ///
    /// # Panics
    ///
    /// When there are more than [`HOSTS_MAX`].
    pub fn new(hosts: usize) -> Result<Self> {
        assert!(hosts <= HOSTS_MAX, "{hosts} hosts have no addresses");
        sweep();
        // Made first, so that what cannot be finished is undone.
        let network = Self { name: fresh_name(), hosts, rules: Mutex::default(), lines: Mutex::default() };
        network.add_switch()?;
        let switch = network.switch();
        for host in 0..hosts {
            let (space, port) = (network.space(host), port(host));
            add(&space)?;
            batch(
                &switch,
                &format!(
                    "link add {port} mtu 1500 type veth peer name eth0 netns {space}\n\
                     link set {port} master br0 up\n"
                ),
            )?;
            // Packets of full size and no larger ones, as they are on a wire: without it a loss takes 64 kB of TCP.
            batch(
                &space,
                &format!(
                    "link set lo up\nlink set eth0 mtu 1500 gso_max_segs 1\n\
                     addr add {}/24 dev eth0\nlink set eth0 up\nroute add 224.0.0.0/4 dev eth0\n",
                    network.address(host)
                ),
            )?;
        }
        Ok(network)
    }

    /// A network, or `None` where this process may not make one: then it says that the test is skipped, and why.
    ///
    /// # Panics
    ///
    /// When a network can be made here, but this one cannot.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub fn or_skip(hosts: usize) -> Option<Self> {
        // Root in a container may often not do what it needs; a fault of ours must not look like that.
        let trial = Self { name: fresh_name(), hosts: 0, rules: Mutex::default(), lines: Mutex::default() };
        if let Err(error) = trial.add_switch() {
            println!("skipped: this process may not make a network of hosts: {error:#}");
            return None;
        }
        Some(Self::new(hosts).expect("a network can be made where a switch can"))
    }

    /// How the names of its namespaces begin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> Ipv4Addr {
        assert!(host < self.hosts, "host {host} of {}", self.hosts);
        Ipv4Addr::new(10, 77, 0, host as u8 + 1)
    }

    /// A program as it is run on a host. It becomes the program itself: its process is the one that is started.
    pub fn command(&self, host: usize, program: impl AsRef<OsStr>) -> Command {
        assert!(host < self.hosts, "host {host} of {}", self.hosts);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(host)]).arg(program);
        command
    }

    /// Pulls a host's cable. The host sees that its link is down.
    ///
    /// # Errors
    ///
    /// When `ip` cannot do it.
    pub fn cut(&self, host: usize) -> Result<()> {
        batch(&self.switch(), &format!("link set {} down\n", port(host)))
    }

    /// Puts the cable back.
    ///
    /// # Errors
    ///
    /// When `ip` cannot do it.
    pub fn restore(&self, host: usize) -> Result<()> {
        batch(&self.switch(), &format!("link set {} up\n", port(host)))
    }

    /// Drops this many of 1,000 packets between any two hosts, by chance; for a multicast, each copy by itself.
    ///
    /// # Errors
    ///
    /// When `nft` cannot do it.
    pub fn lose(&self, permille: u32) -> Result<()> {
        self.change(|rules| rules.all = permille)
    }

    /// Drops this many of 1,000 packets that a host sends, and of those to it.
    ///
    /// # Errors
    ///
    /// When `nft` cannot do it.
    pub fn lose_of(&self, host: usize, permille: u32) -> Result<()> {
        self.change(|rules| _ = rules.of.insert(host, permille))
    }

    /// Whether the switch carries multicast. A broadcast, and so ARP, it always carries.
    ///
    /// # Errors
    ///
    /// When `nft` cannot do it.
    pub fn carry_multicast(&self, carry: bool) -> Result<()> {
        self.change(|rules| rules.no_multicast = !carry)
    }

    /// Turns multicast off at the interface of every host, as an operator does where the network has none.
    ///
    /// # Errors
    ///
    /// When `ip` cannot do it.
    pub fn multicast_off(&self) -> Result<()> {
        (0..self.hosts).try_for_each(|host| batch(&self.space(host), "link set eth0 multicast off\n"))
    }

    /// Limits a host's link to a rate, either way; what comes faster waits in a queue of this many bytes, and is
    /// dropped when that is full. So a full queue delays by `queue_bytes * 8 / bits_per_second`.
    ///
    /// # Errors
    ///
    /// When the kernel has no token bucket filter (`sch_tbf`).
    pub fn limit(&self, host: usize, bits_per_second: u64, queue_bytes: u64) -> Result<()> {
        for (space, interface) in [(self.space(host), "eth0".to_owned()), (self.switch(), port(host))] {
            let rate = format!("{bits_per_second}bit");
            let (burst, limit) = (BURST_BYTES.to_string(), queue_bytes.to_string());
            let bucket = ["rate", &rate, "burst", &burst, "limit", &limit];
            let mut tc = Command::new("tc");
            tc.args(["-n", &space, "qdisc", "replace", "dev", &interface, "root", "tbf"]).args(bucket);
            succeed(&mut tc, "")?;
        }
        Ok(())
    }

    /// Holds back all that goes to and from a host for this long, each way. It cannot be taken back, and takes the
    /// processor's time: a thread of this process carries each packet.
    ///
    /// # Errors
    ///
    /// When the kernel has no `macvtap`.
    pub fn delay(&self, host: usize, by: Millis) -> Result<()> {
        let line = Line::new(&self.switch(), &port(host), by)?;
        self.lines.lock().expect("no thread panics with it").push(line);
        Ok(())
    }

    /// What a host has sent over its link, fragments counted by themselves.
    ///
    /// # Errors
    ///
    /// When `ip` does not say it.
    pub fn sent(&self, host: usize) -> Result<Traffic> {
        self.count(host, "eth0", "tx")
    }

    /// What came to a host over its link.
    ///
    /// # Errors
    ///
    /// When `ip` does not say it.
    pub fn received(&self, host: usize) -> Result<Traffic> {
        self.count(host, "eth0", "rx")
    }

    /// What the programs of a host have sent to each other over loopback.
    ///
    /// # Errors
    ///
    /// When `ip` does not say it.
    pub fn kept(&self, host: usize) -> Result<Traffic> {
        self.count(host, "lo", "tx")
    }

    fn add_switch(&self) -> Result<()> {
        add(&self.switch())?;
        batch(&self.switch(), "link add br0 type bridge mcast_snooping 0 stp_state 0\nlink set br0 up\n")?;
        self.change(|_| ())
    }

    fn count(&self, host: usize, device: &str, way: &str) -> Result<Traffic> {
        let text = ip(&["-n", &self.space(host), "-s", "-j", "link", "show", "dev", device])?;
        let json: Value = serde_json::from_str(&text).context("what `ip -j` says")?;
        let number = |what| json[0]["stats64"][way][what].as_u64().context("`ip -s` counts");
        Ok(Traffic { bytes: number("bytes")?, packets: number("packets")? })
    }

    /// Changes what the switch drops.
    fn change(&self, change: impl FnOnce(&mut Rules)) -> Result<()> {
        let mut rules = self.rules.lock().expect("no thread panics with it");
        change(&mut rules);
        let mut nft = Command::new("ip");
        nft.args(["netns", "exec", &self.switch(), "nft", "-f", "-"]);
        succeed(&mut nft, &rules.to_string())?;
        Ok(())
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn space(&self, host: usize) -> String {
        format!("{}-host-{host}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.lines.lock().expect("no thread panics with it").clear();
        for host in 0..self.hosts {
            remove(&self.space(host));
        }
        remove(&self.switch());
    }
}

/// The switch's end of a host's link.
fn port(host: usize) -> String {
    format!("port{host}")
}

/// A name that no other network has, of this process or another.
fn fresh_name() -> String {
    format!("{PREFIX}-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Makes a namespace, without IPv6 where the kernel has it: its own packets would be counted too.
fn add(space: &str) -> Result<()> {
    ip(&["netns", "add", space])?;
    if Path::new("/proc/sys/net/ipv6").exists() {
        let off = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
        ip(&["netns", "exec", space, "sh", "-c", off])?;
    }
    Ok(())
}

/// Takes away a namespace, and ends what still runs in it.
fn remove(space: &str) {
    if let Ok(pids) = ip(&["netns", "pids", space]) {
        for pid in pids.split_whitespace() {
            let _ = succeed(Command::new("kill").args(["-KILL", pid]), "");
        }
    }
    let _ = ip(&["netns", "del", space]);
}

/// Takes away what a killed run left: namespaces whose process is gone.
fn sweep() {
    let listed = ip(&["netns", "list"]).unwrap_or_default();
    for space in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let of = space.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        let process = of.and_then(|id| id.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            remove(space);
        }
    }
}

/// Runs `ip`; what it said.
fn ip(args: &[&str]) -> Result<String> {
    succeed(Command::new("ip").args(args), "")
}

/// Runs `ip` on these lines in a namespace.
fn batch(space: &str, lines: &str) -> Result<()> {
    succeed(Command::new("ip").args(["-n", space, "-batch", "-"]), lines).map(drop)
}

/// Runs a command to its end with this input; what it said.
fn succeed(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{command:?} cannot be started"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("{command:?} does not listen"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("{command:?} cannot be waited for"))?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{command:?}: {words}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
