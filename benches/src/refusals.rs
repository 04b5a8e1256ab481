//! Whether the time of a refusal tells why it was refused. Start at [`run`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::stream::{self, StreamExt as _};
use restante_auth::password::{HashParams, Password, Rule};
use restante_auth::{
    AccountPatch, AccountState, AuditLog, AuthLimits, AuthPorts, Authenticator, DirectoryAdmin, GateLimits,
    LoginContext, LoginName, NewAccount, NewPassword, Scope, Transport, Verdict,
};
use restante_postgres::{Pg, PgDirectory, PgOptions};
use restante_sasl::{Claim, LoginMechanism};
use restante_telemetry::Telemetry;
use restante_testkit::{NoLimits, Postgres};
use restante_types::{ClientAddr, Clock, Secret, SessionId, SystemClock};

const PASSWORD: &[u8] = b"correct horse";
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a login is refused.
struct Reason {
    what: &'static str,
    name: &'static str,
    /// The password, if it is always the same; else one that was never tried.
    password: Option<&'static [u8]>,
}

const REASONS: [Reason; 4] = [
    Reason {
        what: "unknown name",
        name: "nobody@acme.example",
        password: None,
    },
    Reason {
        what: "unknown name again",
        name: "nobody@acme.example",
        password: None,
    },
    Reason {
        what: "wrong password",
        name: "known@acme.example",
        password: None,
    },
    Reason {
        what: "suspended account",
        name: "suspended@acme.example",
        password: Some(PASSWORD),
    },
];

/// Refuses `times` logins for each reason, by turns, `at_once` at the same time.
pub(crate) async fn run(times: usize, floor: Duration, at_once: usize) -> anyhow::Result<()> {
    ensure!(
        times > 0 && at_once > 0,
        "--times and --at-once must be at least 1"
    );
    let cluster = Postgres::shared()
        .await
        .context("PostgreSQL is needed: apt-get install postgresql")?;
    let database = cluster.database().await;
    let options = PgOptions::new(Secret::new(database.url()));
    Pg::migrate(&options).await?;
    let directory = PgDirectory::new(&Pg::open(&options).await?);
    // A weak hash, so that a difference beside it shows.
    let rule = Rule {
        params: HashParams {
            memory_kib: 1_024,
            iterations: 1,
            parallelism: 1,
        },
        keyring: None,
    };
    fill(&directory, &rule).await?;
    let authenticator = authenticator(directory, rule, floor, at_once).await?;

    let mut took: [Vec<Duration>; REASONS.len()] = Default::default();
    // Each reason comes first as often.
    let turns = (0..times).flat_map(|round| (0..REASONS.len()).map(move |turn| (round, turn)));
    let mut asked = stream::iter(turns)
        .map(|(round, turn)| {
            let nth = (round + turn) % REASONS.len();
            let authenticator = &authenticator;
            async move {
                let guess = round * REASONS.len() + nth;
                anyhow::Ok((nth, refused(authenticator, &REASONS[nth], guess).await?))
            }
        })
        .buffer_unordered(at_once);
    while let Some(answer) = asked.next().await {
        let (nth, time) = answer?;
        took[nth].push(time);
    }
    report(&mut took);
    Ok(())
}

async fn fill(directory: &PgDirectory, rule: &Rule) -> anyhow::Result<()> {
    directory.add_tenant("acme", "main").await?;
    directory.add_domain("acme", "acme.example").await?;
    let password = Password::prepare(PASSWORD)?;
    for name in ["known@acme.example", "suspended@acme.example"] {
        let account = NewAccount {
            name: LoginName::parse(name)?,
            password: Some(NewPassword::make(&password, rule, false)?),
            quota_octets: None,
            quota_messages: None,
        };
        directory.add_account(account).await?;
    }
    let suspended = AccountPatch {
        state: Some(AccountState::LoginSuspended),
        ..AccountPatch::default()
    };
    directory
        .set_account(&LoginName::parse("suspended@acme.example")?, suspended)
        .await?;
    Ok(())
}

async fn authenticator(
    directory: PgDirectory,
    rule: Rule,
    floor: Duration,
    at_once: usize,
) -> anyhow::Result<Authenticator> {
    let directory = Arc::new(directory);
    let ports = AuthPorts {
        directory: directory.clone(),
        limiter: Arc::new(NoLimits),
        tokens: None,
        audit: AuditLog::start(directory, Telemetry::default()),
        rule,
        clock: Arc::new(SystemClock),
        telemetry: Telemetry::default(),
    };
    let limits = AuthLimits {
        gate: GateLimits {
            permits: 1,
            queue: at_once,
            wait: PATIENCE,
        },
        deadline: PATIENCE,
        floor,
    };
    Ok(Authenticator::open(ports, limits).await?)
}

/// How long it takes to be refused.
async fn refused(authenticator: &Authenticator, reason: &Reason, nth: usize) -> anyhow::Result<Duration> {
    let fresh = format!("guess {nth:08}");
    let claim = Claim::Password {
        name: reason.name.as_bytes().to_vec(),
        password: Secret::new(reason.password.unwrap_or(fresh.as_bytes()).to_vec()),
        mechanism: LoginMechanism::Plain,
    };
    let context = LoginContext {
        scope: Scope::default(),
        client: ClientAddr::new("192.0.2.7:4711".parse()?),
        transport: Transport::Tls13,
        session: SessionId::from_octets([7; 16]),
        certificate_names: Vec::new(),
    };
    let begun = SystemClock.now();
    let verdict = authenticator.verify(claim, None, &context).await;
    let time = SystemClock.now().duration_since(begun);
    match verdict {
        Verdict::Refused => Ok(time),
        other => bail!("{}: not refused but {other:?}", reason.what),
    }
}

fn report(took: &mut [Vec<Duration>; REASONS.len()]) {
    for times in took.iter_mut() {
        times.sort_unstable();
    }
    let unknown = &took[0];
    println!("| refused for | median, us | ratio to an unknown name | longer than that of an unknown name |");
    println!("|---|---|---|---|");
    for (reason, times) in REASONS.iter().zip(took.iter()).skip(1) {
        let (median, base) = (median(times), median(unknown));
        println!(
            "| {} | {} | {:.3} | {:.3} |",
            reason.what,
            median.as_micros(),
            median.as_secs_f64() / base.as_secs_f64(),
            longer(times, unknown)
        );
    }
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

/// How often one of `these` is longer than one of `those`, of all pairs; both are sorted.
fn longer(these: &[Duration], those: &[Duration]) -> f64 {
    let pairs: f64 = these
        .iter()
        .map(|time| {
            let shorter = those.partition_point(|other| other < time);
            let same = those.partition_point(|other| other <= time) - shorter;
            count(shorter) + count(same) / 2.0
        })
        .sum();
    pairs / count(these.len()) / count(those.len())
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
