//! Stores of plugins' values that break one promise each.

use std::sync::Arc;

use async_trait::async_trait;
use restante_conformance::key_value_cases;
use restante_store::{KeySpace, KeyValueStore, MemoryKeyValueStore, StoreError};
use restante_types::TenantId;

use crate::assert_bitten;
use crate::fixture::MemoryValues;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    OneTenantForAll,
    OneStorageForAll,
    SetKeepsTheFirst,
    ComparesNothing,
    ComparesInTwoSteps,
    DeletesNothing,
    LimitIsIgnored,
    AfterIsIncluded,
    KeysAreFolded,
}

#[derive(Debug)]
struct Broken {
    how: Break,
    beneath: MemoryKeyValueStore,
}

impl Broken {
    fn space(&self, space: &KeySpace) -> KeySpace {
        let mut space = space.clone();
        match self.how {
            Break::OneTenantForAll => space.tenant = TenantId::new(1).unwrap(),
            Break::OneStorageForAll => space.storage = "all".into(),
            _ => {}
        }
        space
    }

    fn key(&self, key: &str) -> String {
        match self.how {
            Break::KeysAreFolded => key.to_lowercase(),
            _ => key.to_owned(),
        }
    }
}

#[async_trait]
impl KeyValueStore for Broken {
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.beneath.get(&self.space(space), &self.key(key)).await
    }

    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let (space, key) = (self.space(space), self.key(key));
        if self.how == Break::SetKeepsTheFirst && self.beneath.get(&space, &key).await?.is_some() {
            return Ok(());
        }
        self.beneath.set(&space, &key, value).await
    }

    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let (space, key) = (self.space(space), self.key(key));
        match self.how {
            Break::ComparesNothing => {
                self.beneath.set(&space, &key, value).await?;
                Ok(true)
            }
            Break::ComparesInTwoSteps => {
                let is_same = self.beneath.get(&space, &key).await? == old;
                tokio::task::yield_now().await;
                if is_same {
                    self.beneath.set(&space, &key, value).await?;
                }
                Ok(is_same)
            }
            _ => self.beneath.compare_and_set(&space, &key, old, value).await,
        }
    }

    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError> {
        match self.how {
            Break::DeletesNothing => Ok(()),
            _ => self.beneath.delete(&self.space(space), &self.key(key)).await,
        }
    }

    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let limit = match self.how {
            Break::LimitIsIgnored => usize::MAX,
            _ => limit,
        };
        let mut keys = self
            .beneath
            .keys(&self.space(space), prefix, after, limit)
            .await?;
        if let (Break::AfterIsIncluded, Some(after)) = (self.how, after) {
            keys.insert(0, after.to_owned());
        }
        Ok(keys)
    }
}

/// The cases that notice it. One function for all mutants: to compile all cases for each takes minutes.
async fn bitten(how: Break) -> Vec<&'static str> {
    let open = move || async move {
        MemoryValues(Arc::new(Broken {
            how,
            beneath: MemoryKeyValueStore::default(),
        }))
    };
    key_value_cases! { emit_bites { open } }
}

macro_rules! mutant {
    ($name:ident: $how:ident, [$($case:literal),+ $(,)?]) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            assert_bitten(&bitten(Break::$how).await, &[$($case),+]);
        }
    };
}

mutant!(one_tenant_for_all_is_noticed: OneTenantForAll, ["spaces_do_not_meet"]);
mutant!(one_storage_for_all_is_noticed: OneStorageForAll, ["spaces_do_not_meet"]);
mutant!(a_value_that_stays_is_noticed: SetKeepsTheFirst, ["a_value_comes_back_and_is_replaced"]);
mutant!(comparing_nothing_is_noticed: ComparesNothing, [
    "compare_and_set_sets_what_it_expected_and_nothing_else", "of_racing_compare_and_sets_one_wins",
]);
mutant!(comparing_in_two_steps_is_noticed: ComparesInTwoSteps, ["of_racing_compare_and_sets_one_wins"]);
mutant!(a_delete_that_does_nothing_is_noticed: DeletesNothing, [
    "a_deleted_value_is_none_and_deleting_it_again_succeeds",
]);
mutant!(a_limit_ignored_is_noticed: LimitIsIgnored, ["keys_are_listed_by_prefix_in_pages"]);
mutant!(a_page_that_begins_with_the_last_is_noticed: AfterIsIncluded, ["keys_are_listed_by_prefix_in_pages"]);
mutant!(keys_folded_are_noticed: KeysAreFolded, ["keys_come_in_the_order_of_their_octets"]);
