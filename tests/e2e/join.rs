//! Joining in two commands: a token from the coordinator, and a node that asks with it, over a port where others misbehave.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;

use coordinator::view::{InstalledRoster, IssuedToken, NodeView, TokenStatus, TokenView};
use harness::programs::{Daemon, complaint, edit, run};

use crate::fleet::Fleet;
use crate::operator::Operator;

/// The number of the tests, which chooses their domain.
const TEST: u16 = 14;

/// A coordinator with one node, at whose host others may join.
struct Site {
    operator: Operator,
    port: u16,
}

impl Site {
    /// `more` stands in the section [join] as well.
    fn new(more: &str) -> Option<Self> {
        let fleet = Fleet::of(&["node-1"], TEST, 1)?;
        let port = listen(&fleet, more);
        Some(Self { operator: Operator(fleet), port })
    }

    fn token(&self, words: &[&str]) -> IssuedToken {
        let create = [&["token", "create", "--format", "json"], words].concat();
        serde_json::from_str(&self.operator.ask(&create)).expect("it is a token")
    }

    /// Joins with a token, from a file; however that ends.
    fn join(&self, name: &str, token: &IssuedToken, more: &[&str]) -> Output {
        let file = self.operator.0.at("ticket");
        let token = token.token.as_deref().expect("it was made");
        fs::write(&file, format!("{token}@127.0.0.1:{}\n", self.port)).expect("it can be written");
        let (folder, file) = (self.operator.0.at(name).display().to_string(), file.display().to_string());
        run(
            "node",
            &[&["--dir", &folder, "join", "--token-file", &file, "--interface", "127.0.0.1"], more].concat(),
        )
    }

    fn joins(&self, name: &str, token: &IssuedToken, more: &[&str]) -> String {
        let joined = self.join(name, token, &[&["--name", name], more].concat());
        assert!(joined.status.success(), "{}\n{}", complaint_of(&joined), self.operator.0.logs());
        String::from_utf8(joined.stdout).expect("a line is text").trim().to_owned()
    }

    /// Runs a node that has joined, with the telemetry of the first one.
    fn start(&self, name: &str) -> Daemon {
        let at = |name: &str| self.operator.0.at(name);
        let telemetry = at("node-1/train.csv").display().to_string();
        let source = format!("[[source]]\nkind = \"csv\"\npath = {telemetry:?}");
        edit(&at(&format!("{name}/node.toml")), |text| text.replace("[[source]]\nkind = \"host\"", &source));
        Daemon::start("node", &["--dir", &at(name).display().to_string(), "run"], &at(&format!("{name}.log")))
    }

    fn listed(&self) -> Vec<NodeView> {
        serde_json::from_str(&self.operator.ask(&["node", "list", "--format", "json"])).expect("it is a list")
    }

    fn tokens(&self) -> Vec<TokenView> {
        serde_json::from_str(&self.operator.ask(&["token", "list", "--format", "json"]))
            .expect("it is a list")
    }

    /// Connections that say nothing, and others that say what is no request; all stay open.
    fn misbehave(&self) -> Vec<TcpStream> {
        let connect = |bytes: &[u8]| {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the port is open");
            // Whom the coordinator has hung up on already has said enough.
            let _ = stream.write_all(bytes);
            stream
        };
        let noise = (0..100_u8).map(|number| vec![number; 200]);
        let half = std::iter::repeat_n([&[100, 0, 0, 0][..], b"STRJ"].concat(), 20);
        let silent = std::iter::repeat_n(Vec::new(), 20);
        noise.chain(half).chain(silent).map(|bytes| connect(&bytes)).collect()
    }
}

/// Has the coordinator of a fleet listen for nodes that join, from its next start on; returns the port.
pub(crate) fn listen(fleet: &Fleet, more: &str) -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    let port = free.expect("a port is free").port();
    let join = format!("[join]\nlisten = \"127.0.0.1:{port}\"\n{more}\n[custody]");
    edit(&fleet.at("coordinator/coordinator.toml"), |text| text.replace("[custody]", &join));
    port
}

fn complaint_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn key_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("identity.pub")).expect("it has a key").trim().to_owned()
}

