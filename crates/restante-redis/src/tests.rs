//! Against a real Redis, healthy and not.

mod faults;
mod parity;
mod server;

use restante_auth::NameKey;

use self::server::Redis;
use super::*;

/// So long that a busy machine does not fail a test.
const PATIENT: Duration = Duration::from_secs(10);

fn limiter(url: &str, timeout: Duration) -> RedisLimiter {
    let options = RedisOptions {
        url: Secret::new(url.into()),
        pool_size: 2,
        timeout,
        prefix: "restante:".into(),
    };
    RedisLimiter::connect(options).unwrap()
}

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

fn account(tenant_number: i64, number: i64) -> AccountId {
    AccountId::new(tenant(tenant_number), number).unwrap()
}

fn at_once(admission: Admission) -> bool {
    matches!(admission, Admission::After { wait, guarded: false } if wait.is_zero())
}

#[tokio::test]
async fn two_frontends_share_failures_places_and_octets() {
    let redis = Redis::start();
    let (one, other) = (limiter(&redis.url(), PATIENT), limiter(&redis.url(), PATIENT));
    for _ in 0..4 {
        one.failed(&attempt(1, "192.0.2.7")).await.unwrap();
    }
    assert!(at_once(one.admit(&attempt(1, "192.0.2.7")).await.unwrap()));
    let Admission::After { wait, guarded: false } = other.admit(&attempt(2, "192.0.2.7")).await.unwrap()
    else {
        panic!("one may wait");
    };
    assert!(wait > Duration::from_secs(2), "{wait:?}");
    assert_eq!(
        other.admit(&attempt(3, "192.0.2.7")).await.unwrap(),
        Admission::TooMany
    );
    other.succeeded(&attempt(4, "192.0.2.9")).await.unwrap();
    assert!(
        at_once(one.admit(&attempt(4, "192.0.2.7")).await.unwrap()),
        "the network is known"
    );

    assert!(one.enter(tenant(1), session(1), 2).await.unwrap());
    other
        .renew(&[(tenant(1), session(2)), (tenant(2), session(2))])
        .await
        .unwrap();
    assert!(
        other.enter(tenant(1), session(1), 2).await.unwrap(),
        "it has its place"
    );
    assert!(!one.enter(tenant(1), session(3), 2).await.unwrap());
    assert!(
        one.enter(tenant(2), session(3), 2).await.unwrap(),
        "another tenant"
    );
    other.leave(tenant(1), session(1)).await.unwrap();
    assert!(one.enter(tenant(1), session(3), 2).await.unwrap());

    assert!(
        one.spend(account(1, 23), 2_000, 1_000).await.unwrap(),
        "the last message may go past the limit"
    );
    assert!(!other.spend(account(1, 23), 1, 1_000).await.unwrap());
    assert!(
        other.spend(account(12, 3), 1, 1_000).await.unwrap(),
        "another account"
    );
    assert!(
        !one.spend(account(12, 3), 1, 0).await.unwrap(),
        "a limit of nothing"
    );
}

#[tokio::test]
async fn every_key_has_an_end_and_names_nobody() {
    let redis = Redis::start();
    let limiter = limiter(&redis.url(), PATIENT);
    for client in ["192.0.2.7", "2001:db8::7"] {
        let attempt = attempt(1, client);
        limiter.succeeded(&attempt).await.unwrap();
        for _ in 0..9 {
            limiter.failed(&attempt).await.unwrap();
            limiter.admit(&attempt).await.unwrap();
        }
    }
    assert!(limiter.spend(account(1, 23), 1, 1_000).await.unwrap());
    assert!(limiter.enter(tenant(1), session(1), 2).await.unwrap());
    let mut connection = limiter.connection().await.unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    keys.sort();
    let kinds: Vec<_> = keys.iter().filter_map(|key| key.split(':').nth(1)).collect();
    let twice = [
        "address", "address", "known", "known", "name", "network", "network",
    ];
    assert_eq!(kinds, [&twice[..], &["places", "spent"]].concat());
    for key in keys {
        let millis: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(millis > 0, "{key}");
        let is_long = millis > 29 * 86_400_000;
        assert_eq!(is_long, key.contains("known"), "{key} lives {millis} ms");
    }
}

#[test]
fn no_error_and_no_text_shows_the_password() {
    let options = |url: &str, pool_size| RedisOptions {
        url: Secret::new(url.into()),
        pool_size,
        timeout: PATIENT,
        prefix: String::new(),
    };
    for url in [
        "http://user:hunter2@127.0.0.1",
        "hunter2",
        "redis://user:hunter2@127.0.0.1:port",
    ] {
        let error = RedisLimiter::connect(options(url, 1)).unwrap_err();
        assert_eq!(error, RedisSetupError::Url, "{url}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let url = "rediss://user:hunter2@redis.example:6380/1";
    assert_eq!(
        RedisLimiter::connect(options(url, 0)).unwrap_err(),
        RedisSetupError::Pool
    );
    let options = options(url, 1);
    assert!(!format!("{options:?}").contains("hunter2"));
    let limiter = RedisLimiter::connect(options).unwrap();
    assert_eq!(limiter.to_string(), "limits in Redis at redis.example:6380");
    assert!(!format!("{limiter:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_show_it() {
    let redis = Redis::start();
    let url = format!("{}?user=user&pass=hunter2", redis.url());
    let error = limiter(&url, PATIENT)
        .admit(&attempt(1, "192.0.2.7"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "shared limits: redis: authentication failed");
}
