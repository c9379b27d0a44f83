//! The folder of an operator's key: the key, and where in it that lives.

use std::path::Path;

use anyhow::Result;
use common::crypto::Identity;
use edge::file::{self, write_new};
use rand_chacha::rand_core::CryptoRng;
use serde::Deserialize;

/// Where `init` and `operator-init` put the operator's key.
pub const OPERATOR: &str = "operator";

/// Says where in its folder the key lives.
const PLACE: &str = "custody.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    custody: custody::Config,
}

/// Makes an operator's key in a folder of its own.
///
/// # Errors
///
/// When there is one, or it cannot be made.
pub fn place_operator(
    place: &Path,
    config: &custody::Config,
    random: &mut impl CryptoRng,
) -> Result<Identity> {
    let identity = custody::create(place, config, random)?;
    write_new(&place.join(PLACE), format!("[custody]\n{}", config.lines()).as_bytes(), 0o644)?;
    Ok(identity)
}

/// Opens the operator's key of a folder.
///
/// # Errors
///
/// Names the file, or the key's place and what to do.
pub fn open_operator(place: &Path) -> Result<Identity> {
    let remedy = "--operator names the folder of the operator's key; where there is none, sign where it is";
    let Place { custody } = file::parsed(&place.join(PLACE), remedy, |text| toml::from_str(text))?;
    Ok(custody::open(place, &custody, remedy)?)
}
