//! What is done to the parts, one after the other, as a seed says.

use std::time::Duration;

use restante_testkit::cluster::Random;
use restante_testkit::{Direction, Fault, S3Call, S3Fault};
use tokio::time::sleep;

use super::rig::Rig;

/// Where a frontend ends itself.
pub(super) const FAILPOINTS: [&str; 8] = [
    "update.before",
    "update.after",
    "update.unanswered",
    "retr.unverified",
    "deliver.reserved",
    "deliver.stored",
    "deliver.indexed",
    "collector.removed",
];

/// Makes faults and lifts them again.
pub(super) struct Faults {
    random: Random,
}

impl Faults {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed ^ 0xFA17),
        }
    }

    /// Makes so many, and leaves nothing broken behind; answers what it did.
    pub(super) async fn make(&mut self, rig: &Rig, n_faults: usize) -> Vec<String> {
        let mut made = Vec::new();
        while made.len() < n_faults {
            made.push(self.one(rig).await);
            self.pause(200, 800).await;
        }
        made
    }

    async fn one(&mut self, rig: &Rig) -> String {
        let nth = self.random.below(rig.n_frontends());
        match self.random.below(12) {
            0 | 1 => {
                rig.kill(nth);
                self.pause(0, 1_000).await;
                rig.begin(nth, None);
                format!("frontend {nth} killed")
            }
            2 | 3 => self.failpoint(rig, nth).await,
            4 => {
                rig.signal(nth, "STOP");
                self.pause(1_000, 6_000).await;
                rig.signal(nth, "CONT");
                format!("frontend {nth} stalled")
            }
            5 => {
                rig.postgres.stop_immediately();
                self.pause(0, 1_000).await;
                rig.postgres.start_again().await;
                "Postgres crashed".to_owned()
            }
            6 => {
                rig.postgres.pause();
                self.pause(500, 3_000).await;
                rig.postgres.resume();
                "Postgres stalled".to_owned()
            }
            7 => {
                rig.to_database.set(&Fault::BlackHole);
                self.pause(500, 3_000).await;
                rig.to_database.set(&Fault::Pass);
                "the way to Postgres swallowed everything".to_owned()
            }
            8 => {
                // What is asked is done, and its answer lost.
                let lost = Fault::CutAfter(b"COMMIT".to_vec());
                rig.to_database.set_towards(Direction::ToServer, lost);
                self.pause(300, 1_500).await;
                rig.to_database.set(&Fault::Pass);
                "answers to COMMIT were lost".to_owned()
            }
            9 => {
                rig.redis.kill();
                self.pause(300, 1_500).await;
                rig.redis.start_again().await;
                "Redis killed".to_owned()
            }
            _ => self.bucket(rig).await,
        }
    }

    async fn failpoint(&mut self, rig: &Rig, nth: usize) -> String {
        let (point, times) = (
            FAILPOINTS[self.random.below(FAILPOINTS.len())],
            1 + self.random.below(3),
        );
        rig.kill(nth);
        rig.begin(nth, Some(&format!("{point}:{times}")));
        let n_starts = rig.n_starts(nth);
        for _ in 0..50 {
            sleep(Duration::from_millis(100)).await;
            if rig.n_starts(nth) != n_starts {
                return format!("frontend {nth} ended at {point}");
            }
        }
        rig.kill(nth);
        rig.begin(nth, None);
        format!("frontend {nth} did not come to {point} and was killed")
    }

    async fn bucket(&mut self, rig: &Rig) -> String {
        let fault = match self.random.below(8) {
            0 => S3Fault::Refuse(500, "InternalError"),
            1 => S3Fault::RefuseAfter(500, "InternalError"),
            2 => S3Fault::Refuse(503, "SlowDown"),
            3 => S3Fault::Late(Duration::from_millis(700)),
            4 => S3Fault::Cut(100),
            5 => S3Fault::Flip(120),
            6 => S3Fault::Close,
            _ => S3Fault::LoseAnswer,
        };
        let calls = [S3Call::Get, S3Call::Put, S3Call::Delete, S3Call::Head];
        let call = match fault {
            // Only of what is read there is a body to spoil.
            S3Fault::Cut(_) | S3Fault::Flip(_) => S3Call::Get,
            _ => calls[self.random.below(calls.len())],
        };
        let what = format!("the bucket's {call:?}: {fault:?}");
        rig.s3.set(call, 0, fault);
        self.pause(500, 2_000).await;
        rig.s3.mend();
        what
    }

    async fn pause(&mut self, least: u64, most: u64) {
        let more = self.random.below(usize::try_from(most - least).unwrap());
        sleep(Duration::from_millis(least + more as u64)).await;
    }
}
