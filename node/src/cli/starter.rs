//! The configuration that a new folder begins with.

use std::net::IpAddr;

use common::crypto::Suite;

use crate::folder::SAMPLE_CONFIG;

/// What of it is chosen when it is made.
pub(super) struct Starter<'a> {
    pub(super) name: &'a str,
    pub(super) tenant: &'a str,
    pub(super) domain: u16,
    pub(super) suite: Suite,
    /// Network interfaces to use; all of them without one.
    pub(super) interfaces: &'a [IpAddr],
    pub(super) custody: &'a custody::Config,
}

impl Starter<'_> {
    /// The text of `node.toml`, with every key explained.
    pub(super) fn config(&self) -> String {
        let Self { name, tenant, domain, suite, interfaces, custody } = self;
        let interfaces: Vec<String> = interfaces.iter().map(|address| format!("\"{address}\"")).collect();
        let text = |value: &str| toml::Value::String(value.to_owned());
        SAMPLE_CONFIG
            .replace("kind = \"file\"\n", &custody.lines())
            .replace("name = \"node-1\"", &format!("name = {}", text(name)))
            .replace("tenant = \"default\"", &format!("tenant = {}", text(tenant)))
            .replace("suite = \"x25519\"", &format!("suite = \"{suite}\""))
            .replace("domain = 0", &format!("domain = {domain}"))
            .replace("interfaces = [\"127.0.0.1\"]", &format!("interfaces = [{}]", interfaces.join(", ")))
    }
}
