//! The announcement of a participant, byte for byte: RTPS's own discovery message (RTPS 2.5, sections 8.5.3
//! and 9.6.3.2), without an address of a multicast group.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::discovered::prefix_of;
use crate::ports::{discovery_port, traffic_port};

/// A participant that is not announced for so long is gone, in seconds.
const LEASE_SECONDS: u32 = 20;

/// The entity id of a participant, and of the built-in writer and reader of announcements (section 9.3.1.3).
const PARTICIPANT: [u8; 4] = [0, 0, 1, 0xc1];
const WRITER: [u8; 4] = [0, 1, 0, 0xc2];
const READER: [u8; 4] = [0, 1, 0, 0xc7];

/// The built-in endpoints of RustDDS: announcements, publications, subscriptions, liveliness messages, topics.
const ENDPOINTS: u32 = 0x1800_0c3f;

/// How each datagram begins (section 9.4.4): the version is 2.3, the vendor RustDDS, which is what answers.
pub(crate) const HEADER: &[u8] = b"RTPS";
pub(crate) const VERSION: [u8; 2] = [2, 3];
pub(crate) const VENDOR: [u8; 2] = [0x01, 0x12];

/// Who is announced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Introduced {
    /// The participant's GUID; the first twelve bytes are its prefix.
    pub(crate) guid: [u8; 16],
    pub(crate) domain: u16,
    /// Its number on its host, on which its ports depend.
    pub(crate) participant: u16,
}

impl Introduced {
    /// The datagram that announces it to those who reach it at `address`.
    pub(crate) fn datagram(&self, address: Ipv4Addr) -> Vec<u8> {
        let prefix = prefix_of(self.guid);
        let discovery = SocketAddrV4::new(address, discovery_port(self.domain, self.participant));
        let traffic = SocketAddrV4::new(address, traffic_port(self.domain, self.participant));
        // Always the first change of its writer: participants take it however often it comes.
        let mut data = [&[0, 0, 16, 0][..], &READER, &WRITER, &[0, 0, 0, 0, 1, 0, 0, 0]].concat();
        // Parameter list, little-endian.
        data.extend([0, 3, 0, 0]);
        parameter(&mut data, 0x0015, &[VERSION[0], VERSION[1], 0, 0]);
        parameter(&mut data, 0x0016, &[VENDOR[0], VENDOR[1], 0, 0]);
        parameter(&mut data, 0x0050, &[&prefix[..], &PARTICIPANT].concat());
        parameter(&mut data, 0x0032, &locator(discovery));
        parameter(&mut data, 0x0031, &locator(traffic));
        parameter(&mut data, 0x0002, &[LEASE_SECONDS.to_le_bytes(), [0; 4]].concat());
        parameter(&mut data, 0x0058, &ENDPOINTS.to_le_bytes());
        parameter(&mut data, 0x0001, &[]);
        let mut datagram = [HEADER, &VERSION, &VENDOR, &prefix].concat();
        // DATA, little-endian, with a payload.
        datagram.extend([0x15, 0x05]);
        datagram.extend((data.len() as u16).to_le_bytes());
        datagram.extend(data);
        datagram
    }
}

fn parameter(list: &mut Vec<u8>, id: u16, value: &[u8]) {
    list.extend(id.to_le_bytes());
    list.extend((value.len() as u16).to_le_bytes());
    list.extend(value);
}

/// UDP over IPv4 (section 9.3.2.4).
fn locator(at: SocketAddrV4) -> Vec<u8> {
    let mut locator = [&1_u32.to_le_bytes()[..], &u32::from(at.port()).to_le_bytes(), &[0; 12]].concat();
    locator.extend(at.ip().octets());
    locator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_the_participant_and_where_it_is_reached() {
        let guid = *b"0123456789ab\x00\x00\x01\xc1";
        let datagram = Introduced { guid, domain: 3, participant: 2 }.datagram(Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(&datagram[..20], b"RTPS\x02\x03\x01\x120123456789ab");
        // The submessage ends where the datagram does.
        assert_eq!(usize::from(u16::from_le_bytes([datagram[22], datagram[23]])), datagram.len() - 24);
        let holds = |part: &[u8]| datagram.windows(part.len()).any(|window| window == part);
        assert!(holds(&[guid.as_slice()].concat()));
        for port in [8164_u32, 8165] {
            let place = [&port.to_le_bytes()[..], &[0; 12], &[192, 0, 2, 7]].concat();
            assert!(holds(&place), "port {port}");
        }
        assert_eq!(datagram.len() % 4, 0);
    }
}
