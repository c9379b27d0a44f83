//! Cyclone DDS, from C: its program is compiled where it runs, with what the system has.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::crew::Program;
use crate::part::Part;

const SOURCE: &str = include_str!("cyclone/transfer.c");
const IDL: &str = include_str!("cyclone/blob.idl");

/// How to get what is missing.
const NEEDS: &str = "Cyclone DDS is left out: it needs `idlc`, headers and `cc` (apt-get install cyclonedds-dev \
                     cyclonedds-tools gcc)";

/// Compiles the program into a folder.
///
/// # Errors
///
/// With how to get what is missing.
pub(crate) fn build(dir: &Path) -> Result<Program> {
    std::fs::write(dir.join("blob.idl"), IDL)?;
    std::fs::write(dir.join("transfer.c"), SOURCE)?;
    call(dir, "idlc", &["blob.idl"]).context(NEEDS)?;
    let options = ["-O2", "-I.", "-o", "transfer", "transfer.c", "blob.c", "-lddsc"];
    call(dir, "cc", &options).context(NEEDS)?;
    Ok(Program { path: dir.join("transfer").into(), args: Vec::new(), environment })
}

fn call(dir: &Path, program: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.current_dir(dir).args(args).stdin(Stdio::null());
    let output = command.output().with_context(|| program.to_owned())?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Its configuration: the address of the place, and on loopback, which has no multicast, the peers. The rest is as
/// it comes.
fn environment(part: &Part) -> Vec<(&'static str, String)> {
    let interfaces = format!(
        "<General><Interfaces><NetworkInterface address=\"{}\"/></Interfaces></General>",
        part.address
    );
    let discovery = if part.address.is_loopback() {
        "<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>\
         <Peers><Peer Address=\"127.0.0.1\"/></Peers></Discovery>"
    } else {
        ""
    };
    let tracing = "<Tracing><Verbosity>none</Verbosity></Tracing>";
    let config = format!("<CycloneDDS><Domain>{interfaces}{discovery}{tracing}</Domain></CycloneDDS>");
    vec![("CYCLONEDDS_URI", config)]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn peers_are_named_only_where_there_is_no_multicast() {
        let part =
            |address| Part { sends: true, index: 0, senders: 1, receivers: 1, bytes: 1, address, domain: 0 };
        let config = |address| environment(&part(address)).remove(0).1;
        assert!(config(Ipv4Addr::LOCALHOST).contains("<Peer "));
        let elsewhere = config(Ipv4Addr::new(192, 0, 2, 1));
        assert!(elsewhere.contains("192.0.2.1") && !elsewhere.contains("<Peer "), "{elsewhere}");
    }
}
