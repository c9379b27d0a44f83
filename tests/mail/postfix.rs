//! A private Postfix that relays all its mail to the bridge, in a folder of its own.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::UNIX_EPOCH;

use harness::bridge::free_address;
use harness::others::{Need, succeeds};
use harness::programs::{Daemon, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// What it needs. Its programs give up root for users that the package makes.
pub(crate) const NEEDS: [Need; 2] = [Need::Program("postfix", "postfix"), Need::Root];

/// The services that relaying takes. Name, kind, private, unprivileged, chroot, wake-up, processes, program.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";

/// It takes mail from this host and knows no destination but the one of `route`.
const SETTINGS: &str = "\
compatibility_level = 3.6
maillog_file = /dev/stdout
myhostname = relay.example.com
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
disable_dns_lookups = yes
in_flow_delay = 0
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
";

/// A Postfix that runs until it is dropped.
pub(crate) struct Postfix {
    folder: TempDir,
    master: Daemon,
    /// Where it takes mail by SMTP.
    pub(crate) address: SocketAddr,
}

impl Postfix {
    /// Starts one whose mail goes where the lines of `route` tell.
    pub(crate) fn start(route: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let at = |name: &str| folder.path().join(name);
        // Its programs run as a user of their own, who has to reach the folder.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["conf", "queue", "data"] {
            fs::create_dir(at(name)).unwrap();
        }
        let places = format!(
            "queue_directory = {}\ndata_directory = {}\n",
            at("queue").display(),
            at("data").display()
        );
        let files = [
            ("conf/main.cf", format!("{SETTINGS}{places}{route}\n")),
            ("conf/master.cf", format!("{address} inet n - n - - smtpd\n{SERVICES}")),
        ];
        for (name, text) in files {
            fs::write(at(name), text).unwrap();
            // Postfix waits for two seconds before it reads a file that was just written.
            File::options().write(true).open(at(name)).unwrap().set_modified(UNIX_EPOCH).unwrap();
        }
        let setting = |name| {
            let value = succeeds(Command::new("postconf").arg("-c").arg(at("conf")).args(["-h", name]));
            value.trim().to_owned()
        };
        succeeds(Command::new("chown").arg(setting("mail_owner")).arg(at("data")));
        succeeds(Command::new("postfix").arg("-c").arg(at("conf")).arg("check"));
        let master = PathBuf::from(setting("daemon_directory")).join("master");
        let mut master =
            Daemon::foreign(Command::new(master).arg("-c").arg(at("conf")).arg("-s"), &at("log"));
        let log = || fs::read_to_string(at("log")).unwrap_or_default();
        wait_until(|| log().contains("daemon started") || !master.is_running(), log);
        assert!(master.is_running(), "{}", log());
        Self { folder, master, address }
    }

    /// Gives it a mail for each number, which is what the mail tells.
    pub(crate) fn take(&self, numbers: Range<u64>) {
        let mail = |number| {
            format!(
                "MAIL FROM:<ups@example.com>\r\nRCPT TO:<telemetry@bridge.example.com>\r\nDATA\r\n\
                 Subject: status\r\n\r\nnumber={number}\r\n.\r\n"
            )
        };
        let mails: Vec<String> = numbers.map(mail).collect();
        let session = format!("EHLO localhost\r\n{}QUIT\r\n", mails.concat());
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(session.as_bytes()).unwrap();
        let mut replies = String::new();
        stream.read_to_string(&mut replies).unwrap();
        assert!(replies.contains("\n221 ") && !replies.contains("\n5"), "{replies}");
    }

    /// The mails that it still has, and in which of its queues.
    pub(crate) fn queue(&self) -> Vec<Value> {
        let listed = succeeds(Command::new("postqueue").arg("-c").arg(self.conf()).arg("-j"));
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Tries again now whatever could not be delivered.
    pub(crate) fn flush(&self) {
        succeeds(Command::new("postqueue").arg("-c").arg(self.conf()).arg("-f"));
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("conf")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // It leads a process group with all its programs, who would outlive it for a while.
        let group = format!("-{}", self.master.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    }
}