#[test]
fn a_node_joins_with_a_token_while_a_run_goes_on_and_no_other_node_is_touched() {
    let Some(site) = Site::new("") else { return };
    let operator = &site.operator;
    let unserved = run("coordinator", &["--dir", &operator.0.folder(), "token", "create"]);
    assert_eq!(unserved.status.code(), Some(6), "{}", complaint(&unserved));
    let _coordinator = operator.0.serve(&[]);
    operator.0.until(|| operator.node("node-1").present);
    let long = operator.start_small("long", 1_000_000, 5);
    operator.until(&long, |run| run.rounds_done >= 1);

    let _others = site.misbehave();
    let token = site.token(&["--label", "rack=A", "--names", "web-*", "--tenant", "default"]);
    let refused = complaint(&site.join("db-1", &token, &["--name", "db-1"]));
    assert!(refused.contains("the token is for nodes named \"web-*\"; choose such a name"), "{refused}");
    let said = site.joins("web-1", &token, &["--label", "zone=eu"]);
    let (first, id) = said.rsplit_once(' ').expect("two words and an id");
    assert_eq!(first, "waiting web-1");
    let waits = site.listed().into_iter().find(|node| node.name == "web-1").expect("it is listed");
    assert_eq!(
        (waits.node.as_str(), waits.activity.as_str(), waits.labels["zone"].as_str()),
        (id, "waits", "eu")
    );
    assert_eq!(waits.waiting.expect("it waits").key, key_of(&operator.0.at("web-1")));
    operator.0.until(|| operator.0.said().contains("it waits for approval as `web-1`"));
    let waits_on = site.join("web-1", &token, &["--wait", "1s"]);
    assert_eq!(waits_on.status.code(), Some(4), "{}", complaint(&waits_on));

    // Its daemon may run before anybody has approved it.
    let _web = site.start("web-1");
    operator
        .0
        .until(|| operator.0.heard("web-1").contains("this node is in no round: it is not on the roster"));
    let approve = ["node", "approve", &id[..12], "--format", "json"];
    let done: InstalledRoster = serde_json::from_str(&operator.ask(&approve)).expect("it is a roster");
    assert_eq!((done.approved, done.nodes), (vec!["web-1".to_owned()], 2));
    operator.0.until(|| operator.node("web-1").present);
    let labels = operator.node("web-1").labels;
    assert_eq!((labels["rack"].as_str(), labels["zone"].as_str()), ("A", "eu"));
    let next = operator.view(&long).rounds_done + 2;
    assert_eq!(operator.selected(&long, next), ["node-1", "web-1"]);
    assert_eq!(site.listed().len(), 2, "nobody waits any more");

    // A lost answer locks nobody out; another machine has no use for the token.
    assert_eq!(site.joins("web-1", &token, &[]), format!("admitted web-1 {id}"));
    let used = complaint(&site.join("web-2", &token, &["--name", "web-2"]));
    assert!(used.contains("another machine has used the token"), "{used}");
    let listed = site.tokens();
    assert_eq!(
        (listed.len(), listed[0].status, listed[0].used_by.as_deref()),
        (1, TokenStatus::Used, Some(id))
    );
    let back = site.token(&[]);
    operator.ask(&["token", "revoke", back.id.as_deref().expect("it was made")]);
    let revoked = complaint(&site.join("web-2", &back, &["--name", "web-2"]));
    assert!(revoked.contains("the token was taken back"), "{revoked}");
    let dry = site.token(&["--dry-run"]);
    assert!(dry.token.is_none() && site.tokens().len() == 2);

    // The operator need not take whoever has a token.
    let third = site.token(&[]);
    assert!(site.joins("web-3", &third, &[]).starts_with("waiting web-3 "));
    operator.ask(&["node", "revoke", "web-3"]);
    let dismissed = complaint(&site.join("web-3", &third, &[]));
    assert!(dismissed.contains("the operator did not approve this node"), "{dismissed}");
}

#[test]
fn a_coordinator_that_approves_by_itself_lets_in_who_has_a_token_and_a_folder_of_another_operator_is_left_alone()
 {
    let Some(site) = Site::new("approve = \"operator\"") else { return };
    let operator = &site.operator;
    let coordinator = operator.0.serve(&[]);
    assert!(operator.0.said().contains("this machine can let in whom it likes"));
    let token = site.token(&["--label", "rack=A"]);
    assert!(token.approves);
    let said = site.joins("web-1", &token, &["--label", "rack=B", "--label", "zone=eu"]);
    assert!(said.starts_with("admitted web-1 "), "{said}");
    let _web = site.start("web-1");
    operator.0.until(|| operator.node("web-1").present);
    let labels = operator.node("web-1").labels;
    assert_eq!((labels.len(), labels["rack"].as_str()), (1, "A"), "labels are the token's");

    // What was issued is there after a restart, and is good only here.
    let next = site.token(&[]);
    assert!(coordinator.stop());
    let _coordinator = operator.0.serve(&[]);
    assert!(site.joins("web-2", &next, &[]).starts_with("admitted web-2 "));
    let taken = site.token(&[]);
    let same = complaint(&site.join("web-3", &taken, &["--name", "web-2"]));
    assert!(same.contains("another node has this name"), "{same}");
    let pinned = operator.0.at("web-2/operator.pub");
    fs::write(&pinned, format!("{}\n", key_of(&operator.0.at("web-1")))).unwrap();
    let other = complaint(&site.join("web-2", &taken, &[]));
    assert!(other.contains("this folder is another operator's than the token"), "{other}");
}

#[test]
fn a_node_that_is_let_in_has_its_certificate_at_once_and_when_that_has_ended_another_token_lets_it_in_again()
{
    let Some(site) = Site::new("approve = \"operator\"") else { return };
    let operator = &site.operator;
    edit(&operator.0.at("coordinator/coordinator.toml"), |text| text.replace("604_800", "5"));
    let _coordinator = operator.0.serve(&[]);
    let token = site.token(&[]);
    let admitted = site.joins("web-1", &token, &[]);
    let chain = || fs::read_to_string(operator.0.at("web-1/certificate.pem")).expect("it has one");
    let first = chain();
    assert_eq!(first.matches("BEGIN CERTIFICATE").count(), 2, "{first}");

    // It does not run, so nobody renews it.
    operator.0.until(|| operator.node("web-1").activity == "expired");
    let refused = complaint(&site.join("web-1", &token, &[]));
    assert!(refused.contains("the certificate of this node ended: ask the operator"), "{refused}");
    assert_eq!(chain(), first);
    assert_eq!(site.joins("web-1", &site.token(&[]), &[]), admitted);
    assert_ne!(chain(), first);
}
