//! A bridge that takes mail in.

use harness::bridge::Bridge;

/// Where it listens for SMTP, with STARTTLS, among its addresses.
pub(crate) const SMTP: usize = 0;

/// Where it listens for LMTP.
pub(crate) const LMTP: usize = 1;

/// Whoever is on this host may send.
pub(crate) const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Who may log in, and with what.
pub(crate) const ACCOUNT: (&str, &str) = ("ups", "open sesame");

/// The hash of the password, as weak as Argon2 can be.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$LsJN3Iieuh3Ob4CUpalr1g$QbTRVEb764x7ka03JL1eZOvARiXa45+YzfiV4bdpToM";

/// The certificate of the bridge, for `bridge.example.com`, among the files of the test.
pub(crate) const CERTIFICATE: &str = "certificate.pem";

/// A bridge that takes mail to `telemetry@` from the networks that it trusts, and from who logs in.
pub(crate) fn mail_bridge(trusted: &[&str]) -> Bridge {
    let made = rcgen::generate_simple_self_signed(vec!["bridge.example.com".to_owned()]).unwrap();
    Bridge::new(2, |bridge| {
        let file = |name, text: &str| bridge.write(name, text).display().to_string();
        let certificate = file(CERTIFICATE, &made.cert.pem());
        let key = file("key.pem", &made.signing_key.serialize_pem());
        let accounts = file("accounts", &format!("{}:{HASH}\n", ACCOUNT.0));
        let [smtp, lmtp] = [SMTP, LMTP].map(|place| bridge.addresses[place].to_string());
        format!(
            "[smtp]\nlisten = [{smtp:?}]\nlisten_lmtp = [{lmtp:?}]\nhostname = \"bridge.example.com\"\n\
             trusted_networks = {trusted:?}\naccounts = {accounts:?}\nmailboxes = {{ telemetry = \"acme\" }}\n\
             mails_per_minute = 1000000\ntls = {{ certificate = {certificate:?}, key = {key:?} }}"
        )
    })
}
