//! Sessions that are logged in and do nothing, until they are asked to leave. Start at [`Crowd::gather`].

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::corpus::{Corpus, Kind, Maildrop};
use crate::figures::{Figures, float};
use crate::server::Server;
use crate::work::{log_in, look};

const LOGGING_IN: usize = 16;

/// Idle sessions of one server.
pub(crate) struct Crowd {
    sessions: Vec<Client>,
    /// Of the logging in.
    pub(crate) figures: Figures,
    /// KiB of the server for each.
    pub(crate) pss_kib: f64,
}

impl Crowd {
    /// Logs in `n` users.
    pub(crate) async fn gather(
        server: &Server,
        corpus: &Corpus,
        n: usize,
        is_tls: bool,
    ) -> anyhow::Result<Self> {
        let users = corpus.plan().maildrops(Kind::Idle);
        ensure!(n <= users, "{users} users for {n} sessions");
        // What the first session costs is not the others'.
        let first = Maildrop {
            kind: Kind::Idle,
            nth: 0,
        };
        look(server.door(0, is_tls), corpus, first).await?;
        let before = server.pss_kib()?;
        let mut workers = JoinSet::new();
        for lane in 0..LOGGING_IN {
            let door = server.door(lane, is_tls).clone();
            workers.spawn(async move {
                let mut mine = Vec::new();
                let mut figures = Figures::default();
                for nth in (lane..n).step_by(LOGGING_IN) {
                    let maildrop = Maildrop {
                        kind: Kind::Idle,
                        nth,
                    };
                    mine.push(log_in(&door, maildrop, nth, &mut figures).await?);
                    figures.done += 1;
                }
                anyhow::Ok((mine, figures))
            });
        }
        let (mut sessions, mut figures) = (Vec::new(), Figures::default());
        while let Some(worker) = workers.join_next().await {
            let (mine, times) = worker?.with_context(|| server.name.to_owned())?;
            sessions.extend(mine);
            figures.merge(&times);
        }
        let grown = server.pss_kib()?.saturating_sub(before);
        Ok(Self {
            sessions,
            pss_kib: float(grown) / float(figures.done.max(1)),
            figures,
        })
    }

    /// Sees that all are still there, and lets them go.
    pub(crate) async fn leave(mut self) -> anyhow::Result<()> {
        for session in &mut self.sessions {
            session.command("NOOP").await?;
        }
        for mut session in self.sessions {
            session.command("QUIT").await?;
        }
        Ok(())
    }
}
