//! Keys where operators keep them: the programs start with them, take part in a run, and refuse to go on without.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

mod files;
mod fleet;
#[cfg(feature = "tokens")]
mod pkcs11;
#[cfg(feature = "tokens")]
mod tpm;

#[cfg(not(feature = "tokens"))]
#[test]
fn tokens_are_tested_in_a_build_that_speaks_with_them() {
    eprintln!(
        "skipped: keys in tokens; `cargo test --workspace --features tests/tokens --test custody` tests them"
    );
}
