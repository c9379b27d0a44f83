//! What the switch drops, as a ruleset of nftables.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::port;

/// What the switch drops. Written out it is input of `nft -f`, which puts it into force at once.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Of 1,000 packets between any two hosts.
    pub all: u32,
    /// Of 1,000 packets to and from a host.
    pub of: BTreeMap<usize, u32>,
    /// Whether the network has no multicast.
    pub no_multicast: bool,
}

impl Display for Rules {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let chance = |permille: u32| format!("numgen random mod 1000 < {permille} counter drop");
        // The first line makes a table that can be deleted in any case.
        writeln!(out, "table bridge switch {{}}\ndelete table bridge switch\ntable bridge switch {{")?;
        writeln!(out, "chain forward {{\ntype filter hook forward priority 0; policy accept;")?;
        if self.no_multicast {
            writeln!(out, "ip daddr 224.0.0.0/4 counter drop")?;
        }
        if self.all > 0 {
            writeln!(out, "{}", chance(self.all))?;
        }
        for (host, permille) in self.of.iter().filter(|(_, permille)| **permille > 0) {
            let port = port(*host);
            writeln!(out, "iifname {port} {0}\noifname {port} {0}", chance(*permille))?;
        }
        writeln!(out, "}}\n}}")
    }
}
