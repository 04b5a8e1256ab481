//! The pure core: a whole session, listings of a large maildrop, a SCRAM exchange.

mod world;

use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use restante_sasl::{ChannelBinding, Claim, Exchange, LoginMechanism, Salting, Turn, scram};
use restante_session::SessionPolicy;

use crate::world::{COMMANDS, PER_USER, World, snapshot};

const MANY: u32 = 100_000;

fn whole(c: &mut Criterion) {
    let (policy, snapshot) = (Arc::new(SessionPolicy::default()), snapshot(PER_USER));
    c.bench_function("session/whole, without the outside", |b| {
        b.iter(|| {
            let mut world = World::new(&policy, &snapshot);
            for command in COMMANDS {
                world.say(command);
            }
            world.n_sent
        });
    });
}

fn listings(c: &mut Criterion) {
    let (policy, snapshot) = (Arc::new(SessionPolicy::default()), snapshot(MANY));
    let mut group = c.benchmark_group("listings of 100,000");
    group.throughput(Throughput::Elements(u64::from(MANY)));
    let mut world = World::new(&policy, &snapshot);
    world.say(b"USER alice@example.org\r\nPASS correct horse\r\n");
    for command in ["STAT\r\n", "LIST\r\n", "UIDL\r\n"] {
        group.bench_function(command.trim_end(), |b| b.iter(|| world.say(command.as_bytes())));
    }
    group.bench_function("DELE of all", |b| {
        let commands: Vec<u8> = (1..=MANY)
            .flat_map(|number| format!("DELE {number}\r\n").into_bytes())
            .collect();
        b.iter_batched_ref(
            || {
                let mut world = World::new(&policy, &snapshot);
                world.say(b"USER alice@example.org\r\nPASS correct horse\r\n");
                world
            },
            |world| world.say(&commands),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// The exchange of RFC 7677 section 3, and the deciding on it.
fn scram_exchange(c: &mut Criterion) {
    let first = BASE64.encode("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let last = BASE64.encode(
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    let salting = Salting {
        salt: BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64"),
        iterations: 4096,
        nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
    };
    let (stored_key, server_key) = ([1; 32], [2; 32]);
    c.bench_function("scram/exchange and verdict", |b| {
        b.iter(|| {
            let begun = Exchange::begin(
                LoginMechanism::ScramSha256,
                Some(black_box(first.as_bytes())),
                &ChannelBinding::default(),
            );
            let Turn::Salt(exchange, _) = begun else {
                panic!("the salt is asked for")
            };
            let Turn::Challenge(exchange, _) = exchange.salted(&salting) else {
                panic!("the client is challenged")
            };
            let Turn::Verify(
                _,
                Claim::Scram {
                    auth_message, proof, ..
                },
            ) = exchange.line(last.as_bytes())
            else {
                panic!("the proof is to be verified")
            };
            // The keys are made up: whether the proof fits changes nothing of the work.
            let fits = scram::proof_fits(&stored_key, &auth_message, &proof);
            (fits, scram::server_signature(&server_key, &auth_message))
        });
    });
}

criterion_group!(benches, whole, listings, scram_exchange);
criterion_main!(benches);
