//! The table `[join]` of `coordinator.toml`.

use core::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Where nodes join with a token, and whether somebody has to approve.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinConfig {
    /// The address of the listener.
    pub listen: SocketAddr,
    /// The folder of an operator's key: with it, this coordinator approves by itself whoever has a token.
    pub approve: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use crate::config::CoordinatorConfig;

    const SAMPLE: &str = include_str!("../../samples/coordinator.toml");

    #[test]
    fn nothing_listens_unless_the_section_of_the_sample_is_no_comment() {
        assert_eq!(CoordinatorConfig::parse(SAMPLE).unwrap().join, None);
        let key = |line: &str| {
            line.strip_prefix("# ").filter(|line| line.starts_with(['[', 'l', 'a'])).map(str::to_owned)
        };
        let from = SAMPLE.find("# [join]").unwrap();
        let lines = SAMPLE[from..].lines().map_while(|line| (!line.is_empty()).then(|| key(line)).flatten());
        let text = format!("{}{}\n", &SAMPLE[..from], lines.collect::<Vec<_>>().join("\n"));
        let join = CoordinatorConfig::parse(&text).unwrap().join.unwrap();
        assert_eq!((join.listen.port(), join.approve.is_some()), (common::token::JOIN_PORT, true));
    }
}
