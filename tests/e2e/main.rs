//! The programs as an operator runs them, over real DDS on loopback.

#![expect(clippy::print_stdout, reason = "a test that is skipped says so, and how long things took")]

mod alarms;
mod certificates;
mod contract;
mod drain;
mod evaluation;
mod fleet;
mod flood;
mod join;
mod kill;
mod operator;
mod orders;
mod registry;
mod rest;
mod roster;
mod rotation;
mod runs;
mod session;
mod simulated;
mod suite;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::units::Millis;
use harness::programs::{Daemon, are_built, complaint, edit, fleet, program, run, run_config, wait_until};

const METRICS: [&str; 3] = ["zz_secret_metric_alpha", "zz_secret_metric_beta", "zz_secret_metric_gamma"];

/// A value whose bytes and digits occur nowhere by chance.
const MARKED: f32 = 7_351.197;

/// Telemetry with a rhythm; every fiftieth value is the marked one.
fn value(row: usize, column: usize) -> f32 {
    if row.is_multiple_of(50) { MARKED } else { ((row * (column + 3)) as f32 / 17.0).sin() * 10.0 }
}

/// `tcpdump` on loopback into a file, when it is there and may listen.
fn capture(file: &Path) -> Option<Child> {
    let args = ["-i", "lo", "-U", "-s", "0", "-B", "65536", "-w"];
    let mut dump =
        Command::new("tcpdump").args(args).arg(file).arg("udp").stderr(Stdio::piped()).spawn().ok()?;
    // Its first line says that it listens, or why it cannot.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(dump.stderr.take()?), &mut first).ok()?;
    first.contains("listening").then_some(dump)
}

/// A domain that no other test of this run joins, by the test's number, which is below 25: those up to 100, whose ports
/// Linux gives to nobody who asks for any.
fn domain(test: u16) -> u16 {
    26 + test * 3 + (std::process::id() % 3) as u16
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_run_ends_on_every_node_and_nothing_of_it_is_on_the_wire_in_the_clear() {
    if !are_built() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let domain = domain(0);
    fleet(dir, domain, &METRICS, value);
    let folder = |name: &str| dir.join(name).display().to_string();
    let log = |name: &str| dir.join(format!("{name}.log"));
    let capture_file = dir.join("loopback.pcap");
    let dump = capture(&capture_file);
    let coordinator =
        Daemon::start("coordinator", &["--dir", &folder("coordinator"), "serve"], &log("coordinator"));
    let nodes =
        ["node-1", "node-2"].map(|name| Daemon::start("node", &["--dir", &folder(name), "run"], &log(name)));
    // Garbage at every port that a participant of this domain may have (RTPS 2.5, section 9.6.2).
    let garbage = UdpSocket::bind("127.0.0.1:0").unwrap();
    let base = 7400 + 250 * domain;
    for port in (0..30).map(|offset| base + offset) {
        for bytes in [&b"garbage"[..], b"RTPS\x02\x03\x01\x12 and then nonsense", &[0xff; 1400]] {
            let _ = garbage.send_to(bytes, ("127.0.0.1", port));
        }
    }
    let config = run_config(dir, 3, &METRICS).display().to_string();
    let coordinator_folder = folder("coordinator");
    let start = ["--dir", &coordinator_folder, "run", "start", "--config", &config];
    // The socket is there a moment after the process: asking again is what an operator would do.
    let started = (0..200).map(|_| run("coordinator", &start)).find(|output| output.status.success());
    assert!(started.is_some(), "the run starts");
    let watched = run("coordinator", &["--dir", &coordinator_folder, "run", "watch", "--format", "jsonl"]);
    let logs =
        || ["coordinator", "node-1", "node-2"].map(|name| fs::read_to_string(log(name)).unwrap()).join("\n");
    assert!(watched.status.success(), "{}\n{}", String::from_utf8_lossy(&watched.stderr), logs());
    let last = String::from_utf8(watched.stdout).unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("\"status\":\"finished\"") && last.contains("\"rounds_done\":3"), "{last}");
    let exported = dir.join("model.safetensors");
    let export =
        ["--dir", &coordinator_folder, "model", "export", "--output", &exported.display().to_string()];
    assert!(run("coordinator", &export).status.success());
    let model = fs::read(&exported).unwrap();
    let until = edge::now() + Millis(60_000);
    let kept = |name: &&str| dir.join(name).join("model/run.json").exists();
    while !["node-1", "node-2"].iter().all(kept) {
        assert!(edge::now() < until, "the nodes keep the model: {}", logs());
        std::thread::yield_now();
    }
    for node in nodes {
        assert!(node.stop(), "SIGTERM ends a node cleanly: {}", logs());
    }
    assert!(coordinator.stop(), "SIGTERM ends the coordinator cleanly: {}", logs());

    check_capture(dump, &capture_file, &model);
}

