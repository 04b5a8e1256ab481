//! Plugins in the file: which are installed, and what they keep.

use std::time::SystemTime;

use async_trait::async_trait;
use restante_store::{
    ComponentDigest, InstalledPlugin, KeySpace, KeyValueStore, PluginRegistry, PluginRow, StoreError,
};
use sqlx::Sqlite as Db;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use crate::error::{commit_failed, failed};
use crate::values::{Undecodable, time_to_row};
use crate::{Sqlite, sql};

/// The registry of plugins in the file of the index.
#[derive(Clone, Debug)]
pub struct SqlitePluginRegistry {
    db: Sqlite,
}

impl SqlitePluginRegistry {
    /// The registry of this file.
    pub fn new(db: &Sqlite) -> Self {
        Self { db: db.clone() }
    }
}

#[async_trait]
impl PluginRegistry for SqlitePluginRegistry {
    async fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError> {
        const OP: &str = "plugins";
        let rows = self.db.readers().all(sqlx::query_as(sql::PLUGINS));
        let rows: Vec<PluginRow> = rows.await.map_err(failed(OP))?;
        rows.into_iter()
            .map(InstalledPlugin::from_row)
            .collect::<Result<_, _>>()
            .map_err(|what| failed(OP)(Undecodable(what).into()))
    }

    async fn component(&self, digest: &ComponentDigest) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query_as(sql::COMPONENT).bind(digest.as_slice());
        let row: Option<(Vec<u8>,)> = self
            .db
            .readers()
            .optional(query)
            .await
            .map_err(failed("component"))?;
        Ok(row.map(|(component,)| component))
    }

    async fn install(
        &self,
        name: &str,
        digest: ComponentDigest,
        component: Vec<u8>,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        let add = sqlx::query(sql::ADD_COMPONENT)
            .bind(digest.to_vec())
            .bind(component);
        let install = sqlx::query(sql::INSTALL_PLUGIN)
            .bind(name.to_owned())
            .bind(digest.to_vec())
            .bind(time_to_row(at));
        let changes = vec![add, install, sqlx::query(sql::FORGET_COMPONENTS)];
        write(&self.db, "install", changes).await.map(drop)
    }

    async fn set_enabled(&self, name: &str, is_enabled: bool) -> Result<bool, StoreError> {
        let enable = sqlx::query(sql::ENABLE_PLUGIN)
            .bind(name.to_owned())
            .bind(is_enabled);
        write(&self.db, "set_enabled", vec![enable]).await
    }

    async fn roll_back(&self, name: &str, at: SystemTime) -> Result<bool, StoreError> {
        let back = sqlx::query(sql::ROLL_BACK_PLUGIN)
            .bind(name.to_owned())
            .bind(time_to_row(at));
        write(&self.db, "roll_back", vec![back]).await
    }

    async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let remove = sqlx::query(sql::REMOVE_PLUGIN).bind(name.to_owned());
        write(
            &self.db,
            "remove",
            vec![remove, sqlx::query(sql::FORGET_COMPONENTS)],
        )
        .await
    }
}

/// Changes in one transaction. Answers whether the first one changed a row.
async fn write(
    db: &Sqlite,
    op: &'static str,
    changes: Vec<Query<'_, Db, SqliteArguments>>,
) -> Result<bool, StoreError> {
    let mut tx = db.begin().await.map_err(failed(op))?;
    let mut n_changed = Vec::with_capacity(changes.len());
    for change in changes {
        let answer = change.execute(&mut *tx).await.map_err(failed(op))?;
        n_changed.push(answer.rows_affected());
    }
    tx.commit().await.map_err(commit_failed(op))?;
    Ok(n_changed.first().is_some_and(|n| *n > 0))
}

/// The values that plugins keep, in the file of the index.
#[derive(Clone, Debug)]
pub struct SqliteKeyValueStore {
    db: Sqlite,
}

impl SqliteKeyValueStore {
    /// The values of this file.
    pub fn new(db: &Sqlite) -> Self {
        Self { db: db.clone() }
    }
}

#[async_trait]
impl KeyValueStore for SqliteKeyValueStore {
    async fn get(&self, space: &KeySpace, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query_as(sql::PLUGIN_VALUE)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(key);
        let row: Option<(Vec<u8>,)> = self.db.readers().optional(query).await.map_err(failed("value"))?;
        Ok(row.map(|(value,)| value))
    }

    async fn set(&self, space: &KeySpace, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let set = of_key(sql::SET_PLUGIN_VALUE, space, key).bind(value);
        write(&self.db, "set_value", vec![set]).await.map(drop)
    }

    async fn compare_and_set(
        &self,
        space: &KeySpace,
        key: &str,
        old: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let change = match old {
            None => of_key(sql::ADD_PLUGIN_VALUE, space, key),
            Some(old) => of_key(sql::CHANGE_PLUGIN_VALUE, space, key).bind(old),
        };
        write(&self.db, "set_value", vec![change.bind(value)]).await
    }

    async fn delete(&self, space: &KeySpace, key: &str) -> Result<(), StoreError> {
        let delete = of_key(sql::DELETE_PLUGIN_VALUE, space, key);
        write(&self.db, "delete_value", vec![delete]).await.map(drop)
    }

    async fn keys(
        &self,
        space: &KeySpace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_as(sql::PLUGIN_KEYS)
            .bind(&*space.storage)
            .bind(space.tenant.get())
            .bind(prefix)
            .bind(after.unwrap_or_default())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(String,)> = self.db.readers().all(query).await.map_err(failed("keys"))?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }
}

fn of_key(statement: &'static str, space: &KeySpace, key: &str) -> Query<'static, Db, SqliteArguments> {
    sqlx::query(statement)
        .bind(space.storage.to_string())
        .bind(space.tenant.get())
        .bind(key.to_owned())
}
