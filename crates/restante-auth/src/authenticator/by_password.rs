//! A name with a password: an application password, the verify cache, or one hash behind the gate.

use std::sync::Arc;

use restante_telemetry::{LoginStage, PasswordLookedUp, Stage};
use restante_types::{AccountId, Secret};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::{error, info, warn};
use zeroize::Zeroizing;

use super::{Authenticator, Finding, LAST_USE_EVERY, Proof, Question, UsedAppPassword};
use crate::gate::{GateBusy, Place};
use crate::password::{self, AppPassword, Password, Verified};
use crate::verify_cache::CachedCredential;
use crate::{AppCredential, Credentials, NewPassword};

impl Authenticator {
    pub(super) async fn by_password(&self, secret: Secret<Vec<u8>>, question: &Question<'_>) -> Finding {
        let found = match &question.name {
            Some(name) => match self.look_up(name, question.context).await {
                Ok(found) => found,
                Err(()) => return Finding::Unavailable,
            },
            None => None,
        };
        if let Some(used) = found
            .as_ref()
            .and_then(|found| self.app_password(found, &secret, question))
        {
            return right(found, Some(used));
        }
        if question.guarded {
            return Finding::Throttled;
        }
        let account = found.as_ref().map(|found| found.account.id);
        let tried = question
            .attempt
            .name
            .map(|name| (name, self.cache.mac(name, &tried_secret(found.as_ref(), &secret))));
        if tried.is_some_and(|(name, mac)| self.cache.is_repeated_failure(name, mac)) {
            return Finding::Wrong {
                account,
                repeated: true,
            };
        }
        match self.own_password(found.as_ref(), secret, question).await {
            Ok(true) => right(found, None),
            Ok(false) => {
                if let Some((name, mac)) = tried {
                    self.cache.note_failure(name, mac);
                }
                Finding::Wrong {
                    account,
                    repeated: false,
                }
            }
            Err(NoVerdict::Busy) => Finding::Busy,
            Err(NoVerdict::Unavailable) => Finding::Unavailable,
        }
    }

    /// The application password that this is, if it is good here and now. Costs next to nothing: these secrets are
    /// random.
    fn app_password(
        &self,
        found: &Credentials,
        secret: &Secret<Vec<u8>>,
        question: &Question<'_>,
    ) -> Option<UsedAppPassword> {
        let shown = AppPassword::parse(secret.expose())?;
        let keyring = self.ports.rule.keyring();
        let now = self.ports.clock.wall();
        let client = question.context.client.ip();
        let good = |stored: &&AppCredential| {
            shown.matches(stored.verifier.expose(), keyring)
                && stored.expires_at.is_none_or(|end| now < end)
                && (stored.networks.is_empty() || stored.networks.iter().any(|net| net.contains(&client)))
        };
        let used = found.app_passwords.iter().find(good)?;
        let lately =
            |last: std::time::SystemTime| now.duration_since(last).is_ok_and(|ago| ago < LAST_USE_EVERY);
        Some(UsedAppPassword {
            id: used.id,
            scope: used.scope,
            is_due: !used.last_used_at.is_some_and(lately),
        })
    }