/// Nothing of the run is in the capture: no metric name, no telemetry value, no parameter.
fn check_capture(dump: Option<Child>, file: &Path, model: &[u8]) {
    let Some(mut dump) = dump else {
        println!("skipped: tcpdump is not there or may not listen, so nothing was captured");
        return;
    };
    Command::new("kill").arg(dump.id().to_string()).status().expect("`kill` is there");
    dump.wait().expect("tcpdump ends");
    let wire = fs::read(file).expect("tcpdump wrote it");
    assert!(wire.len() > 50_000, "{} bytes were captured", wire.len());
    for metric in METRICS {
        assert!(!holds(&wire, metric.as_bytes()), "{metric} is on the wire");
    }
    assert!(!holds(&wire, b"zz_secret") && !holds(&wire, b"7351.197"));
    let marked = [MARKED.to_le_bytes(), MARKED.to_be_bytes()];
    assert!(!marked.iter().any(|bytes| holds(&wire, &[bytes[..].to_vec(), bytes[..].to_vec()].concat())));
    // Any four neighbouring parameters of the model.
    for parameters in model[model.len() - 16 * 40..].chunks_exact(16) {
        assert!(!holds(&wire, parameters), "parameters are on the wire");
    }
}

#[test]
fn a_process_that_is_killed_or_stopped_is_known_by_its_end_or_its_silence_and_comes_back() {
    if !are_built() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fleet(dir, domain(1), &METRICS, value);
    let folder = |name: &str| dir.join(name).display().to_string();
    let log = |name: &str| dir.join(format!("{name}.log"));
    let node = |name: &str| Daemon::start("node", &["--dir", &folder(name), "run"], &log(name));
    let coordinator =
        Daemon::start("coordinator", &["--dir", &folder("coordinator"), "serve"], &log("coordinator"));
    let said = || fs::read_to_string(log("coordinator")).unwrap();
    let until = |so: &dyn Fn(&str) -> bool| wait_until(|| so(&said()), said);
    let (killed, stopped) = (node("node-1"), node("node-2"));
    until(&|said| said.contains("node node-1 is there") && said.contains("node node-2 is there"));
    // The tether is tied when both have heard each other, a moment later.
    let connected = |name: &str| fs::read_to_string(log(name)).unwrap().contains("connected to coordinator");
    wait_until(|| connected("node-1") && connected("node-2"), said);

    let began = edge::now();
    drop(killed);
    until(&|said| said.contains("node node-1 is away: its process ended"));
    println!("killed: known after {}", edge::now().since(began));
    let began = edge::now();
    let again = node("node-1");
    until(&|said| said.matches("node node-1 is there").count() == 2);
    println!("started again: back after {}", edge::now().since(began));

    let began = edge::now();
    let signal = |name: &str| {
        let id = stopped.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    };
    signal("STOP");
    until(&|said| said.contains("node node-2 is away: not heard for 2.5 s"));
    println!("stopped: known after {}", edge::now().since(began));
    let began = edge::now();
    signal("CONT");
    until(&|said| said.matches("node node-2 is there").count() == 2);
    println!("continued: back after {}", edge::now().since(began));

    assert!(again.stop());
    until(&|said| said.contains("node node-1 is away: it was stopped"));
    assert!(coordinator.stop());
}

#[test]
fn wrong_files_are_refused_with_one_line_that_names_them() {
    if !are_built() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fleet(dir, 99, &METRICS, value);
    let folder = |name: &str| dir.join(name).display().to_string();
    let one_line = |text: String, words: &[&str]| {
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    let serve = |name: &str| complaint(&run("coordinator", &["--dir", &folder(name), "serve"]));
    let node_run = |name: &str| complaint(&run("node", &["--dir", &folder(name), "run"]));

    let config = dir.join("coordinator/coordinator.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("surprise = 1\n{text}")).unwrap();
    one_line(serve("coordinator"), &["coordinator.toml", "line 1", "surprise"]);
    fs::write(&config, text).unwrap();

    edit(&dir.join("coordinator/roster"), |text| text.replace("node node-1", "node web-1"));
    one_line(serve("coordinator"), &["roster", "the signature is not the operator's"]);

    fs::write(dir.join("node-1/operator.pub"), "not a key\n").unwrap();
    one_line(node_run("node-1"), &["operator.pub", "66 hex digits"]);
    fs::remove_file(dir.join("node-2/identity.pem")).unwrap();
    one_line(node_run("node-2"), &["identity.pem is missing", "`node init`"]);

    one_line(
        complaint(&run("coordinator", &["--dir", &folder("coordinator"), "run", "watch"])),
        &["no coordinator answers"],
    );
    one_line(
        complaint(&run("node", &["--dir", &folder("node-1"), "score", "nothing.csv"])),
        &["run.json is missing"],
    );
    assert!(program("node").is_some());
}
