//! Cases of the values that plugins keep: apart for each storage and tenant, compared and set in one step.
#![expect(missing_docs, reason = "the name of a case is the promise it checks")]

use std::sync::Arc;

use restante_store::{KeySpace, KeyValueStore};
use restante_types::TenantId;

use crate::KeyValueFixture;

/// The only list of these cases.
#[doc(hidden)]
#[macro_export]
macro_rules! key_value_cases {
    ($then:ident { $($arg:tt)* }) => { $crate::$then! { { $($arg)* } key_value:
        what_was_never_set_is_none,
        a_value_comes_back_and_is_replaced,
        values_of_256_kib_and_of_none_come_back,
        keys_of_512_octets_in_any_script_are_kept,
        compare_and_set_sets_what_it_expected_and_nothing_else,
        of_racing_compare_and_sets_one_wins,
        a_deleted_value_is_none_and_deleting_it_again_succeeds,
        spaces_do_not_meet,
        keys_come_in_the_order_of_their_octets,
        keys_are_listed_by_prefix_in_pages,
        no_character_of_a_prefix_is_special,
        a_restart_keeps_values,
    } };
}

fn space(storage: &str, tenant: i64) -> KeySpace {
    KeySpace {
        storage: storage.into(),
        tenant: TenantId::new(tenant).unwrap(),
    }
}

fn ours() -> KeySpace {
    space("main", 1)
}

async fn fill(store: &dyn KeyValueStore, keys: &[&str]) {
    for key in keys {
        store.set(&ours(), key, b"x".to_vec()).await.unwrap();
    }
}

pub async fn what_was_never_set_is_none(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    assert_eq!(store.get(&ours(), "key").await.unwrap(), None);
    assert!(store.keys(&ours(), "", None, 10).await.unwrap().is_empty());
}

pub async fn a_value_comes_back_and_is_replaced(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    for value in [&b"one"[..], b"two", b""] {
        store.set(&ours(), "key", value.to_vec()).await.unwrap();
        assert_eq!(store.get(&ours(), "key").await.unwrap().as_deref(), Some(value));
    }
}

pub async fn values_of_256_kib_and_of_none_come_back(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    let large: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
    for value in [large, Vec::new()] {
        store.set(&ours(), "key", value.clone()).await.unwrap();
        assert!(store.get(&ours(), "key").await.unwrap() == Some(value));
    }
}

pub async fn keys_of_512_octets_in_any_script_are_kept(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    let long = "é".repeat(256);
    for key in [long.as_str(), "a/b c%_'\"\\", "\u{1F4EE}", " "] {
        store.set(&ours(), key, key.into()).await.unwrap();
        assert_eq!(
            store.get(&ours(), key).await.unwrap().as_deref(),
            Some(key.as_bytes())
        );
    }
}

pub async fn compare_and_set_sets_what_it_expected_and_nothing_else(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    let set = |old: Option<&[u8]>, value: &[u8]| {
        let (store, old, value) = (Arc::clone(&store), old.map(<[u8]>::to_vec), value.to_vec());
        async move { store.compare_and_set(&ours(), "key", old, value).await.unwrap() }
    };
    assert!(!set(Some(b"one"), b"two").await, "there is none");
    assert!(set(None, b"one").await);
    assert!(!set(None, b"two").await, "there is one");
    assert!(!set(Some(b"other"), b"two").await, "there is another");
    assert_eq!(
        store.get(&ours(), "key").await.unwrap().as_deref(),
        Some(&b"one"[..])
    );
    assert!(set(Some(b"one"), b"two").await);
    assert_eq!(
        store.get(&ours(), "key").await.unwrap().as_deref(),
        Some(&b"two"[..])
    );
}

pub async fn of_racing_compare_and_sets_one_wins(fixture: &mut impl KeyValueFixture) {
    for old in [None, Some(b"old".to_vec())] {
        let store = fixture.store();
        let key = if old.is_some() { "there" } else { "new" };
        if let Some(old) = &old {
            store.set(&ours(), key, old.clone()).await.unwrap();
        }
        let mut calls = Vec::new();
        for n in 0..8_u8 {
            let (store, old) = (fixture.store(), old.clone());
            calls.push(tokio::spawn(async move {
                store.compare_and_set(&ours(), key, old, vec![n]).await.unwrap()
            }));
        }
        let mut winners = Vec::new();
        for (n, call) in (0..8_u8).zip(calls) {
            if call.await.unwrap() {
                winners.push(n);
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(&ours(), key).await.unwrap(), Some(winners));
    }
}

pub async fn a_deleted_value_is_none_and_deleting_it_again_succeeds(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    fill(&*store, &["a", "b"]).await;
    for _ in 0..2 {
        store.delete(&ours(), "a").await.unwrap();
        assert_eq!(store.get(&ours(), "a").await.unwrap(), None);
    }
    assert_eq!(store.keys(&ours(), "", None, 10).await.unwrap(), ["b"]);
}

pub async fn spaces_do_not_meet(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    fill(&*store, &["key"]).await;
    for other in [space("main", 2), space("other", 1), space("mai", 1)] {
        assert_eq!(store.get(&other, "key").await.unwrap(), None);
        assert!(store.keys(&other, "", None, 10).await.unwrap().is_empty());
        store.set(&other, "key", b"other".to_vec()).await.unwrap();
        store.delete(&other, "key").await.unwrap();
    }
    assert_eq!(
        store.get(&ours(), "key").await.unwrap().as_deref(),
        Some(&b"x"[..])
    );
}

pub async fn keys_come_in_the_order_of_their_octets(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    let ordered = ["A", "B", "Z", "_", "a", "a-b", "ab", "b", "é", "\u{1F4EE}"];
    let mut shuffled = ordered;
    shuffled.reverse();
    fill(&*store, &shuffled).await;
    assert_eq!(store.keys(&ours(), "", None, 100).await.unwrap(), ordered);
}

pub async fn keys_are_listed_by_prefix_in_pages(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    fill(&*store, &["a", "b/1", "b/2", "b/3", "b0", "c"]).await;
    let page = |after: Option<&'static str>| {
        let store = Arc::clone(&store);
        async move { store.keys(&ours(), "b/", after, 2).await.unwrap() }
    };
    assert_eq!(page(None).await, ["b/1", "b/2"]);
    assert_eq!(page(Some("b/2")).await, ["b/3"]);
    assert_eq!(page(Some("b/11")).await, ["b/2", "b/3"]);
    assert!(page(Some("b/3")).await.is_empty());
    assert_eq!(page(Some("a")).await, ["b/1", "b/2"]);
}

pub async fn no_character_of_a_prefix_is_special(fixture: &mut impl KeyValueFixture) {
    let store = fixture.store();
    fill(&*store, &["%x", "_x", "ax", "é1", "\\x"]).await;
    for (prefix, key) in [("%", "%x"), ("_", "_x"), ("é", "é1"), ("\\", "\\x")] {
        assert_eq!(store.keys(&ours(), prefix, None, 10).await.unwrap(), [key]);
    }
}

pub async fn a_restart_keeps_values(fixture: &mut impl KeyValueFixture) {
    fill(&*fixture.store(), &["key"]).await;
    fixture.restart().await;
    let store = fixture.store();
    assert_eq!(
        store.get(&ours(), "key").await.unwrap().as_deref(),
        Some(&b"x"[..])
    );
}
