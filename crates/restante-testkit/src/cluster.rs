//! A random workload over several frontends, and the one checker that judges it.
//!
//! Whatever fails meanwhile: no acknowledged message is lost, no undeleted one deleted, no stale session commits,
//! unique-ids stay, and no octet of another account is seen. Faults are made by whoever runs it; the workload sees
//! servers by their addresses only. Start at [`Workload::run`].

mod client;
mod model;
mod random;
mod session;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

pub use client::Client;
pub use model::{Mailbox, Outcome};
pub use random::Random;
use session::Actor;

/// Where a frontend listens in the clear.
#[derive(Clone, Copy, Debug)]
pub struct Frontend {
    /// For POP3.
    pub pop3: SocketAddr,
    /// For LMTP.
    pub lmtp: SocketAddr,
}

/// Takes the maildrop of an account away from whoever holds it; `false` if that was not possible.
pub type Kick = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What to do.
#[derive(Clone)]
pub struct Workload {
    /// Of everything that is left to chance.
    pub seed: u64,
    /// Where to do it.
    pub frontends: Vec<Frontend>,
    /// Names of accounts that are there and empty.
    pub accounts: Vec<String>,
    /// Their password.
    pub password: String,
    /// How an operator ends a session.
    pub kick: Kick,
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Workload(seed {}, {} accounts)",
            self.seed,
            self.accounts.len()
        )
    }
}

/// What was done, and what was wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Sessions that got as far as a listing.
    pub sessions: u64,
    /// Deliveries that were acknowledged.
    pub delivered: u64,
    /// QUITs that were acknowledged and deleted something.
    pub committed: u64,
    /// Sessions that were ended by an operator while they had marked messages.
    pub kicked: u64,
    /// QUITs and deliveries of which nobody knew at first whether they had happened.
    pub unsure: u64,
    /// Broken promises, each with the account and the seed.
    pub violations: Vec<String>,
}

impl Workload {
    /// Runs until `is_enough` of the number of sessions that have listed, or until a promise is broken. One account has
    /// one client at a time, but for those that are kicked.
    ///
    /// # Panics
    /// If an actor does.
    pub async fn run(
        &self,
        is_enough: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> (Report, Vec<Mailbox>) {
        let is_enough = Arc::new(is_enough);
        let done = Arc::new(AtomicU64::new(0));
        let mut actors = JoinSet::new();
        for (nth, account) in self.accounts.iter().enumerate() {
            let seed = self.seed.wrapping_add((nth as u64).wrapping_mul(0x9E37_79B9));
            let mut actor = Actor::new(self.clone(), account, seed);
            let (done, is_enough) = (Arc::clone(&done), Arc::clone(&is_enough));
            actors.spawn(async move {
                while !is_enough(done.load(Ordering::Relaxed)) && actor.report.violations.is_empty() {
                    let before = actor.report.sessions;
                    actor.step().await;
                    done.fetch_add(actor.report.sessions - before, Ordering::Relaxed);
                }
                actor
            });
        }
        gather(actors).await
    }

    /// After the faults have ended: looks at every maildrop once more, message by message.
    ///
    /// # Panics
    /// If an actor does.
    pub async fn check(&self, mailboxes: Vec<Mailbox>) -> Report {
        let mut actors = JoinSet::new();
        for mailbox in mailboxes {
            let mut actor = Actor::new(self.clone(), mailbox.account(), self.seed);
            actor.mailbox = mailbox;
            actors.spawn(async move {
                actor.look_at_everything().await;
                actor
            });
        }
        gather(actors).await.0
    }
}

async fn gather(mut actors: JoinSet<Actor>) -> (Report, Vec<Mailbox>) {
    let (mut sum, mut mailboxes) = (Report::default(), Vec::new());
    while let Some(actor) = actors.join_next().await {
        let actor = actor.expect("an actor tells what is wrong and does not panic");
        sum.sessions += actor.report.sessions;
        sum.delivered += actor.report.delivered;
        sum.committed += actor.report.committed;
        sum.kicked += actor.report.kicked;
        sum.unsure += actor.report.unsure;
        sum.violations.extend(actor.report.violations);
        mailboxes.push(actor.mailbox);
    }
    (sum, mailboxes)
}
