//! A tenant whose key was destroyed, or would be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of a folder cannot be read any more, and what still can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShreddedTenant {
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// Its name.
    pub tenant: String,
    /// What cannot be read any more, as it lies in the folder.
    pub unreadable: Vec<String>,
    /// What there still can be read.
    pub readable: Vec<String>,
}

impl ShreddedTenant {
    /// It in words, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let Self { dry_run, tenant, unreadable, readable } = self;
        let is = if *dry_run { "would be" } else { "is" };
        let mut lines = vec![
            format!("the key of tenant {tenant} in this folder {is} destroyed"),
            format!("  cannot be read any more: {}", unreadable.join(", ")),
            format!("  still can be read: {}; and logs", readable.join(", ")),
            "  copies of tenant.key, as in backups and snapshots, still open copies of the data: destroy them too.".into(),
            "  A copy-on-write file system or flash may keep the overwritten key; who has that also needs the secret key."
                .into(),
        ];
        lines.extend(dry_run.then(|| "nothing was changed".to_owned()));
        lines
    }
}
