//! Three frontends over one Postgres behind PgBouncer, Redis and a bucket, with everything that can fail failing, and
//! the checker of the testkit as the judge.
//!
//! By default a short form. `RESTANTE_CLUSTER=SESSIONS:FAULTS:SEED` runs another, as
//! `RESTANTE_CLUSTER=10000:200:7 cargo test -p restante --test it cluster::everything -- --nocapture`.

mod faults;
mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use restante_testkit::cluster::{Client, Frontend, Random, Report};
use tokio::time::{Instant, sleep};

use crate::support::PATIENCE;
use faults::{FAILPOINTS, Faults};
use rig::{Options, Rig};

/// Sessions and faults of the short form, and the seed.
const SHORT: (u64, usize) = (150, 12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_fails_and_no_promise_is_broken() {
    let (sessions, n_faults, seed) = size();
    println!("cluster: {sessions} sessions, {n_faults} faults, seed {seed}");
    let Some(rig) = Rig::start(Options::default()).await else {
        return;
    };
    let workload = rig.workload(seed);
    let start = Instant::now();
    let mut faults = Faults::new(seed);
    let are_made = Arc::new(AtomicBool::new(false));
    let is_enough = {
        let are_made = Arc::clone(&are_made);
        move |n| n >= sessions && are_made.load(Ordering::SeqCst)
    };
    let making = async {
        let made = faults.make(&rig, n_faults).await;
        are_made.store(true, Ordering::SeqCst);
        made
    };
    let working = async { tokio::join!(workload.run(is_enough), making) };
    let ((report, mailboxes), made) = Box::pin(supervised(&rig, working)).await;
    println!(
        "{report:?}, {} faults in {:?}: {made:#?}",
        made.len(),
        start.elapsed()
    );
    rig.mend().await;
    let last = workload.check(mailboxes).await;
    assert_unbroken(&rig, &report, &last);
    assert!(report.sessions >= sessions && made.len() == n_faults);
    assert!(report.committed > 0 && report.delivered > 0, "{report:?}");
    assert_whole(&rig).await;
}

/// FAULTS.md F01, F19 and X02: a frontend is lost at each of the places where it matters, and each of them is come to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_a_frontend_that_is_lost_at_each_critical_place_breaks_no_promise() {
    let Some(rig) = Rig::start(Options::default()).await else {
        return;
    };
    let rig = Arc::new(rig);
    for (nth, point) in FAILPOINTS.into_iter().enumerate() {
        rig.kill(0);
        rig.begin(0, Some(point));
        let workload = rig.workload(nth as u64);
        let until = Instant::now() + PATIENCE;
        let (watched, n_starts) = (Arc::clone(&rig), rig.n_starts(0));
        let has_ended = move |_| watched.n_starts(0) != n_starts || Instant::now() > until;
        let (report, mailboxes) = supervised(&rig, workload.run(has_ended)).await;
        assert!(Instant::now() < until, "nobody came to {point}: {report:?}");
        rig.mend().await;
        assert_unbroken(&rig, &report, &workload.check(mailboxes).await);
        rig.empty(&workload.accounts).await;
    }
    assert_whole(&rig).await;
}

/// FAULTS.md F07: the primary is lost, a synchronous standby takes over, and nothing that was acknowledged is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_a_synchronous_standby_takes_over_and_no_promise_is_broken() {
    let options = Options {
        in_rows: true,
        has_standby: true,
    };
    let Some(rig) = Rig::start(options).await else {
        return;
    };
    let workload = rig.workload(7);
    let has_failed = Arc::new(AtomicBool::new(false));
    let is_enough = {
        let has_failed = Arc::clone(&has_failed);
        move |n| n >= 60 && has_failed.load(Ordering::SeqCst)
    };
    let failing = async {
        sleep(Duration::from_secs(3)).await;
        rig.fail_over().await;
        sleep(Duration::from_secs(3)).await;
        has_failed.store(true, Ordering::SeqCst);
    };
    let working = async { tokio::join!(workload.run(is_enough), failing) };
    let ((report, mailboxes), ()) = Box::pin(supervised(&rig, working)).await;
    println!("{report:?}");
    rig.mend().await;
    assert_unbroken(&rig, &report, &workload.check(mailboxes).await);
    assert!(report.committed > 0 && report.delivered > 10, "{report:?}");
    // Nobody stands by the new primary: a frontend that starts now says so.
    rig.kill(0);
    rig.begin(0, None);
    let log = rig.log_after_end(0).await;
    assert!(log.contains("has no synchronous standby"), "{log}");
}

