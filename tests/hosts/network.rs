//! Hosts reach each other, and do not when the network says so.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use common::units::Millis;
use harness::network::{NEEDS, Network};
use harness::others::{Need, are_here, succeeds};
use harness::programs::{Daemon, wait_until};

/// Says back what it hears, in a group and to itself.
const ECHO: &str = "
import socket, struct, sys
talk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talk.bind(('', 5000))
group = socket.inet_aton('239.255.0.1') + socket.inet_aton(sys.argv[1])
talk.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
print('ready', flush=True)
while True:
    words, sender = talk.recvfrom(65536)
    talk.sendto(words, sender)
";

/// Sends so many datagrams of so many bytes to an address, each when the one before is answered or lost; says how
/// many came back, and how long the fastest took in milliseconds.
const ASK: &str = "
import socket, sys, time
talk = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
talk.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[2]))
talk.settimeout(float(sys.argv[5]))
back, fastest = 0, 1e9
for number in range(int(sys.argv[3])):
    words = str(number).encode().ljust(int(sys.argv[4]))
    sent = time.monotonic()
    try:
        talk.sendto(words, (sys.argv[1], 5000))
        while talk.recvfrom(65536)[0] != words:
            pass
        back += 1
        fastest = min(fastest, time.monotonic() - sent)
    except OSError:
        pass
print(back, round(fastest * 1000))
";

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 0, 1);

/// A network whose last host answers on port 5000, alone and in [`GROUP`].
struct Echo {
    network: Network,
    _daemon: Daemon,
}

/// What came back to host 0.
struct Back {
    count: usize,
    fastest_ms: u64,
}

impl Echo {
    fn new(hosts: usize) -> Option<Self> {
        let needs = [NEEDS.as_slice(), &[Need::Program("python3", "python3")]].concat();
        if !are_here(&needs) {
            return None;
        }
        let network = Network::or_skip(hosts)?;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut echo = network.command(hosts - 1, "python3");
        echo.args(["-c", ECHO, &network.address(hosts - 1).to_string()]);
        let daemon = Daemon::foreign(&mut echo, &log);
        let said = || fs::read_to_string(&log).unwrap();
        wait_until(|| said().contains("ready"), said);
        Some(Self { network, _daemon: daemon })
    }

    fn ask(&self, address: Ipv4Addr, count: usize, bytes: usize, patience_seconds: f32) -> Back {
        let mut ask = self.network.command(0, "python3");
        let from = self.network.address(0).to_string();
        let (count, bytes, patience) = (count.to_string(), bytes.to_string(), patience_seconds.to_string());
        ask.args(["-c", ASK, &address.to_string(), &from, &count, &bytes, &patience]);
        let said = succeeds(&mut ask);
        let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Back { count: numbers[0] as usize, fastest_ms: numbers[1] }
    }

    fn last(&self) -> Ipv4Addr {
        self.network.address(self.network.hosts() - 1)
    }
}

#[test]
fn hosts_hear_each_other_alone_and_in_a_group() {
    let Some(echo) = Echo::new(3) else { return };
    for address in [echo.last(), GROUP] {
        let before = echo.network.sent(0).unwrap();
        assert_eq!(echo.ask(address, 10, 3000, 5.0).count, 10);
        let after = echo.network.sent(0).unwrap();
        // 3,000 bytes and a header of UDP are three packets of MTU 1500, perhaps with an ARP before.
        let (packets, bytes) = (after.packets - before.packets, after.bytes - before.bytes);
        assert!((30..35).contains(&packets), "{packets}");
        assert!((30_000..33_000).contains(&bytes), "{bytes}");
    }
    echo.network.carry_multicast(false).unwrap();
    assert_eq!(echo.ask(GROUP, 1, 10, 0.2).count, 0);
    assert_eq!(echo.ask(echo.last(), 1, 10, 5.0).count, 1);
}

#[test]
fn a_cut_link_carries_nothing_until_it_is_restored() {
    let Some(echo) = Echo::new(2) else { return };
    echo.network.cut(1).unwrap();
    assert_eq!(echo.ask(echo.last(), 1, 10, 0.2).count, 0);
    echo.network.restore(1).unwrap();
    wait_until(|| echo.ask(echo.last(), 1, 10, 0.2).count == 1, || "it is still cut".to_owned());
    assert_eq!(echo.ask(GROUP, 1, 10, 5.0).count, 1, "it is still in its group");
}

#[test]
fn a_share_of_the_packets_is_lost() {
    let Some(echo) = Echo::new(2) else { return };
    assert_eq!(echo.ask(echo.last(), 1, 10, 5.0).count, 1, "ARP before the loss");
    echo.network.lose(200).unwrap();
    let all = echo.ask(echo.last(), 300, 10, 0.02).count;
    echo.network.lose(0).unwrap();
    echo.network.lose_of(1, 200).unwrap();
    let one = echo.ask(echo.last(), 300, 10, 0.02).count;
    // 0.8 of 0.8; more than six standard deviations to either side.
    for back in [all, one] {
        assert!((140..245).contains(&back), "{all} {one}");
    }
    echo.network.lose_of(1, 0).unwrap();
    assert_eq!(echo.ask(echo.last(), 50, 10, 5.0).count, 50);
}

#[test]
fn a_long_cable_and_a_slow_one_hold_packets_back() {
    let Some(echo) = Echo::new(2) else { return };
    assert!(echo.ask(echo.last(), 10, 3000, 5.0).fastest_ms < 40);
    echo.network.delay(1, Millis(20)).unwrap();
    for address in [echo.last(), GROUP] {
        let back = echo.ask(address, 10, 3000, 5.0);
        assert!(back.count == 10 && back.fastest_ms >= 40, "{} {} ms", back.count, back.fastest_ms);
    }
    // 50 kB there and back at 8 Mbit/s: 100 ms, less what the bucket saved up.
    echo.network.limit(0, 8_000_000, 100_000).unwrap();
    assert!(echo.ask(echo.last(), 2, 50_000, 5.0).fastest_ms >= 40 + 50);
}

#[test]
fn networks_with_the_same_addresses_stand_side_by_side_and_leave_nothing() {
    let (Some(one), Some(other)) = (Echo::new(2), Echo::new(2)) else { return };
    assert_eq!(one.last(), other.last());
    one.network.cut(1).unwrap();
    assert_eq!(one.ask(one.last(), 1, 10, 0.2).count, 0);
    assert_eq!(other.ask(other.last(), 1, 10, 5.0).count, 1);
    let listed = || succeeds(Command::new("ip").args(["netns", "list"]));
    let name = one.network.name().to_owned();
    assert!(listed().contains(&name));
    drop(one);
    assert!(!listed().contains(&name));
}
