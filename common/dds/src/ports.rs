//! The two ports of a participant (RTPS 2.5, section 9.6.2.3).

use std::net::{Ipv4Addr, UdpSocket};

/// Ports of domain 0 begin here, each domain has [`DOMAIN_GAIN`] of them, and each participant two.
const PORT_BASE: u16 = 7400;
const DOMAIN_GAIN: u16 = 250;
const PARTICIPANT_GAIN: u16 = 2;
const DISCOVERY: u16 = 10;
const TRAFFIC: u16 = 11;

/// Participants that a host can have in a domain.
const PARTICIPANTS: u16 = 120;

/// Where a participant takes announcements.
pub(crate) fn discovery_port(domain: u16, participant: u16) -> u16 {
    PORT_BASE + DOMAIN_GAIN * domain + DISCOVERY + PARTICIPANT_GAIN * participant
}

/// Where it takes everything else.
pub(crate) fn traffic_port(domain: u16, participant: u16) -> u16 {
    discovery_port(domain, participant) + TRAFFIC - DISCOVERY
}

/// The number that a new participant should get, and what keeps RustDDS from a lower one of which only the first port
/// is free; it has to exist until the participant does.
///
/// RustDDS takes the first number whose discovery port it can have. If somebody has the other one (from domain 101 on
/// they are among the ports that Linux gives to whoever asks for any), it takes another port for its traffic, to which
/// others do not find.
pub(crate) fn free_number(domain: u16) -> (u16, Vec<UdpSocket>) {
    let bind = |port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port));
    let mut held = Vec::new();
    for number in 0..PARTICIPANTS {
        let Ok(discovery) = bind(discovery_port(domain, number)) else { continue };
        // Given back before the other: whoever has a discovery port can count on its neighbour.
        if bind(traffic_port(domain, number)).is_ok() {
            return (number, held);
        }
        held.push(discovery);
    }
    // RustDDS says it.
    (PARTICIPANTS, held)
}

/// The number, from 0, that the next participant of this host would get in a domain; none when all are taken.
pub fn next_participant(domain: u16) -> Option<u16> {
    let (number, _held) = free_number(domain);
    (number < PARTICIPANTS).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_standard() {
        let ports = [(0, 0), (0, 11), (231, 119)];
        assert_eq!(ports.map(|(domain, number)| discovery_port(domain, number)), [7410, 7432, 65_398]);
        assert_eq!(ports.map(|(domain, number)| traffic_port(domain, number)), [7411, 7433, 65_399]);
    }
}
