//! `logger` of util-linux, and rsyslog as the forwarder of a host.

use std::process::Command;

use harness::bridge::{Bridge, sums};
use harness::others::Need::Program;
use harness::others::{are_here, succeeds};
use harness::programs::{Daemon, wait_until};

/// The package differs from system to system; most have it from the start.
const LOGGER: harness::others::Need = Program("logger", "bsdutils");

/// A bridge for whoever is on this host: over TCP, and over UDP at the same port.
fn syslog_bridge() -> Bridge {
    Bridge::new(1, |bridge| {
        let address = bridge.addresses[0].to_string();
        format!(
            "[syslog]\nlisten_tcp = [{address:?}]\nlisten_udp = [{address:?}]\ntenant = \"acme\"\n\
             trusted_networks = [\"127.0.0.0/8\"]"
        )
    })
}

/// Waits until so many messages were counted: over UDP and syslog's TCP nobody says that one has come.
fn wait_for(bridge: &Bridge, messages: usize) {
    let counted = || -> f64 {
        let records = bridge.records();
        let counts = records.iter().filter_map(|record| record["values"].as_object()).flatten();
        counts.filter_map(|(_, count)| count.as_f64()).sum()
    };
    wait_until(|| counted() as usize >= messages, || format!("{} messages\n{}", counted(), bridge.log()));
}

/// A file with so many lines, each of them a message.
fn lines(bridge: &Bridge, count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|line| format!("message {line}: Lüfter läuft\n")).collect();
    bridge.write("messages", &lines.concat()).display().to_string()
}

#[test]
fn logger_is_counted_over_udp_and_tcp_in_both_formats() {
    if !are_here(&[LOGGER]) {
        return;
    }
    let bridge = syslog_bridge();
    let daemon = bridge.start();
    let port = bridge.addresses[0].port().to_string();
    let ways: [(&[&str], &str); 5] = [
        (&["--udp", "--rfc5424"], "crit"),
        (&["--udp", "--rfc3164"], "err"),
        (&["--tcp", "--rfc5424"], "warning"),
        (&["--tcp", "--rfc3164"], "notice"),
        (&["--tcp", "--rfc5424", "--octet-count"], "info"),
    ];
    for (count, (way, severity)) in (1..).zip(ways) {
        let mut logger = Command::new("logger");
        logger.args(["--server", "127.0.0.1", "--port", &port, "--file", &lines(&bridge, count)]);
        succeeds(logger.args(way).args(["--priority", &format!("daemon.{severity}")]));
    }
    wait_for(&bridge, 1 + 2 + 3 + 4 + 5);
    assert!(daemon.stop(), "{}", bridge.log());
    // All of them are of this host, by whatever name it goes.
    let records = bridge.records();
    let host = records[0]["source"].as_str().unwrap_or_default();
    assert!(records.iter().all(|record| record["source"] == host), "{records:?}");
    let (udp, tcp) = ([("syslog.crit", 1.0), ("syslog.err", 2.0)], [("syslog.warning", 3.0)]);
    let more = [("syslog.notice", 4.0), ("syslog.info", 5.0)];
    assert_eq!(bridge.sums(host), sums(&[&udp[..], &tcp, &more].concat()));
}

#[test]
fn rsyslog_forwards_over_tcp_with_octet_counts_and_over_udp() {
    if !are_here(&[LOGGER, Program("rsyslogd", "rsyslog")]) {
        return;
    }
    let bridge = syslog_bridge();
    let daemon = bridge.start();
    let (port, socket) = (bridge.addresses[0].port(), bridge.file("socket"));
    let to = format!("action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\"");
    let config = format!(
        "global(localHostname=\"rack-7\" workDirectory=\"{folder}\")\n\
         module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{socket}\" CreatePath=\"off\")\n\
         daemon.* {to} protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\")\n\
         user.* {to} protocol=\"udp\" template=\"RSYSLOG_TraditionalForwardFormat\")\n",
        folder = bridge.file("").display(),
        socket = socket.display(),
    );
    let config = bridge.write("rsyslog.conf", &config);
    let mut rsyslogd = Command::new("rsyslogd");
    rsyslogd.arg("-n").arg("-f").arg(config).arg("-i").arg(bridge.file("rsyslogd.pid"));
    let said = bridge.file("rsyslog.log");
    let mut rsyslog = Daemon::foreign(&mut rsyslogd, &said);
    let why = || std::fs::read_to_string(&said).unwrap_or_default();
    wait_until(|| socket.exists() || !rsyslog.is_running(), why);
    assert!(rsyslog.is_running(), "{}", why());
    for (count, priority) in [(50, "daemon.err"), (20, "user.warning")] {
        let mut logger = Command::new("logger");
        logger.args(["--file", &lines(&bridge, count), "--priority", priority]);
        succeeds(logger.arg("--socket").arg(&socket));
    }
    wait_for(&bridge, 70);
    drop(rsyslog);
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(bridge.sums("rack-7"), sums(&[("syslog.err", 50.0), ("syslog.warning", 20.0)]));
}
