//! HPKE in base and PSK mode with our suite, against the vectors of RFC 9180, appendix A.
//!
//! The file is the RFC authors' `test-vectors.json`, looked for in `$STARLING_VECTORS`, else in
//! `../shared/vectors` beside the workspace.

use std::convert::Infallible;
use std::path::PathBuf;

use common::crypto::keyschedule::{Aead, Kdf, X25519};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use rand_core::{TryCryptoRng, TryRng};
use serde::Deserialize;

/// The modes in use (RFC 9180, section 5).
const BASE: u8 = 0;
const PSK: u8 = 1;

const FILE: &str = "hpke-rfc9180.json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    mode: u8,
    #[serde(rename = "kem_id")]
    kem: u16,
    #[serde(rename = "kdf_id")]
    kdf: u16,
    #[serde(rename = "aead_id")]
    aead: u16,
    info: String,
    #[serde(rename = "ikmE")]
    ikm_e: String,
    #[serde(rename = "ikmR")]
    ikm_r: String,
    #[serde(rename = "skRm")]
    secret: String,
    #[serde(rename = "pkRm")]
    public: String,
    enc: String,
    /// In PSK mode.
    psk: Option<String>,
    #[serde(rename = "psk_id")]
    psk_id: Option<String>,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: String,
    ct: String,
    pt: String,
}

#[derive(Deserialize)]
struct Export {
    exporter_context: String,
    exported_value: String,
}

/// Gives the bytes it was made with, once: the ephemeral key material of a vector.
pub(crate) struct Given(pub(crate) Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("HPKE asks for bytes only")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("HPKE asks for bytes only")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.split_off(0));
        Ok(())
    }
}

impl TryCryptoRng for Given {}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn vectors() -> Option<Vec<Vector>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("STARLING_VECTORS").map_or_else(beside, PathBuf::from).join(FILE);
    match std::fs::read(&path) {
        Ok(json) => Some(serde_json::from_slice(&json).unwrap()),
        Err(error) => {
            println!("SKIPPED: no HPKE vectors at {}: {error}", path.display());
            None
        }
    }
}

#[test]
fn hpke_agrees_with_rfc_9180() {
    let Some(vectors) = vectors() else { return };
    for mode in [BASE, PSK] {
        let ours = |v: &&Vector| (v.mode, v.kem, v.kdf, v.aead) == (mode, 0x20, 1, 3);
        let vectors: Vec<&Vector> = vectors.iter().filter(ours).collect();
        assert!(!vectors.is_empty(), "the file holds our suite in mode {mode}");
        vectors.into_iter().for_each(check);
    }
}

fn check(vector: &Vector) {
    let (secret, public) = X25519::derive_keypair(&bytes(&vector.ikm_r));
    // The file holds the secret key before clamping (RFC 9180, section 7.1.2).
    let given = <X25519 as Kem>::PrivateKey::from_bytes(&bytes(&vector.secret)).unwrap();
    assert_eq!(secret.to_bytes(), given.to_bytes());
    assert_eq!(public.to_bytes()[..], bytes(&vector.public));
    let info = bytes(&vector.info);
    let mut rng = Given(bytes(&vector.ikm_e));
    let [psk, psk_id] = [&vector.psk, &vector.psk_id].map(|hex| bytes(hex.as_deref().unwrap_or_default()));
    let bundle = PskBundle::new(&psk, &psk_id).unwrap();
    let (sends, receives) = match vector.mode {
        PSK => (OpModeS::Psk(bundle), OpModeR::Psk(bundle)),
        _ => (OpModeS::Base, OpModeR::Base),
    };
    let (enc, mut sender) =
        hpke::setup_sender_with_rng::<Aead, Kdf, X25519>(&sends, &public, &info, &mut rng).unwrap();
    assert_eq!(enc.to_bytes()[..], bytes(&vector.enc));
    let enc = <X25519 as Kem>::EncappedKey::from_bytes(&bytes(&vector.enc)).unwrap();
    let mut receiver = hpke::setup_receiver::<Aead, Kdf, X25519>(&receives, &secret, &enc, &info).unwrap();
    for Encryption { aad, ct, pt } in &vector.encryptions {
        assert_eq!(sender.seal(&bytes(pt), &bytes(aad)).unwrap(), bytes(ct));
        assert_eq!(receiver.open(&bytes(ct), &bytes(aad)).unwrap(), bytes(pt));
    }
    for Export { exporter_context, exported_value } in &vector.exports {
        let expected = bytes(exported_value);
        let mut exported = vec![0; expected.len()];
        sender.export(&bytes(exporter_context), &mut exported).unwrap();
        assert_eq!(exported, expected);
        receiver.export(&bytes(exporter_context), &mut exported).unwrap();
        assert_eq!(exported, expected);
    }
}
