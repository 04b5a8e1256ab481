//! A directory that can be down, slow or wrong, and counts what it is asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use restante_auth::{
    AuditRecord, Credentials, Directory, DirectoryError, LiveLogin, LoginName, LoginNote, NewPassword,
    Recipient, Roster, Standing,
};
use restante_types::{AccountId, Secret};
use tokio::sync::watch;

/// What a [`SwitchedDirectory`] is told. Clones tell the same one.
#[derive(Clone, Debug, Default)]
pub struct DirectorySwitch(Arc<Switches>);

#[derive(Debug, Default)]
struct Switches {
    down: AtomicBool,
    wrong: AtomicBool,
    delay_millis: AtomicU64,
    n_look_ups: AtomicUsize,
    n_calls: AtomicUsize,
}

impl DirectorySwitch {
    /// Whether every call fails at once.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// How long every call takes.
    pub fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.0.delay_millis.store(millis, Ordering::SeqCst);
    }

    /// Whether look-ups are answered as if another name had been asked for.
    pub fn set_wrong(&self, wrong: bool) {
        self.0.wrong.store(wrong, Ordering::SeqCst);
    }

    /// How often credentials were looked up.
    pub fn n_look_ups(&self) -> usize {
        self.0.n_look_ups.load(Ordering::SeqCst)
    }

    /// How often the directory was asked for anything.
    pub fn n_calls(&self) -> usize {
        self.0.n_calls.load(Ordering::SeqCst)
    }
}

/// Stands before a directory and does what its switch says.
#[derive(Debug)]
pub struct SwitchedDirectory {
    inner: Arc<dyn Directory>,
    switch: DirectorySwitch,
}

impl SwitchedDirectory {
    /// Passes everything on, until the switch says otherwise.
    pub const fn new(inner: Arc<dyn Directory>, switch: DirectorySwitch) -> Self {
        Self { inner, switch }
    }

    async fn called(&self) -> Result<(), DirectoryError> {
        let switches = &self.switch.0;
        switches.n_calls.fetch_add(1, Ordering::SeqCst);
        let delay = switches.delay_millis.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if switches.down.load(Ordering::SeqCst) {
            return Err(DirectoryError::unavailable("down on purpose"));
        }
        Ok(())
    }
}

impl fmt::Display for SwitchedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Directory for SwitchedDirectory {
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, DirectoryError> {
        self.switch.0.n_look_ups.fetch_add(1, Ordering::SeqCst);
        self.called().await?;
        let mut found = self.inner.credentials(name).await?;
        if let Some(found) = &mut found
            && self.switch.0.wrong.load(Ordering::SeqCst)
        {
            found.asked = LoginName::parse("another@example.test").expect("a login name");
        }
        Ok(found)
    }

    async fn recipient(&self, address: &LoginName) -> Result<Option<Recipient>, DirectoryError> {
        self.called().await?;
        self.inner.recipient(address).await
    }

    async fn note_login(&self, note: &LoginNote) -> Result<bool, DirectoryError> {
        self.called().await?;
        self.inner.note_login(note).await
    }

    async fn upgrade(
        &self,
        account: AccountId,
        version: i64,
        password: NewPassword,
    ) -> Result<bool, DirectoryError> {
        self.called().await?;
        self.inner.upgrade(account, version, password).await
    }

    async fn standing(&self, logins: &[LiveLogin]) -> Result<Vec<Standing>, DirectoryError> {
        self.called().await?;
        self.inner.standing(logins).await
    }

    async fn roster(&self, known: Option<i64>) -> Result<Option<Roster>, DirectoryError> {
        self.called().await?;
        self.inner.roster(known).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }

    async fn installation_secret(&self) -> Result<Secret<[u8; 32]>, DirectoryError> {
        self.called().await?;
        self.inner.installation_secret().await
    }

    async fn record(&self, records: &[AuditRecord]) -> Result<(), DirectoryError> {
        self.called().await?;
        self.inner.record(records).await
    }
}

/// Implements [`Directory`] for a type that knows recipients only: `$answer` is a function of it and an address.
#[macro_export]
macro_rules! knows_recipients {
    ($type:ty, $answer:path) => {
        #[async_trait::async_trait]
        impl $crate::auth::Directory for $type {
            async fn credentials(
                &self,
                _: &$crate::auth::LoginName,
            ) -> Result<Option<$crate::auth::Credentials>, $crate::auth::DirectoryError> {
                Ok(None)
            }

            async fn recipient(
                &self,
                address: &$crate::auth::LoginName,
            ) -> Result<Option<$crate::auth::Recipient>, $crate::auth::DirectoryError> {
                $answer(self, address)
            }

            async fn note_login(
                &self,
                _: &$crate::auth::LoginNote,
            ) -> Result<bool, $crate::auth::DirectoryError> {
                Ok(true)
            }

            async fn upgrade(
                &self,
                _: $crate::types::AccountId,
                _: i64,
                _: $crate::auth::NewPassword,
            ) -> Result<bool, $crate::auth::DirectoryError> {
                Ok(false)
            }

            async fn standing(
                &self,
                logins: &[$crate::auth::LiveLogin],
            ) -> Result<Vec<$crate::auth::Standing>, $crate::auth::DirectoryError> {
                Ok(vec![$crate::auth::Standing::Good; logins.len()])
            }

            async fn roster(
                &self,
                _: Option<i64>,
            ) -> Result<Option<$crate::auth::Roster>, $crate::auth::DirectoryError> {
                Ok(None)
            }

            fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
                tokio::sync::watch::channel(0).1
            }

            async fn installation_secret(
                &self,
            ) -> Result<$crate::types::Secret<[u8; 32]>, $crate::auth::DirectoryError> {
                Ok($crate::types::Secret::new([7; 32]))
            }

            async fn record(
                &self,
                _: &[$crate::auth::AuditRecord],
            ) -> Result<(), $crate::auth::DirectoryError> {
                Ok(())
            }
        }
    };
}
