//! Tells whoever watches that the directory changed: at once of changes of this process, within seconds of those that
//! another process made in the file.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use crate::{Sqlite, sql};

/// How often a server looks whether another process changed something.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The changes of one directory. Its task ends with it.
pub(crate) struct Changes {
    told: watch::Sender<u64>,
    looking: Option<AbortHandle>,
}

impl Changes {
    /// Of this process only.
    pub(crate) fn own() -> Self {
        Self {
            told: watch::Sender::new(0),
            looking: None,
        }
    }

    /// Also of other processes.
    pub(crate) fn of_all(db: &Sqlite) -> Self {
        let told = watch::Sender::new(0);
        let looking = tokio::spawn(look(db.clone(), told.clone())).abort_handle();
        Self {
            told,
            looking: Some(looking),
        }
    }

    /// Wakes whoever watches.
    pub(crate) fn tell(&self) {
        self.told.send_modify(|n| *n += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

/// Looks at the counters that the triggers of the schema keep, until the database is closed. Not at `PRAGMA
/// data_version`, which changes with every message that is delivered.
async fn look(db: Sqlite, told: watch::Sender<u64>) {
    let mut known: Option<(i64, i64)> = None;
    while !db.readers().is_closed() {
        match db.readers().one(sqlx::query_as(sql::REVISIONS)).await {
            Ok(seen) => {
                if known.replace(seen).is_some_and(|known| known != seen) {
                    told.send_modify(|n| *n += 1);
                }
            }
            Err(error) => debug!(%error, "whether the directory changed is looked at again later"),
        }
        sleep(LOOK_EVERY).await;
    }
}
