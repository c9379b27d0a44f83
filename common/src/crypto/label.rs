//! One table of what a key is used for, so that no signature and no derived key serves two purposes.

/// A purpose. Its text goes into the signature or the key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Signs a coordinator's round announcement.
    Announce,
    /// Signs the manifest of a sealed value.
    Manifest,
    /// Signs the greeting by which two participants learn that they hear each other.
    Hello,
    /// Signs a fact told to watchers.
    Event,
    /// Signs a node's state.
    Presence,
    /// Separates the HPKE context that carries an epoch root to one node.
    Wrap,
    /// Derives the bulk input key of a value sealed to the group from the epoch root.
    Model,
    /// Derives the bulk input key of a value sealed to one recipient from its HPKE context.
    Update,
    /// Derives the bulk input key of what a member seals to its coordinator from the exchange that brought the root.
    Reply,
    /// Derives the key that authenticates receipts between the coordinator and one node.
    Receipt,
    /// Separates the root hash over chunk hashes from every other BLAKE3 hash.
    Root,
    /// Signs where a node takes in what bridges forward to it.
    Intake,
    /// Signs a bridge's greeting.
    Bridge,
    /// Signs what a relay tells of itself.
    Relay,
    /// Signs an operator's list of members.
    Roster,
    /// Signs that a long-term key takes the place of another.
    Succession,
    /// Derives the key of one segment of a spool from the key of the spool.
    Spool,
    /// Derives the key under which a long-term key in memory seals other keys.
    Custody,
    /// Derives the key of the file of a long-term key from its passphrase.
    Passphrase,
    /// Derives from the key of a tenant what wraps the key of one file.
    Vault,
    /// Derives the key of one value of a database from the key of the database.
    Value,
    /// Derives what the holder of a token shares with the coordinator that issued it, and a token's id.
    Token,
    /// Separates the HPKE context by which somebody joins with a token.
    Join,
    /// Derives the key of the answer from that context.
    Joined,
    /// Signs a request to join, by the key that is to be let in.
    Joiner,
}

impl Label {
    /// Every label.
    pub const ALL: [Self; 25] = [
        Self::Announce,
        Self::Manifest,
        Self::Hello,
        Self::Event,
        Self::Presence,
        Self::Wrap,
        Self::Model,
        Self::Update,
        Self::Reply,
        Self::Receipt,
        Self::Root,
        Self::Intake,
        Self::Bridge,
        Self::Relay,
        Self::Roster,
        Self::Succession,
        Self::Spool,
        Self::Custody,
        Self::Passphrase,
        Self::Vault,
        Self::Value,
        Self::Token,
        Self::Join,
        Self::Joined,
        Self::Joiner,
    ];

    /// The text: ASCII without a zero byte, so that a zero byte after it ends it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announce => "starling v1 announce",
            Self::Manifest => "starling v1 manifest",
            Self::Hello => "starling v1 hello",
            Self::Event => "starling v1 event",
            Self::Presence => "starling v1 presence",
            Self::Wrap => "starling v1 wrap",
            Self::Model => "starling v1 model",
            Self::Update => "starling v1 update",
            Self::Reply => "starling v1 reply",
            Self::Receipt => "starling v1 receipt",
            Self::Root => "starling v1 root",
            Self::Intake => "starling v1 intake",
            Self::Bridge => "starling v1 bridge",
            Self::Relay => "starling v1 relay",
            Self::Roster => "starling v1 roster",
            Self::Succession => "starling v1 succession",
            Self::Spool => "starling v1 spool",
            Self::Custody => "starling v1 custody",
            Self::Passphrase => "starling v1 passphrase",
            Self::Vault => "starling v1 vault",
            Self::Value => "starling v1 value",
            Self::Token => "starling v1 token",
            Self::Join => "starling v1 join",
            Self::Joined => "starling v1 joined",
            Self::Joiner => "starling v1 joiner",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_label_has_its_own_text_without_a_zero_byte() {
        let texts: BTreeSet<_> = Label::ALL.iter().map(|label| label.as_str()).collect();
        assert_eq!(texts.len(), Label::ALL.len());
        assert!(texts.iter().all(|text| text.is_ascii() && !text.contains('\0')));
    }
}
