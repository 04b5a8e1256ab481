//! What clients do to a server, all of it checked. Start at [`Work`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use restante_types::{Clock as _, SystemClock};
use tokio::task::JoinSet;

use crate::client::{Client, Door, Lmtp};
use crate::corpus::{Corpus, Kind, Maildrop, Random};
use crate::crowd::Crowd;
use crate::figures::{Figures, Used};
use crate::hash;
use crate::process::cpu;
use crate::server::{PASSWORD, Server, login_name};

/// Messages that a session reads.
pub(crate) const READ: usize = 5;
/// Commands that are sent ahead where a client pipelines.
const IN_FLIGHT: usize = 64;
/// Clients that may have addresses of their own before those who guess: nobody logs in from where a guess came from.
const STRANGERS: usize = 8_000;
/// What a server may still do after the last client has left.
const SETTLE: Duration = Duration::from_millis(300);

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// USER and PASS, STAT, UIDL, five RETR, QUIT
    Sessions,
    /// The same without RETR
    Polls,
    /// USER, PASS, QUIT over passwords as they should be hashed, each account once; some clients only guess
    Logins,
    /// Sessions that are logged in and do nothing
    Idle,
    /// One maildrop of very many messages: STAT, UIDL, LIST
    Big,
    /// The same of the smaller one beside it
    #[value(skip)]
    Few,
    /// RETR of messages of 25 MB
    Throughput,
    /// The same messages from a server that writes them unasked
    #[value(skip)]
    Bare,
    /// RETR of many small messages, 64 in flight
    Small,
    /// DELE of many messages, and QUIT
    Deletes,
    /// Delivery of realistic messages by LMTP
    Deliver,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) mode: Mode,
    pub(crate) is_tls: bool,
    pub(crate) at_once: usize,
    /// Clients among them that guess passwords.
    pub(crate) guessing: usize,
    /// Accounts of `logins` that were logged in to before, and those of this load: the last are guessed at.
    pub(crate) first: usize,
    pub(crate) accounts: usize,
    /// When no further round begins.
    pub(crate) lasting: Duration,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    pub(crate) used: Used,
    /// KiB for each session that idles.
    pub(crate) pss_kib: Option<f64>,
    /// Processor time of one hash by itself, where passwords were hashed.
    pub(crate) hash: Option<Duration>,
}

impl Work {
    /// Plain, without guesses.
    pub(crate) const fn new(mode: Mode, at_once: usize, lasting: Duration) -> Self {
        Self {
            mode,
            is_tls: false,
            at_once,
            guessing: 0,
            first: 0,
            accounts: 0,
            lasting,
        }
    }

    /// Does it to a server.
    pub(crate) async fn on(self, server: &Server, corpus: &Arc<Corpus>) -> anyhow::Result<Outcome> {
        match self.mode {
            Mode::Idle => return self.idle(server, corpus).await,
            Mode::Deletes => server.refill(corpus).await?,
            _ => (),
        }
        if self.mode == Mode::Deletes {
            // The first look after so much has come makes the index of some servers.
            let maildrop = Maildrop {
                kind: Kind::Wipe,
                nth: 0,
            };
            look(server.door(0, false), corpus, maildrop).await?;
        }
        let meter = Meter::start(server)?;
        let begun = SystemClock.now();
        let task = Task {
            work: self,
            doors: (0..self.at_once)
                .map(|lane| server.door(lane, self.is_tls).clone())
                .collect(),
            lmtp: server.lmtp,
            corpus: Arc::clone(corpus),
            next: Arc::new(AtomicU64::new(0)),
            until: begun + self.lasting,
        };
        let figures = task.all().await.with_context(|| server.name.to_owned())?;
        let wall = begun.elapsed();
        let used = meter.used(wall).await?;
        ensure!(figures.done > 0, "nothing was done");
        // Now, while nothing else hashes.
        let hash = match self.mode {
            Mode::Logins => Some(tokio::task::spawn_blocking(hash::alone).await??),
            _ => None,
        };
        Ok(Outcome {
            figures,
            used,
            pss_kib: None,
            hash,
        })
    }

    /// Memory for each of `at_once` sessions that are logged in.
    async fn idle(self, server: &Server, corpus: &Corpus) -> anyhow::Result<Outcome> {
        let meter = Meter::start(server)?;
        let begun = SystemClock.now();
        let crowd = Crowd::gather(server, corpus, self.at_once, self.is_tls).await?;
        let used = meter.used(begun.elapsed()).await?;
        let (figures, pss_kib) = (crowd.figures.clone(), crowd.pss_kib);
        crowd.leave().await?;
        Ok(Outcome {
            figures,
            used,
            pss_kib: Some(pss_kib),
            hash: None,
        })
    }
}

