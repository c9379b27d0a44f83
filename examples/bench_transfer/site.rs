//! Where the processes run: all on one host, or each on its own.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::process::Command;

use anyhow::{Context, Result};
use examples::free_domain;
use examples::usage::interface_bytes;
use harness::network::Network;

use crate::cell::{Pattern, Wire};

/// The most processes of a pattern.
const HOSTS: usize = 9;

/// Hosts, and what lies between them.
pub(crate) struct Site {
    wire: Wire,
    /// None where there is only this machine's own loopback.
    network: Option<Network>,
}

impl Site {
    /// Makes the hosts. A loopback of its own counts nobody else's bytes; where it cannot be had, the machine's
    /// serves.
    ///
    /// # Errors
    ///
    /// When there is more than one host, and this process may not make them.
    pub(crate) fn new(wire: Wire) -> Result<Self> {
        let network = match wire {
            Wire::Loopback => Network::new(1).ok(),
            Wire::Mtu1500 => {
                Some(Network::new(HOSTS).context("hosts need root, `ip` (iproute2) and `nft` (nftables)")?)
            }
        };
        Ok(Self { wire, network })
    }

    /// A program, as it is run at a place.
    pub(crate) fn command(&self, place: usize, program: &OsStr) -> Command {
        match &self.network {
            Some(network) => network.command(self.host(place), program),
            None => Command::new(program),
        }
    }

    /// Where a place is reached by the others.
    pub(crate) fn address(&self, place: usize) -> Ipv4Addr {
        match &self.network {
            Some(network) if self.wire == Wire::Mtu1500 => network.address(place),
            _ => Ipv4Addr::LOCALHOST,
        }
    }

    /// A domain that nobody else uses, as far as that can be known.
    pub(crate) fn domain(&self) -> u16 {
        if self.network.is_some() { 0 } else { free_domain() }
    }

    /// Lets this many of a hundred packets between two hosts be lost.
    pub(crate) fn lose(&self, percent: u32) -> Result<()> {
        match &self.network {
            Some(network) if self.wire == Wire::Mtu1500 => network.lose(percent * 10),
            _ => Ok(()),
        }
    }

    /// Bytes that these processes, of which there is one at each place, have put on the wire so far.
    pub(crate) fn sent_bytes(&self, processes: &[u32], senders: Range<usize>) -> Result<u64> {
        match self.wire {
            // There is one loopback for all of them.
            Wire::Loopback => interface_bytes(processes[0], "lo"),
            Wire::Mtu1500 => processes[senders].iter().map(|process| interface_bytes(*process, "eth0")).sum(),
        }
    }

    fn host(&self, place: usize) -> usize {
        match self.wire {
            Wire::Loopback => 0,
            Wire::Mtu1500 => place,
        }
    }
}

const _: () = assert!(Pattern::EightToOne.ends().0 < HOSTS && Pattern::OneToEight.ends().1 < HOSTS);
