//! F13: a Redis that is gone, slow, mad, or answers for somebody else; and callers that go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use restante_auth::{FallbackLimiter, MemoryLimiter};

use super::server::meddler;
use super::*;

/// Long enough for an answer of a healthy Redis on a busy machine, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(500);

/// Connections in the pool, in use or not.
fn connections(limiter: &RedisLimiter) -> usize {
    limiter.pool.status().size
}

/// Asks until the limiter answers again.
async fn recovered(limiter: &RedisLimiter) {
    for _ in 0..100 {
        if limiter.admit(&attempt(9, "203.0.113.1")).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{limiter} does not recover");
}

#[tokio::test]
async fn f13_a_killed_redis_is_an_error_and_comes_back() {
    let mut redis = Redis::start();
    let limiter = limiter(&redis.url(), PATIENT);
    assert!(at_once(limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap()));
    redis.kill();
    let error = limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap_err();
    assert!(error.to_string().starts_with("shared limits: redis: "), "{error}");
    assert_eq!(connections(&limiter), 0);
    redis.start_again();
    recovered(&limiter).await;
}

#[tokio::test]
async fn f13_local_limits_hold_while_redis_is_gone() {
    let mut redis = Redis::start();
    let shared = Arc::new(limiter(&redis.url(), PATIENT));
    let limiter = FallbackLimiter::new(shared, Arc::new(MemoryLimiter::new()));
    for _ in 0..4 {
        limiter.failed(&attempt(1, "192.0.2.7")).await.unwrap();
    }
    redis.kill();
    assert!(at_once(limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap()));
    assert!(!at_once(limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap()));
    assert_eq!(
        limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap(),
        Admission::TooMany
    );
    assert!(limiter.is_lost());
}

#[tokio::test]
async fn f13_the_connection_of_a_slow_answer_is_never_used_again() {
    let redis = Redis::start();
    let limiter = limiter(&redis.url(), SHORT);
    recovered(&limiter).await;
    assert_eq!(connections(&limiter), 1);
    redis.pause();
    for _ in 0..3 {
        let error = limiter.spend(account(1, 23), 2_000, 1_000).await.unwrap_err();
        assert!(error.to_string().starts_with("shared limits: redis: "), "{error}");
    }
    redis.go_on();
    recovered(&limiter).await;
    assert!(
        limiter.spend(account(12, 3), 1, 1_000).await.unwrap(),
        "the late answer was not for this one"
    );
}

#[tokio::test]
async fn f13_garbage_is_an_error_and_closes_the_connection() {
    let redis = Redis::start();
    let junk: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"*4\r\n$3\r\nfoo\r\n",
        b"\0\xff\xfe\r\n\r\n\r\n",
        b"$99999999999\r\n",
        b"*4\r\n$1\r\nx\r\n$1\r\ny\r\n:0\r\n:0\r\n",
    ];
    for junk in junk {
        let is_mad = Arc::new(AtomicBool::new(false));
        let mad = Arc::clone(&is_mad);
        let url = meddler(&redis, move |answer| {
            if mad.load(Ordering::SeqCst) {
                junk.to_vec()
            } else {
                answer
            }
        })
        .await;
        let limiter = limiter(&url, SHORT);
        recovered(&limiter).await;
        is_mad.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let error = limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap_err();
            assert!(!error.to_string().contains("HTTP"), "{error}");
        }
        is_mad.store(false, Ordering::SeqCst);
        recovered(&limiter).await;
    }
}

#[tokio::test]
async fn f13_an_answer_for_another_key_is_refused_and_closes_the_connection() {
    let redis = Redis::start();
    let url = meddler(&redis, |answer| {
        let text = String::from_utf8(answer).unwrap();
        text.replace("address:c0000207", "address:c0000208").into_bytes()
    })
    .await;
    let limiter = limiter(&url, PATIENT);
    recovered(&limiter).await;
    assert_eq!(connections(&limiter), 1);
    let error = limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "shared limits: redis: an answer to another call"
    );
    assert_eq!(connections(&limiter), 0);
}

#[tokio::test]
async fn f13_an_answer_to_an_earlier_call_is_refused() {
    let redis = Redis::start();
    let url = meddler(&redis, |answer| {
        let text = String::from_utf8(answer).unwrap();
        text.replace("admit-", "admit+").into_bytes()
    })
    .await;
    let error = limiter(&url, PATIENT)
        .admit(&attempt(1, "192.0.2.7"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "shared limits: redis: an answer to another call"
    );
}

#[tokio::test]
async fn f13_an_answer_out_of_range_opens_nothing() {
    assert!(admission(-2, 0).is_err() && admission(0, 2).is_err());
    assert!(admission(i64::MAX, 0).is_err() && yes_or_no(2, 0).is_err() && done(0, 0).is_err());
    assert_eq!(admission(-1, 0).unwrap(), Admission::TooMany);
    let redis = Redis::start();
    let url = meddler(&redis, |answer| {
        let text = String::from_utf8(answer).unwrap();
        text.replace(":1\r\n", ":7\r\n").into_bytes()
    })
    .await;
    let limiter = limiter(&url, PATIENT);
    assert!(limiter.enter(tenant(1), session(1), 2).await.is_err());
    assert_eq!(connections(&limiter), 0);
}

#[tokio::test]
async fn a_redis_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let redis = Redis::start();
    let url = meddler(&redis, |answer| answer).await;
    let limiter = limiter(&url.replace("redis:", "rediss:"), SHORT);
    let error = limiter.admit(&attempt(1, "192.0.2.7")).await.unwrap_err();
    let expected = [
        "redis: I/O error",
        "redis: no connection in time",
        "redis: no answer in time",
    ];
    assert!(expected.iter().any(|expected| error.0 == *expected), "{error}");
    assert_eq!(connections(&limiter), 0);
}

#[tokio::test]
async fn a17_a_call_cancelled_anywhere_leaves_no_answer_to_another() {
    let redis = Redis::start();
    let limiter = limiter(&redis.url(), PATIENT);
    // One account has spent its day, the other may read on.
    assert!(limiter.spend(account(1, 23), 2_000, 1_000).await.unwrap());
    for step in 0..300 {
        let cancelled = limiter.spend(account(1, 23), 1, 1_000);
        let some_steps = async {
            for _ in 0..step % 30 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answer = cancelled => assert!(!answer.unwrap()),
            () = some_steps => {}
        }
        assert!(
            limiter.spend(account(12, 3), 1, 1_000_000).await.unwrap(),
            "after {step} steps"
        );
        assert!(connections(&limiter) <= 2);
    }
}