/// Logs in to every maildrop that a load uses once, so that what only the first login costs is over: indices are made,
/// and what was verified is remembered.
pub(crate) async fn warm(server: &Server, corpus: &Arc<Corpus>) -> anyhow::Result<()> {
    const LANES: usize = 8;
    let all: Arc<[Maildrop]> = Kind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, Kind::Idle | Kind::Login))
        .flat_map(|kind| corpus.plan().all(kind))
        .collect();
    let mut workers = JoinSet::new();
    for lane in 0..LANES {
        let (all, corpus) = (Arc::clone(&all), Arc::clone(corpus));
        // Every frontend keeps in memory what it has verified itself.
        let doors: Vec<Door> = (0..server.frontends.len())
            .map(|nth| server.door(nth, false).clone())
            .collect();
        workers.spawn(async move {
            for maildrop in all.iter().skip(lane).step_by(LANES) {
                for door in &doors {
                    look(door, &corpus, *maildrop).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker?.with_context(|| format!("warming {}", server.name))?;
    }
    Ok(())
}

/// What a server used between two points of time.
struct Meter<'a> {
    server: &'a Server,
    cpu: Duration,
    beside: Option<Duration>,
}

impl<'a> Meter<'a> {
    fn start(server: &'a Server) -> anyhow::Result<Self> {
        Ok(Self {
            server,
            cpu: server.cpu()?,
            beside: server.beside.map(cpu).transpose()?,
        })
    }

    async fn used(self, wall: Duration) -> anyhow::Result<Used> {
        tokio::time::sleep(SETTLE).await;
        let now = Self::start(self.server)?;
        let beside = now.beside.zip(self.beside);
        Ok(Used {
            wall,
            cpu: now.cpu.saturating_sub(self.cpu),
            beside: beside.map(|(now, before)| now.saturating_sub(before)),
        })
    }
}

/// One load on one server, common to its clients.
#[derive(Clone)]
struct Task {
    work: Work,
    /// Each client's.
    doors: Vec<Door>,
    lmtp: Option<u16>,
    corpus: Arc<Corpus>,
    /// The next round, over all clients.
    next: Arc<AtomicU64>,
    until: std::time::Instant,
}

impl Task {
    /// Runs all clients and adds up what they measured.
    async fn all(self) -> anyhow::Result<Figures> {
        let mut workers = JoinSet::new();
        for lane in 0..self.work.at_once {
            workers.spawn(self.clone().client(lane));
        }
        let mut figures = Figures::default();
        while let Some(worker) = workers.join_next().await {
            figures.merge(&worker??);
        }
        Ok(figures)
    }

    /// One client after the other, until the time is over.
    async fn client(self, lane: usize) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let mut random = Random(u64::try_from(lane)?);
        for round in 0.. {
            let is_over = SystemClock.now() >= self.until;
            if (is_over && round > 0) || !self.round(lane, round, &mut random, &mut figures).await? {
                break;
            }
        }
        Ok(figures)
    }

    /// One round; `false` if there is nothing more to do.
    async fn round(
        &self,
        lane: usize,
        round: usize,
        random: &mut Random,
        figures: &mut Figures,
    ) -> anyhow::Result<bool> {
        // A maildrop has one session at a time: each client has maildrops of its own.
        let at_once = self.work.at_once;
        let own = |kind| -> Maildrop {
            let mine = (self.corpus.plan().maildrops(kind) - lane).div_ceil(at_once);
            Maildrop {
                kind,
                nth: lane + round % mine.max(1) * at_once,
            }
        };
        match self.work.mode {
            Mode::Sessions => self.session(own(Kind::User), lane, READ, random, figures).await?,
            Mode::Polls => self.session(own(Kind::User), lane, 0, random, figures).await?,
            Mode::Throughput => self.session(own(Kind::Large), lane, 1, random, figures).await?,
            Mode::Bare => self.bare(lane, figures).await?,
            Mode::Big => self.listed(Kind::Big, lane, figures).await?,
            Mode::Few => self.listed(Kind::Few, lane, figures).await?,
            Mode::Small => self.small(figures).await?,
            Mode::Deletes => {
                self.deletes(figures).await?;
                return Ok(false);
            }
            Mode::Deliver => self.deliver(own(Kind::User), random, figures).await?,
            Mode::Logins if lane < self.work.guessing => self.guess(lane, round, figures).await?,
            Mode::Logins => {
                let nth = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed))?;
                if nth + self.work.guessing >= self.work.accounts {
                    return Ok(false);
                }
                let maildrop = Maildrop {
                    kind: Kind::Login,
                    nth: self.work.first + nth,
                };
                let client = log_in(&self.doors[lane], maildrop, lane, figures).await?;
                quit(client, figures).await?;
                figures.done += 1;
            }
            Mode::Idle => return Ok(false),
        }
        Ok(true)
    }

    /// A whole session that reads `read` messages, from anywhere in the maildrop.
    async fn session(
        &self,
        maildrop: Maildrop,
        lane: usize,
        read: usize,
        random: &mut Random,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let mut client = log_in(&self.doors[lane], maildrop, lane, figures).await?;
        let n = self.corpus.len(maildrop);
        stat(&mut client, &self.corpus, maildrop, figures).await?;
        listing(&mut client, "UIDL", n, figures).await?;
        let first = usize::try_from(random.next() >> 1)? % n;
        for index in (0..read).map(|nth| (first + nth) % n) {
            let message = self.corpus.message(maildrop, index);
            let begun = SystemClock.now();
            client.command(&format!("RETR {}", index + 1)).await?;
            client
                .body(message)
                .await
                .with_context(|| format!("message {} of {}", index + 1, login_name(maildrop)))?;
            figures.took("RETR", begun.elapsed());
            figures.octets += u64::try_from(message.octets.len())?;
        }
        quit(client, figures).await?;
        figures.done += 1;
        Ok(())
    }

    /// A message that comes without being asked for.
    async fn bare(&self, lane: usize, figures: &mut Figures) -> anyhow::Result<()> {
        let maildrop = Maildrop {
            kind: Kind::Large,
            nth: 0,
        };
        let message = self.corpus.message(maildrop, 0);
        let mut client = Client::connect(&self.doors[lane], lane).await?;
        client.body(message).await?;
        client.closed().await?;
        figures.octets += u64::try_from(message.octets.len())?;
        figures.done += 1;
        Ok(())
    }

    async fn listed(&self, kind: Kind, lane: usize, figures: &mut Figures) -> anyhow::Result<()> {
        let maildrop = Maildrop { kind, nth: 0 };
        let n = self.corpus.len(maildrop);
        let mut client = greeted(&self.doors[lane], lane, figures).await?;
        let begun = SystemClock.now();
        client.command(&format!("USER {}", login_name(maildrop))).await?;
        client.command(&format!("PASS {PASSWORD}")).await?;
        stat(&mut client, &self.corpus, maildrop, figures).await?;
        figures.took("login to STAT", begun.elapsed());
        for command in ["UIDL", "LIST"] {
            listing(&mut client, command, n, figures).await?;
        }
        quit(client, figures).await?;
        figures.done += 1;
        Ok(())
    }

    async fn small(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let maildrop = Maildrop {
            kind: Kind::Small,
            nth: 0,
        };
        let n = self.corpus.len(maildrop);
        let mut client = log_in(&self.doors[0], maildrop, 0, figures).await?;
        stat(&mut client, &self.corpus, maildrop, figures).await?;
        let begun = SystemClock.now();
        let mut sent = 0;
        for index in 0..n {
            // Half of the window at a time, as a client does that fills its segments.
            if sent < n && sent - index <= IN_FLIGHT / 2 {
                let ahead = (sent..n.min(index + IN_FLIGHT))
                    .flat_map(|index| format!("RETR {}\r\n", index + 1).into_bytes());
                client.send(&ahead.collect::<Vec<u8>>()).await?;
                sent = n.min(index + IN_FLIGHT);
            }
            let message = self.corpus.message(maildrop, index);
            client.ok().await?;
            client.body(message).await?;
            figures.octets += u64::try_from(message.octets.len())?;
        }
        figures.took("RETR of all", begun.elapsed());
        quit(client, figures).await?;
        figures.done += 1;
        Ok(())
    }

    async fn deletes(&self, figures: &mut Figures) -> anyhow::Result<()> {
        const BLOCK: usize = 500;
        let maildrop = Maildrop {
            kind: Kind::Wipe,
            nth: 0,
        };
        let n = self.corpus.len(maildrop);
        let mut client = log_in(&self.doors[0], maildrop, 0, figures).await?;
        stat(&mut client, &self.corpus, maildrop, figures).await?;
        let begun = SystemClock.now();
        for first in (1..=n).step_by(BLOCK) {
            let numbers = first..(first + BLOCK).min(n + 1);
            let commands = numbers
                .clone()
                .flat_map(|number| format!("DELE {number}\r\n").into_bytes());
            client.send(&commands.collect::<Vec<u8>>()).await?;
            for _ in numbers {
                client.ok().await?;
            }
        }
        quit(client, figures).await?;
        figures.took("DELE of all and QUIT", begun.elapsed());
        figures.done += 1;
        Ok(())
    }

    async fn deliver(
        &self,
        maildrop: Maildrop,
        random: &mut Random,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        const PER_CONNECTION: usize = 100;
        let port = self.lmtp.context("this server takes no mail")?;
        // Those that are read stay as they are.
        let recipient = login_name(Maildrop {
            kind: Kind::Idle,
            nth: maildrop.nth,
        });
        let mut lmtp = Lmtp::connect(port, maildrop.nth).await?;
        for _ in 0..PER_CONNECTION {
            let index = usize::try_from(random.next() >> 1)? % self.corpus.len(maildrop);
            let message = self.corpus.message(maildrop, index);
            let begun = SystemClock.now();
            lmtp.deliver(&recipient, message).await?;
            figures.took("delivery", begun.elapsed());
            figures.octets += u64::try_from(message.octets.len())?;
            figures.done += 1;
            if SystemClock.now() >= self.until {
                break;
            }
        }
        Ok(())
    }

    /// A login with a wrong password, which was never tried before; it counts for nothing but its time.
    async fn guess(&self, lane: usize, round: usize, figures: &mut Figures) -> anyhow::Result<()> {
        let maildrop = Maildrop {
            kind: Kind::Login,
            nth: self.work.first + self.work.accounts - 1 - lane,
        };
        let address = STRANGERS + maildrop.nth % STRANGERS;
        let mut client = Client::connect(&self.doors[lane], address).await?;
        client.ok().await?;
        client.command(&format!("USER {}", login_name(maildrop))).await?;
        let begun = SystemClock.now();
        client
            .send(format!("PASS guess {lane} {round}\r\n").as_bytes())
            .await?;
        let line = client.line().await?;
        ensure!(line.starts_with("-ERR"), "a wrong password was answered {line}");
        figures.took("PASS, wrong", begun.elapsed());
        Ok(())
    }
}

