//! Two tenants with an account each, in a database of their own.

use std::sync::Arc;

use restante_auth::{
    Account, Actor, AppPasswordInfo, AppScope, DirectoryAdmin, LoginName, NewAccount, NewAppPassword,
    NewPassword,
};
use restante_postgres::{Pg, PgDirectory};
use restante_testkit::PgDatabase;
use restante_types::{Secret, TenantId};

use crate::scene::{migrated, options};

pub(crate) struct World {
    pub(crate) database: PgDatabase,
    pub(crate) db: Pg,
    pub(crate) directory: PgDirectory,
    pub(crate) one: Account,
    pub(crate) two: Account,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = migrated().await;
        let db = Pg::open(&options(&database.url())).await.unwrap();
        let directory = PgDirectory::new(&db);
        for (tenant, domain) in [("one", "one.example"), ("two", "two.example")] {
            directory.add_tenant(tenant, "store").await.unwrap();
            directory.add_domain(tenant, domain).await.unwrap();
        }
        let one = directory.add_account(user("ann@one.example")).await.unwrap();
        let two = directory.add_account(user("bob@two.example")).await.unwrap();
        Self {
            database,
            db,
            directory,
            one,
            two,
        }
    }

    /// The directory as the administrator of tenant `one` has it.
    pub(crate) fn admin(&self) -> Arc<dyn DirectoryAdmin> {
        self.directory.acting(Actor {
            name: "admin:one".to_owned(),
            tenant: Some(self.one.id.tenant()),
        })
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.one.id.tenant()
    }

    pub(crate) async fn app_password(&self, account: &Account) -> AppPasswordInfo {
        let phone = NewAppPassword {
            label: "phone".to_owned(),
            verifier: Secret::new("verifier".to_owned()),
            scope: AppScope::Full,
            networks: Vec::new(),
            expires_at: None,
        };
        self.directory
            .add_app_password(&account.name, phone)
            .await
            .unwrap()
    }
}

pub(crate) fn name(text: &str) -> LoginName {
    LoginName::parse(text).unwrap()
}

pub(crate) fn hashed(hash: &str) -> NewPassword {
    NewPassword {
        hash: Secret::new(hash.to_owned()),
        scram: None,
    }
}

pub(crate) fn user(text: &str) -> NewAccount {
    NewAccount {
        name: name(text),
        password: Some(hashed(&format!("$phc$of {text}"))),
        quota_octets: None,
        quota_messages: None,
    }
}
