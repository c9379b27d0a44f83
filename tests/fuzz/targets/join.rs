//! Requests to join: bytes that nobody made are refused; whatever a token's holder asks for, it can stand on a roster as
//! it was asked for. The first byte chooses how the rest is used.
#![no_main]

use std::sync::LazyLock;

use common::crypto::{Identity, Label, PresharedSeed, Signature};
use common::join::{Answer, Reply, Request};
use common::known;
use common::token::{Ticket, Token};
use common::wire::{decode, encode};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

struct World {
    seed: PresharedSeed,
    token: Token,
    node: Identity,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (operator, node, seed) =
        (Identity::generate(rng), Identity::generate(rng), PresharedSeed::generate(rng));
    World { token: Token { key: seed.shared(), operator: *operator.public() }, seed, node }
});

fn opens(bytes: &[u8]) -> Option<Request> {
    Request::open(bytes, &WORLD.seed, &WORLD.token.operator).ok().map(|(request, _)| request)
}

/// What a holder of the token sends who says this, with the signature of a key that is his.
fn asks(body: &[u8]) {
    let World { token, node, .. } = &*WORLD;
    let context = [&token.id().0[..], &token.operator.to_bytes()].concat();
    let mut question = [&node.public().to_bytes()[..], body].concat();
    let signed = node.sign(Label::Joiner, &[&context[..], &question].concat());
    let Signature(signature) = signed.expect("a key in memory signs");
    question.extend_from_slice(&signature);
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let (question, _) = token.key.ask(&context, &question, rng).expect("the token has a key");
    let Some(request) = opens(&[b"STRJ\x01", &token.id().0[..], &question].concat()) else { return };
    let words: Vec<String> =
        request.peer.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let line = format!("{} {} {}", request.peer.name, request.peer.key, words.join(" "));
    let read = known::parse(&line).expect("it is a line of a roster");
    assert_eq!(read.into_values().next(), Some(request.peer));
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, bytes)) = data.split_first() else { return };
    match kind % 5 {
        0 => assert!(opens(bytes).is_none(), "nobody made it"),
        1 => assert!(opens(&[b"STRJ\x01", &WORLD.token.id().0[..], bytes].concat()).is_none()),
        2 => asks(bytes),
        3 => {
            if let Ok(answer) = decode::<Answer>(bytes) {
                assert_eq!(encode(&answer), bytes);
            }
            if let Ok(reply) = Reply::parse(bytes) {
                assert_eq!(reply.to_bytes(), bytes);
            }
        }
        _ => {
            if let Ok(Ticket { token, .. }) = String::from_utf8_lossy(bytes).parse::<Ticket>() {
                assert_eq!(token.to_text().parse(), Ok(token));
            }
        }
    }
});
