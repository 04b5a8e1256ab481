//! What a user and those who write to them do.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::Client;
use super::model::{Mailbox, Outcome};
use super::random::Random;
use super::{Frontend, Report, Workload};

/// A maildrop stays in use, and a server unavailable, no longer than this after a fault has ended.
const UNAVAILABLE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(200);
/// Above this no more is delivered before something is deleted.
const FULL: usize = 30;

/// One account's user.
pub(super) struct Actor {
    workload: Workload,
    random: Random,
    pub(super) mailbox: Mailbox,
    pub(super) report: Report,
}

/// A session in TRANSACTION, and what its listing said.
struct Open {
    client: Client,
    unique_ids: Vec<String>,
}

/// Why a session did not get on. Nothing of it counts.
enum Halt {
    /// The connection broke, or the server said to try again.
    Again,
    /// A promise is broken.
    Violation(String),
}

impl From<io::Error> for Halt {
    fn from(_: io::Error) -> Self {
        Self::Again
    }
}

impl From<String> for Halt {
    fn from(violation: String) -> Self {
        Self::Violation(violation)
    }
}

impl Actor {
    pub(super) fn new(workload: Workload, account: &str, seed: u64) -> Self {
        Self {
            mailbox: Mailbox::new(account, workload.seed),
            workload,
            random: Random::new(seed),
            report: Report::default(),
        }
    }

    /// Some deliveries and a session.
    pub(super) async fn step(&mut self) {
        let n_deliveries = if self.mailbox.len() > FULL {
            0
        } else {
            self.random.below(4)
        };
        for _ in 0..n_deliveries {
            let done = self.deliver().await;
            self.note(done);
        }
        let done = match self.random.below(8) {
            0 => self.kicked().await,
            _ => self.session().await,
        };
        self.note(done);
    }

    /// Every message octet by octet, however long the servers take to come back.
    pub(super) async fn look_at_everything(&mut self) {
        let until = Instant::now() + UNAVAILABLE;
        loop {
            match self.read_all().await {
                Ok(()) => return,
                Err(Halt::Violation(what)) => return self.violated(&what),
                Err(Halt::Again) if Instant::now() > until => {
                    return self.violated("never: a session after the faults have ended");
                }
                Err(Halt::Again) => sleep(PAUSE).await,
            }
        }
    }

    fn note(&mut self, done: Result<(), Halt>) {
        if let Err(Halt::Violation(what)) = done {
            self.violated(&what);
        }
    }

    fn violated(&mut self, what: &str) {
        let text = format!("seed {}: {}: {what}", self.workload.seed, self.mailbox.account());
        self.report.violations.push(text);
    }

    fn frontend(&mut self) -> Frontend {
        let nth = self.random.below(self.workload.frontends.len());
        self.workload.frontends[nth]
    }

    async fn deliver(&mut self) -> Result<(), Halt> {
        let serial = self.mailbox.begin();
        let octets = self.mailbox.octets(serial);
        let lmtp = self.frontend().lmtp;
        let reply = self.send(lmtp, &octets).await;
        match reply {
            Ok(Some(reply)) if reply.starts_with("250") => {
                self.report.delivered += 1;
                self.mailbox.delivered(serial);
            }
            // Refused before the end of the data, or after it: a message that may have been delivered is told by 451 too.
            Ok(None) => self.mailbox.refused(serial),
            Ok(Some(_)) | Err(_) => self.report.unsure += 1,
        }
        Ok(())
    }

