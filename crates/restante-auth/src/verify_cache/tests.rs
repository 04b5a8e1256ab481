use std::collections::HashMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use restante_types::TenantId;

use super::*;

fn credential(tenant: i64, number: i64, version: i64) -> CachedCredential {
    let account = AccountId::new(TenantId::new(tenant).unwrap(), number).unwrap();
    CachedCredential { account, version }
}

fn wrong(cache: &VerifyCache, name: NameKey, secret: &[u8]) -> bool {
    cache.is_repeated_failure(name, cache.mac(name, secret))
}

#[test]
fn a16_engineered_inputs_have_different_keys() {
    let cache = VerifyCache::new().unwrap();
    let inputs: [(CachedCredential, &[u8]); 8] = [
        (credential(1, 23, 1), b"secret"),
        (credential(12, 3, 1), b"secret"),
        (credential(1, 2, 31), b"secret"),
        (credential(1, 23, 1), b"a|b"),
        (credential(1, 23, 1), b"a"),
        (credential(1, 23, 1), b"b"),
        (credential(1, 23, 1), b""),
        (credential(1, 23, 256), b"\0secret"),
    ];
    for (own, (credential, secret)) in inputs.iter().enumerate() {
        cache.insert(credential, secret);
        for (other, (credential, secret)) in inputs.iter().enumerate().skip(own) {
            assert_eq!(cache.check(credential, secret), other == own, "{own} and {other}");
        }
    }
    let digests = [
        cache.digest(b"right", &[b"a|b"], b"c"),
        cache.digest(b"right", &[b"a", b"b"], b"c"),
        cache.digest(b"right", &[b"a"], b"bc"),
        cache.digest(b"right", &[b"ab"], b"c"),
        cache.digest(b"righta", &[b"b"], b"c"),
    ];
    for (own, digest) in digests.iter().enumerate() {
        assert!(!digests[..own].contains(digest), "{own}");
    }
}

#[test]
fn a16_no_two_of_200_000_random_inputs_share_a_key() {
    // Compared are all pairs of them: 10^10.
    let cache = VerifyCache::new().unwrap();
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut seen: HashMap<[u8; 32], [u8; 8]> = HashMap::new();
    for _ in 0..200_000 {
        // Few values for each part, so that parts of one input are often parts of another.
        let mut input = random.next_u64().to_be_bytes();
        for octet in &mut input[..3] {
            *octet = *octet % 16 + 1;
        }
        let length = usize::from(input[3] % 5);
        input[3] = 0;
        for octet in &mut input[4..] {
            *octet = b"12|\0"[usize::from(*octet % 4)];
        }
        input[4 + length..].fill(0xff);
        let [tenant, number, version] = [input[0], input[1], input[2]].map(i64::from);
        let key = cache.right_key(&credential(tenant, number, version), &input[4..4 + length]);
        let known = seen.insert(key, input);
        assert!(
            known.is_none_or(|known| known == input),
            "{known:?} and {input:?}"
        );
    }
    assert!(seen.len() > 100_000, "{} different inputs", seen.len());
}

#[test]
fn another_account_under_the_same_key_is_refused_and_forgotten() {
    let cache = VerifyCache::new().unwrap();
    let (asked, other) = (credential(1, 23, 1), credential(12, 3, 1));
    let key = cache.right_key(&asked, b"secret");
    let mixed_up = Right {
        account: other.account,
        expires: Instant::now() + RIGHT_FOR,
    };
    cache.right.insert(key, mixed_up);
    assert!(!cache.check(&asked, b"secret"));
    assert_eq!(cache.mixed_up.load(Ordering::Relaxed), 1);
    assert!(cache.right.get(&key).is_none());
}

#[tokio::test(start_paused = true)]
async fn a14_a_right_password_is_known_for_ten_minutes_and_for_one_version() {
    let cache = VerifyCache::new().unwrap();
    cache.insert(&credential(1, 23, 1), b"secret");
    tokio::time::advance(RIGHT_FOR.checked_sub(Duration::from_millis(1)).unwrap()).await;
    assert!(cache.check(&credential(1, 23, 1), b"secret"));
    assert!(
        !cache.check(&credential(1, 23, 2), b"secret"),
        "the password was changed"
    );
    assert!(!cache.check(&credential(1, 23, 1), b"Secret"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!cache.check(&credential(1, 23, 1), b"secret"));
}

#[tokio::test(start_paused = true)]
async fn a13_the_last_eight_wrong_passwords_of_a_name_are_known_for_a_minute() {
    let cache = VerifyCache::new().unwrap();
    let (name, other) = (NameKey([1; 16]), NameKey([2; 16]));
    for secret in 0..9 {
        assert!(!wrong(&cache, name, &[secret]));
        cache.note_failure(name, cache.mac(name, &[secret]));
    }
    assert!(
        !wrong(&cache, name, &[0]),
        "the ninth took the place of the first"
    );
    assert!((1..9).all(|secret| wrong(&cache, name, &[secret])));
    assert!(!wrong(&cache, other, &[1]));
    tokio::time::advance(WRONG_FOR).await;
    assert!((1..9).all(|secret| !wrong(&cache, name, &[secret])));
}

#[test]
fn what_is_remembered_is_bounded() {
    let cache = VerifyCache::new().unwrap();
    let more = ENTRIES + 5_000;
    for number in 1..=more {
        cache.right.insert(
            cache.digest(b"right", &[&number.to_be_bytes()], b""),
            Right {
                account: credential(1, 1, 1).account,
                expires: Instant::now(),
            },
        );
        cache
            .wrong
            .insert(NameKey(u128::from(number).to_be_bytes()), Wrong::default());
    }
    cache.right.run_pending_tasks();
    cache.wrong.run_pending_tasks();
    assert!(cache.right.entry_count() <= ENTRIES && cache.wrong.entry_count() <= ENTRIES);
    let newest = NameKey(u128::from(more).to_be_bytes());
    assert!(cache.wrong.get(&newest).is_some(), "what is new is kept");
}