    /// Whether this is the account's own password. One hash is computed whatever there is to compare with, unless
    /// the password was right a short while ago.
    async fn own_password(
        &self,
        found: Option<&Credentials>,
        secret: Secret<Vec<u8>>,
        question: &Question<'_>,
    ) -> Result<bool, NoVerdict> {
        let own = found.filter(|found| !found.policy.app_passwords_only && found.password.is_some());
        let is_known = own.is_some_and(|own| self.cache.check(&cached(own), secret.expose()));
        self.ports.telemetry.emit(PasswordLookedUp { is_known });
        if is_known {
            return Ok(true);
        }
        let stored = match own.and_then(|own| own.password.as_ref()) {
            Some(stored) => Arc::new(Secret::new(stored.expose().clone())),
            None => Arc::clone(&self.dummy),
        };
        // What cannot be a password of ours may be one of an imported hash, which is of the octets themselves.
        let (candidate, possible) = match Password::prepare(secret.expose()) {
            Ok(password) => (Arc::new(password), true),
            Err(_) => (Arc::new(Password::nobodys()), false),
        };
        let secret = Arc::new(secret);
        let place = Place {
            tenant: found.map(|found| found.account.id.tenant()),
            name: question.attempt.name,
            network: question.context.client.prefix(),
        };
        let (rule, password, raw) = (
            self.ports.rule.clone(),
            Arc::clone(&candidate),
            Arc::clone(&secret),
        );
        let (telemetry, asked) = (self.ports.telemetry.clone(), Instant::now());
        let hash = move || {
            let begun = Instant::now();
            let verified = password::verify(&stored, &password, &raw, &rule);
            for (stage, elapsed) in [
                (Stage::HashWait, begun.saturating_duration_since(asked)),
                (Stage::Hash, begun.elapsed()),
            ] {
                telemetry.emit(LoginStage { stage, elapsed });
            }
            verified
        };
        let verified = self.gate.run(place, hash).await;
        let rehash = match verified {
            Ok(Ok(Verified::Matched { rehash })) => rehash,
            Ok(Ok(_)) => return Ok(false),
            Ok(Err(error)) => {
                let account = own.map(|own| own.account.id);
                error!(%error, account = account.map(tracing::field::display), "a stored password hash cannot be used; set the password anew");
                return Err(NoVerdict::Unavailable);
            }
            Err(GateBusy) => return Err(NoVerdict::Busy),
        };
        let Some(own) = own else {
            return Ok(false);
        };
        self.cache.insert(&cached(own), secret.expose());
        let scram = own.policy.wants_scram();
        if possible && (rehash || (scram && own.scram.is_none())) {
            self.upgrade_later(own.account.id, own.version, candidate, scram);
        }
        Ok(true)
    }

    /// Replaces a weak hash, or adds SCRAM keys, when nobody waits for the gate. The login does not wait for it, and
    /// if it does not come to pass, the next login tries again.
    fn upgrade_later(&self, account: AccountId, version: i64, password: Arc<Password>, scram: bool) {
        let (directory, rule) = (Arc::clone(&self.ports.directory), self.ports.rule.clone());
        let runtime = Handle::current();
        self.gate.run_later(move || {
            let new = match NewPassword::make(&password, &rule, scram) {
                Ok(new) => new,
                Err(error) => return warn!(%account, %error, "a password could not be hashed anew"),
            };
            runtime.spawn(async move {
                match directory.upgrade(account, version, new).await {
                    Ok(true) => info!(%account, "a password was hashed anew"),
                    Ok(false) => {}
                    Err(error) => warn!(%account, %error, "a password could not be hashed anew"),
                }
            });
        });
    }
}

/// A secret together with what it was compared with: what was wrong for one account, or before a password was changed,
/// may be right for another, or after it.
fn tried_secret(found: Option<&Credentials>, secret: &Secret<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let (account, version) = found.map_or((0, 0), |found| (found.account.id.number(), found.version));
    Zeroizing::new(
        [
            &account.to_be_bytes()[..],
            &version.to_be_bytes(),
            secret.expose(),
        ]
        .concat(),
    )
}

/// Why there is no verdict on a password.
enum NoVerdict {
    Busy,
    Unavailable,
}

fn right(found: Option<Credentials>, app_password: Option<UsedAppPassword>) -> Finding {
    match found {
        Some(found) => Finding::Right(
            Box::new(found),
            Proof {
                app_password,
                server_signature: None,
            },
        ),
        None => Finding::wrong(None),
    }
}

fn cached(own: &Credentials) -> CachedCredential {
    CachedCredential {
        account: own.account.id,
        version: own.version,
    }
}