    /// The reply to the end of the data; none if it did not come so far.
    async fn send(&self, lmtp: std::net::SocketAddr, octets: &[u8]) -> io::Result<Option<String>> {
        let Ok((mut client, greeting)) = Client::connect(lmtp).await else {
            return Ok(None);
        };
        let commands = [
            "LHLO test.example".to_owned(),
            "MAIL FROM:<sender@example.net>".to_owned(),
            format!("RCPT TO:<{}>", self.mailbox.account()),
            "DATA".to_owned(),
        ];
        let mut last = greeting;
        for command in &commands {
            if !last.starts_with('2') {
                return Ok(None);
            }
            let Ok(()) = client.send(format!("{command}\r\n").as_bytes()).await else {
                return Ok(None);
            };
            let Ok(reply) = client.reply().await else {
                return Ok(None);
            };
            last = reply;
        }
        if !last.starts_with("354") {
            return Ok(None);
        }
        let mut data = Vec::with_capacity(octets.len() + 64);
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b".") {
                data.push(b'.');
            }
            data.extend_from_slice(line);
        }
        data.extend_from_slice(b".\r\n");
        client.send(&data).await?;
        client.reply().await.map(Some)
    }

    /// Logs in somewhere and lists; waits for a maildrop that is in use.
    async fn open(&mut self) -> Result<Open, Halt> {
        let until = Instant::now() + UNAVAILABLE;
        loop {
            let frontend = self.frontend();
            let said = match self.log_in(frontend).await {
                Ok(Ok(client)) => return self.list(client).await,
                Ok(Err(said)) => said,
                Err(Halt::Again) => "nothing".to_owned(),
                Err(violation) => return Err(violation),
            };
            if Instant::now() > until {
                let what = format!("never: a maildrop that is free; {} says {said}", frontend.pop3);
                return Err(Halt::Violation(what));
            }
            sleep(PAUSE).await;
        }
    }

    /// What the server says instead, if it says to try again.
    async fn log_in(&self, frontend: Frontend) -> Result<Result<Client, String>, Halt> {
        let (mut client, greeting) = Client::connect(frontend.pop3).await?;
        if !greeting.starts_with("+OK") {
            return Ok(Err(greeting));
        }
        client.ask(&format!("USER {}", self.mailbox.account())).await?;
        let reply = client.ask(&format!("PASS {}", self.workload.password)).await?;
        if reply.starts_with("-ERR [AUTH]") {
            return Err(Halt::Violation(format!("the right password is refused: {reply}")));
        }
        Ok(if reply.starts_with("+OK") {
            Ok(client)
        } else {
            Err(reply)
        })
    }

    async fn list(&mut self, mut client: Client) -> Result<Open, Halt> {
        let reply = client.ask("UIDL").await?;
        if !reply.starts_with("+OK") {
            return Err(Halt::Again);
        }
        let listing = String::from_utf8_lossy(&client.rest().await?).into_owned();
        let unique_ids: Vec<String> = listing
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()))
            .collect();
        self.report.sessions += 1;
        let mut is_complete = true;
        for (nth, unique_id) in unique_ids.iter().enumerate() {
            if self.mailbox.serial(unique_id).is_some() {
                continue;
            }
            let reply = client.ask(&format!("TOP {} 0", nth + 1)).await?;
            if reply.starts_with("+OK") {
                let header = client.rest().await?;
                self.mailbox.learn(unique_id, &header)?;
            } else {
                is_complete = false;
            }
        }
        self.mailbox.listed(&unique_ids, is_complete)?;
        Ok(Open { client, unique_ids })
    }

    async fn session(&mut self) -> Result<(), Halt> {
        let mut open = self.open().await?;
        for nth in 0..open.unique_ids.len() {
            if self.random.one_in(3) {
                self.retrieve(&mut open, nth).await?;
            }
        }
        let marked = self.mark(&mut open).await?;
        if self.random.one_in(6) {
            // Gone without QUIT: nothing is deleted.
            return Ok(());
        }
        self.quit(open, &marked).await;
        Ok(())
    }

    /// A session that an operator ends, and one that takes its place, before the first says QUIT.
    async fn kicked(&mut self) -> Result<(), Halt> {
        let mut first = self.open().await?;
        let marked = self.mark(&mut first).await?;
        if marked.is_empty() {
            return Ok(());
        }
        if !(self.workload.kick)(self.mailbox.account().to_owned()).await {
            return Ok(());
        }
        let mut second = self.open().await?;
        let others = self.mark(&mut second).await?;
        self.quit(second, &others).await;
        self.report.kicked += 1;
        match first.client.ask("QUIT").await {
            Ok(reply) if reply.starts_with("+OK") => Err(Halt::Violation(format!(
                "a session commits that has lost its maildrop: {reply}"
            ))),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn retrieve(&self, open: &mut Open, nth: usize) -> Result<(), Halt> {
        let reply = open.client.ask(&format!("RETR {}", nth + 1)).await?;
        if !reply.starts_with("+OK") {
            return Ok(());
        }
        let octets = open.client.rest().await?;
        let Some(serial) = self.mailbox.serial(&open.unique_ids[nth]) else {
            return Ok(());
        };
        if octets == self.mailbox.octets(serial) {
            Ok(())
        } else {
            Err(Halt::Violation(format!(
                "message {serial} came complete with other octets than were delivered"
            )))
        }
    }

    /// Marks some messages; answers which.
    async fn mark(&mut self, open: &mut Open) -> Result<Vec<u64>, Halt> {
        let mut marked = Vec::new();
        for (nth, unique_id) in open.unique_ids.iter().enumerate() {
            let Some(serial) = self.mailbox.serial(unique_id) else {
                continue;
            };
            if self.random.one_in(3)
                && open
                    .client
                    .ask(&format!("DELE {}", nth + 1))
                    .await?
                    .starts_with("+OK")
            {
                marked.push(serial);
            }
        }
        Ok(marked)
    }

    async fn quit(&mut self, mut open: Open, marked: &[u64]) {
        if marked.is_empty() {
            // The answer says nothing about any message.
            drop(open.client.ask("QUIT").await);
            return;
        }
        let outcome = match open.client.ask("QUIT").await {
            Ok(reply) if reply.starts_with("+OK") => Outcome::Deleted,
            Ok(reply) if reply.to_ascii_lowercase().contains("not deleted") => Outcome::NotDeleted,
            // A command line that is lost on its way, or the answer to it, or a server that ends the session before.
            Ok(_) | Err(_) => Outcome::Unknown,
        };
        match outcome {
            Outcome::Deleted => self.report.committed += 1,
            Outcome::Unknown => self.report.unsure += 1,
            Outcome::NotDeleted => {}
        }
        self.mailbox.quit(marked, outcome);
    }

    async fn read_all(&mut self) -> Result<(), Halt> {
        let mut open = self.open().await?;
        for nth in 0..open.unique_ids.len() {
            let reply = open.client.ask(&format!("RETR {}", nth + 1)).await?;
            if !reply.starts_with("+OK") {
                return Err(Halt::Again);
            }
            let octets = open.client.rest().await?;
            let serial = self.mailbox.serial(&open.unique_ids[nth]);
            if serial.is_none_or(|serial| octets != self.mailbox.octets(serial)) {
                return Err(Halt::Violation(format!(
                    "{} has other octets",
                    open.unique_ids[nth]
                )));
            }
        }
        open.client.ask("QUIT").await?;
        Ok(())
    }
}