/// D10: while the standby is gone nothing is acknowledged, and what was asked for is not taken back either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_standby_nothing_is_acknowledged() {
    let options = Options {
        in_rows: true,
        has_standby: true,
    };
    let Some(rig) = Rig::start(options).await else {
        return;
    };
    let workload = rig.workload(1);
    let (frontend, account) = (workload.frontends[0], &workload.accounts[0]);
    let mut sender = lmtp(frontend, account).await;
    assert!(end_of_data(&mut sender).await.starts_with("250"));
    let mut reader = log_in(frontend, account).await.unwrap();
    assert!(reader.ask("DELE 1").await.unwrap().starts_with("+OK"));
    let mut sender = lmtp(frontend, account).await;
    rig.standby.as_ref().unwrap().pause();
    let (quit, delivered) = tokio::join!(reader.ask("QUIT"), end_of_data(&mut sender));
    assert_eq!(quit.unwrap(), "-ERR [SYS/TEMP] Outcome unknown, check again");
    assert!(delivered.starts_with("451 "), "{delivered}");
    rig.standby.as_ref().unwrap().resume();
    let until = Instant::now() + PATIENCE;
    while log_in(frontend, account).await.is_none() {
        assert!(Instant::now() < until, "nobody logs in any more");
        sleep(Duration::from_millis(200)).await;
    }
}

/// A client that has begun DATA.
async fn lmtp(frontend: Frontend, account: &str) -> Client {
    let (mut client, _) = Client::connect(frontend.lmtp).await.unwrap();
    let recipient = format!("RCPT TO:<{account}>");
    for command in [
        "LHLO test.example",
        "MAIL FROM:<sender@example.net>",
        &recipient,
        "DATA",
    ] {
        client.send(format!("{command}\r\n").as_bytes()).await.unwrap();
        let reply = client.reply().await.unwrap();
        assert!(
            reply.starts_with('2') || reply.starts_with("354"),
            "{command}: {reply}"
        );
    }
    client
}

async fn end_of_data(client: &mut Client) -> String {
    client.send(b"Subject: a\r\n\r\nbody\r\n.\r\n").await.unwrap();
    client.reply().await.unwrap()
}

/// `None` if the server says to try again.
async fn log_in(frontend: Frontend, account: &str) -> Option<Client> {
    let (mut client, _) = Client::connect(frontend.pop3).await.ok()?;
    client.ask(&format!("USER {account}")).await.ok()?;
    let reply = client.ask(&format!("PASS {}", rig::PASSWORD)).await.ok()?;
    reply.starts_with("+OK").then_some(client)
}

/// What comes of `working` while frontends that end are started again.
async fn supervised<T>(rig: &Rig, working: impl Future<Output = T>) -> T {
    tokio::select! {
        done = working => done,
        never = rig.supervise() => match never {},
    }
}

/// Nothing is missing, nothing is left over, and quotas are counted to the octet.
async fn assert_whole(rig: &Rig) {
    let verified = rig.fleet_tool(&["verify"]);
    assert!(verified.contains(": 0 findings"), "{verified}");
    let miscounted = rig
        .database
        .ask(
            "SELECT count(*)::text FROM maildrop d, LATERAL (
                 SELECT count(*) AS messages, coalesce(sum(octets), 0) AS octets FROM message
                 WHERE maildrop_id = d.maildrop_id AND deleted_at IS NULL) AS there
             WHERE d.messages <> there.messages OR d.octets <> there.octets",
        )
        .await;
    assert_eq!(miscounted, "0");
}

#[track_caller]
fn assert_unbroken(rig: &Rig, report: &Report, last: &Report) {
    let broken: Vec<&String> = report.violations.iter().chain(&last.violations).collect();
    assert!(broken.is_empty(), "{broken:#?}\n{}", rig.logs());
}

fn size() -> (u64, usize, u64) {
    let parse = |text: String| {
        let numbers: Vec<u64> = text.split(':').filter_map(|number| number.parse().ok()).collect();
        let [sessions, n_faults, seed] = numbers[..] else {
            panic!("RESTANTE_CLUSTER is SESSIONS:FAULTS:SEED");
        };
        (sessions, usize::try_from(n_faults).unwrap(), seed)
    };
    let by_clock = || {
        let since =
            restante_types::Clock::wall(&restante_types::SystemClock).duration_since(std::time::UNIX_EPOCH);
        Random::new(since.unwrap().as_secs()).number() % 1_000_000
    };
    std::env::var("RESTANTE_CLUSTER").map_or_else(|_| (SHORT.0, SHORT.1, by_clock()), parse)
}
