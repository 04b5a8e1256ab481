//! Limits in memory, and the bridge over an outage of shared ones, over paused time.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{
    Admission, Attempt, AttemptLimiter, FallbackLimiter, LimiterLost, MemoryLimiter, NameKey, PLACE_LEASE,
    UsageLimiter,
};
use restante_types::{AccountId, SessionId, TenantId};

fn attempt(name: u8, client: &str) -> Attempt {
    Attempt {
        name: Some(NameKey([name; 16])),
        client: client.parse().unwrap(),
    }
}

fn tenant(number: i64) -> TenantId {
    TenantId::new(number).unwrap()
}

fn session(number: u8) -> SessionId {
    SessionId::from_octets([number; 16])
}

fn after(seconds: u64, guarded: bool) -> Admission {
    Admission::After {
        wait: Duration::from_secs(seconds),
        guarded,
    }
}

async fn fail(limiter: &MemoryLimiter, attempt: &Attempt, times: usize) {
    for _ in 0..times {
        limiter.failed(attempt).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a11_parallel_attempts_from_one_address_are_admitted_one_after_the_other() {
    let limiter = MemoryLimiter::new();
    fail(&limiter, &attempt(1, "192.0.2.7"), 2).await;
    let mut waits = Vec::new();
    for number in 0..200 {
        waits.push(limiter.admit(&attempt(number, "192.0.2.7")).await.unwrap());
    }
    assert_eq!(
        waits[..4],
        [
            after(0, false),
            after(4, false),
            after(8, false),
            after(12, false)
        ]
    );
    assert!(waits[4..].iter().all(|wait| *wait == Admission::TooMany));
    assert_eq!(
        limiter.admit(&attempt(9, "192.0.2.8")).await.unwrap(),
        after(0, false),
        "others do not wait"
    );
    tokio::time::advance(Duration::from_secs(16)).await;
    assert_eq!(
        limiter.admit(&attempt(9, "192.0.2.7")).await.unwrap(),
        after(0, false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_of_address_within_a_network_gains_little() {
    for network in ["192.0.2.", "2001:db8:0:"] {
        let limiter = MemoryLimiter::new();
        let client = |number: u8| match network {
            "192.0.2." => format!("{network}{number}"),
            _ => format!("{network}{number}::1"),
        };
        for number in 1..12 {
            fail(&limiter, &attempt(number, &client(number)), 1).await;
        }
        let admitted = limiter.admit(&attempt(99, &client(99))).await.unwrap();
        assert_eq!(admitted, after(0, false));
        let next = limiter.admit(&attempt(98, &client(98))).await.unwrap();
        assert_eq!(next, after(15, false), "{network}");
    }
}

#[tokio::test(start_paused = true)]
async fn a12_10_000_addresses_guessing_at_one_account_do_not_lock_its_owner_out() {
    let limiter = MemoryLimiter::new();
    limiter.succeeded(&attempt(1, "192.0.2.7")).await.unwrap();
    for number in 0..10_000_u32 {
        let client = IpAddr::from((0x0a00_0000 + (number << 8)).to_be_bytes());
        let guess = Attempt {
            name: Some(NameKey([1; 16])),
            client,
        };
        let admission = limiter.admit(&guess).await.unwrap();
        let Admission::After { guarded, wait } = admission else {
            panic!("guess {number} from a network of its own: {admission:?}");
        };
        assert!(
            guarded || number < 25,
            "guess {number} may be a password of one's own"
        );
        assert!(
            !guarded || wait.is_zero(),
            "an application password does not wait"
        );
        if !guarded {
            limiter.failed(&guess).await.unwrap();
        }
    }
    fail(&limiter, &attempt(1, "198.51.100.1"), 20).await;
    assert_eq!(
        limiter.admit(&attempt(1, "203.0.113.1")).await.unwrap(),
        after(0, true)
    );
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.99")).await.unwrap(),
        after(0, false),
        "a known network"
    );
    assert_eq!(
        limiter.admit(&attempt(2, "203.0.113.2")).await.unwrap(),
        after(0, false),
        "another account"
    );
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(
        limiter.admit(&attempt(1, "203.0.113.1")).await.unwrap(),
        after(0, false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_network_is_known_for_an_account_for_30_days() {
    let limiter = MemoryLimiter::new();
    limiter.succeeded(&attempt(1, "192.0.2.7")).await.unwrap();
    tokio::time::advance(
        Duration::from_hours(30 * 24)
            .checked_sub(Duration::from_secs(1))
            .unwrap(),
    )
    .await;
    fail(&limiter, &attempt(1, "198.51.100.1"), 20).await;
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.8")).await.unwrap(),
        after(0, false)
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.8")).await.unwrap(),
        after(0, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_network_stays_known_by_logging_in_again() {
    let limiter = MemoryLimiter::new();
    // Not every success is noted, but one of each hour.
    for _ in 0..31 * 24 * 2 {
        limiter.succeeded(&attempt(1, "192.0.2.7")).await.unwrap();
        tokio::time::advance(Duration::from_mins(30)).await;
    }
    tokio::time::advance(Duration::from_hours(30 * 24 - 2)).await;
    fail(&limiter, &attempt(1, "198.51.100.1"), 20).await;
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.8")).await.unwrap(),
        after(0, false)
    );
    tokio::time::advance(Duration::from_hours(2)).await;
    fail(&limiter, &attempt(1, "198.51.100.1"), 20).await;
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.8")).await.unwrap(),
        after(0, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_does_not_pay_for_guesses_at_others() {
    let limiter = MemoryLimiter::new();
    fail(&limiter, &attempt(1, "192.0.2.7"), 4).await;
    limiter.succeeded(&attempt(2, "192.0.2.7")).await.unwrap();
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap(),
        after(0, false)
    );
    assert_eq!(
        limiter.admit(&attempt(3, "192.0.2.7")).await.unwrap(),
        after(15, false)
    );
    assert_eq!(
        limiter.admit(&attempt(2, "192.0.2.7")).await.unwrap(),
        after(0, false),
        "its own account"
    );
}

#[tokio::test(start_paused = true)]
async fn f29_a_flood_of_names_is_forgotten_and_not_kept() {
    let limiter = MemoryLimiter::new();
    for number in 0..150_000_u32 {
        let flood = Attempt {
            name: Some(NameKey(u128::from(number).to_be_bytes())),
            client: IpAddr::from(number.to_be_bytes()),
        };
        limiter.failed(&flood).await.unwrap();
    }
    let shown = format!("{limiter:?}");
    let counts = shown
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse::<u32>().ok());
    let counts: Vec<_> = counts.collect();
    // The cache sorts itself out now and then, a few hundred entries late.
    assert!(
        counts.len() == 3 && counts.iter().all(|count| *count < 101_000),
        "{shown}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_reads_its_limit_in_a_day_and_the_last_message_past_it() {
    let limiter = MemoryLimiter::new();
    let account = AccountId::new(tenant(1), 23).unwrap();
    let other = AccountId::new(tenant(12), 3).unwrap();
    for (octets, may) in [(999, true), (5_000, true), (1, false)] {
        assert_eq!(
            limiter.spend(account, octets, 1_000).await.unwrap(),
            may,
            "{octets}"
        );
    }
    assert!(limiter.spend(other, 1, 1_000).await.unwrap());
    tokio::time::advance(Duration::from_hours(24)).await;
    assert!(!limiter.spend(account, 1, 1_000).await.unwrap());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(limiter.spend(account, 1, 1_000).await.unwrap());
    assert!(!limiter.spend(other, 1, 0).await.unwrap(), "a limit of nothing");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_so_many_places_and_one_that_is_not_renewed_is_free() {
    let limiter = MemoryLimiter::new();
    assert!(limiter.enter(tenant(1), session(1), 2).await.unwrap());
    assert!(limiter.enter(tenant(1), session(2), 2).await.unwrap());
    assert!(
        limiter.enter(tenant(1), session(2), 2).await.unwrap(),
        "it has its place"
    );
    assert!(!limiter.enter(tenant(1), session(3), 2).await.unwrap());
    assert!(
        limiter.enter(tenant(2), session(3), 2).await.unwrap(),
        "another tenant"
    );
    limiter.leave(tenant(1), session(1)).await.unwrap();
    assert!(limiter.enter(tenant(1), session(3), 2).await.unwrap());
    tokio::time::advance(PLACE_LEASE / 2).await;
    limiter.renew(&[(tenant(1), session(2))]).await.unwrap();
    tokio::time::advance(PLACE_LEASE / 2).await;
    assert!(
        limiter.enter(tenant(1), session(4), 2).await.unwrap(),
        "the third was not renewed"
    );
    assert!(
        !limiter.enter(tenant(1), session(5), 2).await.unwrap(),
        "the second was"
    );
}

/// Shared limits that answer or do not.
#[derive(Debug, Default)]
struct Flaky {
    inner: MemoryLimiter,
    is_down: AtomicBool,
    asked: AtomicUsize,
}

impl Flaky {
    async fn answers(&self) -> Result<&MemoryLimiter, LimiterLost> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // Others come to ask before there is an answer.
        tokio::task::yield_now().await;
        if self.is_down.load(Ordering::Relaxed) {
            return Err(LimiterLost("down".into()));
        }
        Ok(&self.inner)
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky limits")
    }
}

#[async_trait]
impl AttemptLimiter for Flaky {
    async fn admit(&self, attempt: &Attempt) -> Result<Admission, LimiterLost> {
        self.answers().await?.admit(attempt).await
    }
    async fn failed(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        self.answers().await?.failed(attempt).await
    }
    async fn succeeded(&self, attempt: &Attempt) -> Result<(), LimiterLost> {
        self.answers().await?.succeeded(attempt).await
    }
}

#[async_trait]
impl UsageLimiter for Flaky {
    async fn spend(&self, account: AccountId, octets: u64, limit: u64) -> Result<bool, LimiterLost> {
        self.answers().await?.spend(account, octets, limit).await
    }
    async fn enter(&self, tenant: TenantId, session: SessionId, cap: u32) -> Result<bool, LimiterLost> {
        self.answers().await?.enter(tenant, session, cap).await
    }
    async fn leave(&self, tenant: TenantId, session: SessionId) -> Result<(), LimiterLost> {
        self.answers().await?.leave(tenant, session).await
    }
    async fn renew(&self, sessions: &[(TenantId, SessionId)]) -> Result<(), LimiterLost> {
        self.answers().await?.renew(sessions).await
    }
}

#[tokio::test(start_paused = true)]
async fn f13_an_outage_neither_opens_nor_closes_the_door() {
    let shared = Arc::new(Flaky::default());
    let limiter = FallbackLimiter::new(Arc::clone(&shared) as _, Arc::default());
    let guess = attempt(1, "192.0.2.7");
    for _ in 0..4 {
        limiter.failed(&guess).await.unwrap();
    }
    limiter.succeeded(&attempt(2, "192.0.2.7")).await.unwrap();
    assert!(limiter.enter(tenant(1), session(1), 2).await.unwrap());
    shared.is_down.store(true, Ordering::Relaxed);
    assert_eq!(limiter.admit(&guess).await.unwrap(), after(0, false));
    assert!(limiter.is_lost());
    assert_eq!(
        limiter.admit(&guess).await.unwrap(),
        after(15, false),
        "the failures are known here too"
    );
    assert_eq!(
        limiter.admit(&attempt(2, "192.0.2.7")).await.unwrap(),
        after(0, false),
        "so is a known network"
    );
    assert!(limiter.enter(tenant(1), session(2), 2).await.unwrap());
    assert!(
        !limiter.enter(tenant(1), session(3), 2).await.unwrap(),
        "so are the places taken"
    );
    let account = AccountId::new(tenant(1), 23).unwrap();
    assert!(limiter.spend(account, 1_000, 1_000).await.unwrap());
    assert!(!limiter.spend(account, 1_000, 1_000).await.unwrap());
    shared.is_down.store(false, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(1)).await;
    limiter
        .renew(&[(tenant(1), session(1)), (tenant(1), session(2))])
        .await
        .unwrap();
    assert!(!limiter.is_lost());
    assert!(
        !limiter.enter(tenant(1), session(3), 2).await.unwrap(),
        "places taken in the outage count"
    );
}

#[tokio::test(start_paused = true)]
async fn f13_lost_limits_are_left_alone_for_longer_and_longer() {
    let shared = Arc::new(Flaky::default());
    shared.is_down.store(true, Ordering::Relaxed);
    let limiter = FallbackLimiter::new(Arc::clone(&shared) as _, Arc::default());
    let mut asked_at = Vec::new();
    for second in 0..100_u64 {
        let before = shared.asked.load(Ordering::Relaxed);
        let guess = attempt(1, "192.0.2.7");
        let together = tokio::join!(
            limiter.admit(&guess),
            limiter.admit(&guess),
            limiter.admit(&guess)
        );
        assert!(together.0.is_ok() && together.1.is_ok() && together.2.is_ok());
        match (second, shared.asked.load(Ordering::Relaxed) - before) {
            (_, 0) => {}
            (0, 3) | (_, 1) => asked_at.push(second),
            (_, more) => panic!("asked {more} times in second {second}"),
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 61, 91]);
}
