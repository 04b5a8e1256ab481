//! A session of the pure core with an outside that answers at once. Start at [`World::new`].

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use restante_session::{
    Access, Answer, Channel, Opened, Receipts, Removed, Request, Session, SessionPolicy, Snapshot,
    SnapshotBuilder, Step, TlsFacts,
};
use restante_types::{AccountId, Clock as _, MessageId, Octets, SystemClock, TenantId, UniqueId};

/// Messages of a user.
pub(crate) const PER_USER: u32 = 20;

/// A whole session.
pub(crate) const COMMANDS: [&[u8]; 10] = [
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

/// The proofs of this world, where everything is granted.
#[derive(Debug)]
pub(crate) enum Proofs {}

#[derive(Debug)]
pub(crate) struct Login(AccountId);

#[derive(Debug)]
pub(crate) struct Whole;

#[derive(Debug)]
pub(crate) struct Deleted(usize);

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

/// The session and its outside.
pub(crate) struct World {
    session: Session<Proofs>,
    snapshot: Arc<Snapshot>,
    out: Vec<u8>,
    now: Instant,
    /// Octets that it has said.
    pub(crate) n_sent: usize,
}

impl World {
    pub(crate) fn new(policy: &Arc<SessionPolicy>, snapshot: &Arc<Snapshot>) -> Self {
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
    pub(crate) fn say(&mut self, lines: &[u8]) {
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

/// A maildrop of so many messages.
pub(crate) fn snapshot(messages: u32) -> Arc<Snapshot> {
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
