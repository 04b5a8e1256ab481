//! Plugins in the database: which are installed, and what they keep.

use std::time::SystemTime;

use async_trait::async_trait;
use restante_store::{
    ComponentDigest, InstalledPlugin, KeySpace, KeyValueStore, PluginRegistry, PluginRow, StoreError,
    StoreErrorKind,
};

use crate::Pg;
use crate::error::{commit_failed, failed};
use crate::index::refusal;
use crate::sql::plugins as sql;
use crate::values::{Undecodable, time_to_row};

/// The registry of plugins in the database of the index.
#[derive(Clone, Debug)]
pub struct PgPluginRegistry {
    db: Pg,
}

impl PgPluginRegistry {
    /// The registry of this database.
    pub fn new(db: &Pg) -> Self {
        Self { db: db.clone() }
    }
}

#[async_trait]
impl PluginRegistry for PgPluginRegistry {
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        const OP: &str = "plugins";
        let rows: Vec<PluginRow> = self
            .db
            .all(sqlx::query_as(sql::PLUGINS))
            .await
            .map_err(failed(OP))?;
        rows.into_iter()
            .map(InstalledPlugin::from_row)
            .collect::<Result<_, _>>()
            .map_err(|what| failed(OP)(Undecodable(what).into()))
    }

    async fn component(&self, digest: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError> {
        const OP: &str = "component";
        let find = sqlx::query_as(sql::COMPONENT).bind(digest.as_slice());
        let row: Option<(Vec<u8>, Vec<u8>)> = self.db.optional(find).await.map_err(failed(OP))?;
        match row {
            None => Ok(None),
            Some((found, octets)) if found == digest => Ok(Some(octets)),
            Some(_) => Err(refusal(StoreErrorKind::Damaged, OP).because("another component was answered")),
        }
    }

    async fn install(
        &self,
        name: &str,
        digest: ComponentDigest,
        component: Vec<u8>,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        const OP: &str = "install";
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        let add = sqlx::query(sql::ADD_COMPONENT)
            .bind(digest.as_slice())
            .bind(component);
        tx.execute(add).await.map_err(failed(OP))?;
        let install = sqlx::query(sql::INSTALL)
            .bind(name)
            .bind(digest.as_slice())
            .bind(time_to_row(at));
        tx.execute(install).await.map_err(failed(OP))?;
        let forget = sqlx::query(sql::FORGET_COMPONENTS);
        tx.execute(forget).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))
    }

    async fn set_enabled(&self, name: &str, is_enabled: bool) -> Result<bool, StoreError> {
        let enable = sqlx::query(sql::ENABLE).bind(name).bind(is_enabled);
        let changed = self
            .db
            .execute(enable)
            .await
            .map_err(commit_failed("set_enabled"))?;
        Ok(changed == 1)
    }

    async fn roll_back(&self, name: &str, at: SystemTime) -> Result<bool, StoreError> {
        let back = sqlx::query(sql::ROLL_BACK).bind(name).bind(time_to_row(at));
        let changed = self.db.execute(back).await.map_err(commit_failed("roll_back"))?;
        Ok(changed == 1)
    }

    async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        const OP: &str = "remove";
        let mut tx = self.db.begin().await.map_err(failed(OP))?;
        let remove = sqlx::query(sql::REMOVE_PLUGIN).bind(name);
        let removed = tx.execute(remove).await.map_err(failed(OP))?;
        let forget = sqlx::query(sql::FORGET_COMPONENTS);
        tx.execute(forget).await.map_err(failed(OP))?;
        tx.commit().await.map_err(commit_failed(OP))?;
        Ok(removed == 1)
    }
}

/// The values that plugins keep, in the database of the index.
#[derive(Clone, Debug)]
pub struct PgKeyValueStore {
    db: Pg,
}

impl PgKeyValueStore {
    /// The values of this database.
    pub fn new(db: &Pg) -> Self {
        Self { db: db.clone() }
    }
}

#[async_trait]
impl KeyValueStore for PgKeyValueStore {
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        const OP: &str = "value";
        let find = sqlx::query_as(sql::VALUE)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(key);
        let row: Option<(String, i64, String, Vec<u8>)> = self.db.optional(find).await.map_err(failed(OP))?;
        match row {
            None => Ok(None),
            Some((storage, tenant, found, value))
                if *storage == *space.storage && tenant == space.tenant.get() && found == key =>
            {
                Ok(Some(value))
            }
            Some(_) => Err(refusal(StoreErrorKind::Damaged, OP).because("another value was answered")),
        }
    }

    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let set = sqlx::query(sql::SET_VALUE)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(key)
            .bind(value);
        self.db.execute(set).await.map_err(commit_failed("set_value"))?;
        Ok(())
    }

    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let change = match old {
            None => sqlx::query(sql::ADD_VALUE)
                .bind(&*space.storage)
                .bind(space.tenant.get())
                .bind(key)
                .bind(value),
            Some(old) => sqlx::query(sql::CHANGE_VALUE)
                .bind(&*space.storage)
                .bind(space.tenant.get())
                .bind(key)
                .bind(old)
                .bind(value),
        };
        let changed = self
            .db
            .execute(change)
            .await
            .map_err(commit_failed("set_value"))?;
        Ok(changed == 1)
    }

    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError> {
        let delete = sqlx::query(sql::DELETE_VALUE)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(key);
        self.db
            .execute(delete)
            .await
            .map_err(commit_failed("delete_value"))?;
        Ok(())
    }

    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let list = sqlx::query_as(sql::KEYS)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(prefix)
            .bind(after.unwrap_or_default())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(String,)> = self.db.all(list).await.map_err(failed("keys"))?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }
}
