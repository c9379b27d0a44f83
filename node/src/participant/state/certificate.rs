//! The node's certificate: the coordinator issues the next one before it ends.

use common::crypto::Certificate;
use common::units::Timestamp;

use super::{Participant, ignored};
use crate::participant::{Note, Output};

impl Participant {
    /// A certificate that has ended is shown no more.
    pub(super) fn on_expiry(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let until = self.setup.certified;
        if until > Timestamp::default() && until <= now {
            self.setup.certified = Timestamp::default();
            out.push(Output::Note(Note::Expired { until }));
        }
    }

    /// Takes a certificate. One of another key, or that does not end later than the one that it has, changes nothing.
    pub fn on_certificate(&mut self, der: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let certificate = match Certificate::parse(der) {
            Ok(certificate) => certificate,
            Err(error) => return out.push(ignored("certificate", &error)),
        };
        let Some(roster) = &self.setup.roster else { return };
        let is_news = certificate.until() > self.setup.certified && certificate.until() > now;
        if certificate.key() != self.setup.identity.public() || !is_news {
            return;
        }
        if let Err(error) = certificate.verify(&roster.coordinator) {
            return out.push(ignored("certificate", &error));
        }
        let Some(authority) = roster.authority.clone() else { return };
        self.setup.certified = certificate.until();
        out.push(Output::Note(Note::Certified { until: certificate.until() }));
        out.push(Output::Certificate { certificate: Box::new(certificate), authority: Box::new(authority) });
    }
}
