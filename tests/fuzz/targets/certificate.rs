//! A node's certificate of which a part was replaced: it is what the coordinator signed, or is refused. The first two bytes
//! say where the rest of the input is put.
#![no_main]

use std::sync::LazyLock;

use common::crypto::{Certificate, Holder, Identity, Rank};
use common::units::{Millis, Timestamp};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

static ISSUER: LazyLock<Identity> = LazyLock::new(|| Identity::generate(&mut ChaCha20Rng::seed_from_u64(1)));

static ISSUED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = *Identity::generate(&mut ChaCha20Rng::seed_from_u64(2)).public();
    let (holder, now) =
        (Holder { tenant: "a", rank: Rank::Node("web-1"), key }, Timestamp(1_700_000_000_000_000));
    let issued = holder.certify(&ISSUER, now, Some(now + Millis(1000))).expect("a key in memory signs");
    issued.der().to_vec()
});

fuzz_target!(|data: &[u8]| {
    let Some((&at, bytes)) = data.split_first_chunk() else { return };
    let mut altered = ISSUED.clone();
    let at = usize::from(u16::from_be_bytes(at)).min(altered.len());
    let end = altered.len().min(at + bytes.len());
    altered.splice(at..end, bytes.iter().copied());
    if let Ok(certificate) = Certificate::parse(&altered) {
        let believed = certificate.verify(ISSUER.public()).is_ok();
        assert!(!believed || altered == *ISSUED, "who signed it is its issuer");
    }
    let _ = Certificate::parse(bytes);
    let _ = std::str::from_utf8(bytes).map(Certificate::from_pem);
});
