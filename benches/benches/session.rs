//! The pure core: a whole session, listings of a large maildrop, a SCRAM exchange.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use restante_sasl::{ChannelBinding, Claim, Exchange, LoginMechanism, Salting, Turn, scram};
use restante_session::{
    Access, Answer, Channel, Opened, Receipts, Removed, Request, Session, SessionPolicy, Snapshot,
    SnapshotBuilder, Step, TlsFacts,
};
use restante_types::{AccountId, Clock as _, MessageId, Octets, SystemClock, TenantId, UniqueId};

const MANY: u32 = 100_000;
const PER_USER: u32 = 20;

/// The proofs of this world, where everything is granted.
#[derive(Debug)]
enum Proofs {}

#[derive(Debug)]
struct Login(AccountId);

#[derive(Debug)]
struct Whole;

#[derive(Debug)]
struct Deleted(usize);

impl Receipts for Proofs {
    type Authenticated = Login;
    type Verified = Whole;
    type Committed = Deleted;
}

impl Access for Login {
    fn account(&self) -> AccountId {
        self.0
    }
}

impl Removed for Deleted {
    fn n_deleted(&self) -> usize {
        self.0
    }
}

/// A session with an outside that answers at once.
struct World {
    session: Session<Proofs>,
    snapshot: Arc<Snapshot>,
    out: Vec<u8>,
    now: Instant,
    n_sent: usize,
}

impl World {
    fn new(policy: &Arc<SessionPolicy>, snapshot: &Arc<Snapshot>) -> Self {
        let now = SystemClock.now();
        Self {
            session: Session::new(Arc::clone(policy), Channel::Trusted, TlsFacts::default(), now),
            snapshot: Arc::clone(snapshot),
            out: Vec::with_capacity(64 * 1024),
            now,
            n_sent: 0,
        }
    }

    /// Sends lines, does what the session asks for, throws away what it says.
    fn say(&mut self, lines: &[u8]) {
        let mut rest = lines;
        loop {
            match self.session.next(&mut self.out) {
                Step::NeedInput => {
                    self.flush();
                    if rest.is_empty() {
                        return;
                    }
                    rest = &rest[self.session.receive(rest, self.now)..];
                }
                Step::Flush => self.flush(),
                Step::Close(_) => return self.flush(),
                Step::Ask(request) => self.grant(request),
            }
        }
    }

    fn flush(&mut self) {
        self.n_sent += black_box(&self.out).len();
        self.out.clear();
        self.session.flushed(self.now);
    }

    fn grant(&mut self, request: Request<Proofs>) {
        let answer = match request {
            Request::Verify(_) => Answer::Verdict(Ok(Login(account()))),
            Request::Open(_) => Answer::Opened(Ok(Opened {
                snapshot: Arc::clone(&self.snapshot),
                may_delete: true,
                expire: None,
                login_delay: None,
            })),
            Request::Body { .. } => Answer::Body(Ok(())),
            Request::Send => Answer::Sent(Whole),
            Request::Commit(deletes) => Answer::Committed(Ok(Deleted(deletes.len()))),
            Request::Release => Answer::Released,
            Request::Salt(_) | Request::StartTls => panic!("nobody asks for it here"),
        };
        self.session
            .answer(answer, &mut self.out, self.now)
            .expect("it was asked");
    }
}

fn account() -> AccountId {
    let tenant = TenantId::new(1).expect("a tenant's number");
    AccountId::new(tenant, 2).expect("an account's number")
}

fn snapshot(messages: u32) -> Arc<Snapshot> {
    let mut builder = SnapshotBuilder::with_capacity(messages as usize);
    for number in 1..=messages {
        let id = MessageId::new(i64::from(number)).expect("a message's number");
        let unique_id = UniqueId::new(format!("{number:026}")).expect("a unique-id");
        builder
            .push(id, Octets(1_000 + u64::from(number)), &unique_id, false)
            .expect("in order");
    }
    Arc::new(builder.finish())
}

fn whole(c: &mut Criterion) {
    let (policy, snapshot) = (Arc::new(SessionPolicy::default()), snapshot(PER_USER));
    let commands: [&[u8]; 10] = [
        b"USER alice@example.org\r\n",
        b"PASS correct horse\r\n",
        b"STAT\r\n",
        b"UIDL\r\n",
        b"RETR 1\r\n",
        b"RETR 2\r\n",
        b"RETR 3\r\n",
        b"RETR 4\r\n",
        b"RETR 5\r\n",
        b"QUIT\r\n",
    ];
    c.bench_function("session/whole, without the outside", |b| {
        b.iter(|| {
            let mut world = World::new(&policy, &snapshot);
            for command in commands {
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
