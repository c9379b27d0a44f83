//! How the mail to a mailbox is read, where a configuration says so rather than its content.

use std::collections::BTreeMap;

use super::layout::{self, Layout};
use super::{Adapter, Part, Reading, Reject};

/// What reads all parts of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// One of the [`ADAPTERS`](super::ADAPTERS).
    Format(&'static Adapter),
    /// A list of columns.
    Layout(Layout),
}

/// The mailboxes whose mail is not read by its content alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Pin>);

impl Pin {
    /// Reads a part.
    pub(super) fn read(&self, part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
        match self {
            Self::Format(adapter) => (adapter.read)(part),
            Self::Layout(layout) => layout::read(layout, part),
        }
    }

    /// Whether it counts bytes, and so reads them as they were sent, whatever charset the mail declares.
    pub(super) fn counts_bytes(&self) -> bool {
        matches!(self, Self::Layout(_))
    }
}

impl Pins {
    /// The pin of a mailbox, by its local part without ASCII case.
    pub fn of(&self, mailbox: &str) -> Option<&Pin> {
        self.0.get(&mailbox.to_ascii_lowercase())
    }
}

impl FromIterator<(String, Pin)> for Pins {
    fn from_iter<I: IntoIterator<Item = (String, Pin)>>(pins: I) -> Self {
        Self(pins.into_iter().map(|(mailbox, pin)| (mailbox.to_ascii_lowercase(), pin)).collect())
    }
}

/// A mail with the mailbox it was sent to, as an entry of the spool keeps it: a zero byte is between them.
pub fn addressed(mailbox: &str, mail: &[u8]) -> Vec<u8> {
    [mailbox.as_bytes(), b"\0", mail].concat()
}

/// The mailbox and the mail; `None` when no mailbox stands there.
pub fn split_addressed(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.iter().position(|&byte| byte == 0)?;
    Some((std::str::from_utf8(&body[..end]).ok()?, &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_comes_back_with_its_mailbox() {
        for mail in [&b""[..], b"\0a\0", &[0xff; 3]] {
            assert_eq!(split_addressed(&addressed("mainframe", mail)), Some(("mainframe", mail)));
        }
        assert_eq!(split_addressed(b"mainframe"), None);
        assert_eq!(split_addressed(b"\xff\0mail"), None);
    }

    #[test]
    fn the_pin_of_a_mailbox_is_found_without_case() {
        let pin = Pin::Format(Adapter::named("zabbix").unwrap());
        let pins: Pins = [("Alerts".to_owned(), pin.clone())].into_iter().collect();
        assert_eq!(pins.of("aLERTS"), Some(&pin));
        assert_eq!(pins.of("alert"), None);
    }
}