/// Logs in, sees that all is there, and leaves.
pub(crate) async fn look(door: &Door, corpus: &Corpus, maildrop: Maildrop) -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let mut client = log_in(door, maildrop, maildrop.nth, &mut figures).await?;
    stat(&mut client, corpus, maildrop, &mut figures).await?;
    listing(&mut client, "UIDL", corpus.len(maildrop), &mut figures).await?;
    quit(client, &mut figures).await
}

async fn greeted(door: &Door, lane: usize, figures: &mut Figures) -> anyhow::Result<Client> {
    let begun = SystemClock.now();
    let mut client = Client::connect(door, lane).await?;
    client.ok().await.context("the greeting")?;
    figures.took("connection", begun.elapsed());
    Ok(client)
}

pub(crate) async fn log_in(
    door: &Door,
    maildrop: Maildrop,
    lane: usize,
    figures: &mut Figures,
) -> anyhow::Result<Client> {
    let mut client = greeted(door, lane, figures).await?;
    client.command(&format!("USER {}", login_name(maildrop))).await?;
    let begun = SystemClock.now();
    client
        .command(&format!("PASS {PASSWORD}"))
        .await
        .with_context(|| login_name(maildrop))?;
    figures.took("PASS", begun.elapsed());
    Ok(client)
}

pub(crate) async fn stat(
    client: &mut Client,
    corpus: &Corpus,
    maildrop: Maildrop,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let begun = SystemClock.now();
    let line = client.command("STAT").await?;
    figures.took("STAT", begun.elapsed());
    let expected = format!("+OK {} {}", corpus.len(maildrop), corpus.octets(maildrop));
    ensure!(
        line == expected || line.starts_with(&format!("{expected} ")),
        "STAT is {line}, not {expected}"
    );
    Ok(())
}

async fn listing(
    client: &mut Client,
    command: &'static str,
    n: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let begun = SystemClock.now();
    client.command(command).await?;
    client.listing(n).await?;
    figures.took(command, begun.elapsed());
    Ok(())
}

async fn quit(mut client: Client, figures: &mut Figures) -> anyhow::Result<()> {
    let begun = SystemClock.now();
    client.command("QUIT").await?;
    figures.took("QUIT", begun.elapsed());
    client.closed().await
}
