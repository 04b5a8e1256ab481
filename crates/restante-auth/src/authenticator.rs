//! From a claim to a verdict.

use std::sync::Arc;
use std::time::Duration;

use restante_sasl::Claim;
use restante_types::{AccountId, Secret, TenantId};
use tracing::{error, warn};

use crate::gate::{GateBusy, HashGate};
use crate::pace::LoginPace;
use crate::password::{self, HashError, HashParams, Password};
use crate::{Account, Credentials, Directory, GateLimits, LoginName};

/// How logins are verified.
#[derive(Clone, Copy, Debug)]
pub struct AuthLimits {
    /// What hashing costs where there is no stored hash to go by.
    pub params: HashParams,
    /// How much hashing at once.
    pub gate: GateLimits,
    /// How long a login may take before the client is told to come back.
    pub deadline: Duration,
    /// How long a refusal takes at least, so that its time tells nothing.
    pub floor: Duration,
    /// The least time between two logins of one account; zero is none.
    pub login_delay: Duration,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            params: HashParams::default(),
            gate: GateLimits::default(),
            deadline: Duration::from_secs(10),
            floor: Duration::from_millis(250),
            login_delay: Duration::ZERO,
        }
    }
}

/// Proof that somebody showed the right credentials for an account that may log in. Made by
/// [`Authenticator::verify`] alone.
#[derive(Debug)]
pub struct Authenticated {
    account: Account,
}

impl Authenticated {
    /// Whose account it is.
    pub const fn account(&self) -> &Account {
        &self.account
    }
}

impl restante_session::Access for Authenticated {
    fn account(&self) -> AccountId {
        self.account.id
    }
}

/// What became of a claim.
#[derive(Debug)]
pub enum Verdict {
    /// Right, and the account may log in.
    Granted(Box<Authenticated>),
    /// Evaluated and refused: unknown, wrong or not permitted, which is not told apart.
    Refused,
    /// Right, but too soon after the account's last login.
    TooSoon,
    /// Not evaluated: too much is waiting to be.
    Busy,
    /// Not evaluated: something that is needed does not answer.
    Unavailable,
}

/// Verifies claims against a [`Directory`].
///
/// Unknown names cost what known ones cost: the same look-up, the same hashing, the same shortest time.
#[derive(Debug)]
pub struct Authenticator {
    directory: Arc<dyn Directory>,
    gate: HashGate,
    limits: AuthLimits,
    pace: LoginPace,
    /// The hash that unknown names are compared with.
    dummy: Arc<Secret<String>>,
}

impl Authenticator {
    /// Takes the time of one hash.
    ///
    /// # Errors
    /// The hash parameters are past the limits, or the system gives no random octets.
    pub fn new(directory: Arc<dyn Directory>, limits: AuthLimits) -> Result<Self, HashError> {
        let dummy = Arc::new(password::hash(&Password::nobodys(), limits.params)?);
        Ok(Self {
            directory,
            gate: HashGate::new(limits.gate),
            pace: LoginPace::new(limits.login_delay),
            limits,
            dummy,
        })
    }

    /// Decides on a claim. `tenant` is the one that the listener is bound to; the users of others are unknown there.
    ///
    /// # Cancel safety
    /// Safe: nothing is kept of a claim that nobody waits for.
    pub async fn verify(&self, claim: Claim, tenant: Option<TenantId>) -> Verdict {
        let begun = tokio::time::Instant::now();
        let verdict = tokio::time::timeout(self.limits.deadline, self.decide(claim, tenant)).await;
        let verdict = verdict.unwrap_or_else(|_| {
            warn!("no verdict within the deadline of a login");
            Verdict::Unavailable
        });
        if matches!(verdict, Verdict::Refused) {
            tokio::time::sleep_until(begun + self.limits.floor + jitter(self.limits.floor)).await;
        }
        verdict
    }

    /// Takes note that the maildrop of a verified client is open: from now on the account's login delay runs.
    pub fn logged_in(&self, authenticated: &Authenticated) {
        self.pace.note(authenticated.account.id);
    }

    async fn decide(&self, claim: Claim, tenant: Option<TenantId>) -> Verdict {
        let Claim::Password { name, password, .. } = claim;
        let Ok(found) = self.look_up(&name, tenant).await else {
            return Verdict::Unavailable;
        };
        // A password that cannot be one is compared all the same, and to no avail.
        let prepared = Password::prepare(password.expose());
        let (candidate, possible) = match prepared {
            Ok(password) => (password, true),
            Err(_) => (Password::nobodys(), false),
        };
        let stored = found.as_ref().and_then(|found| found.1.clone());
        let (stored, known) = match stored {
            Some(stored) => (stored, true),
            None => (Arc::clone(&self.dummy), false),
        };
        let matched = match self.gate.run(move || password::verify(&stored, &candidate)).await {
            Ok(Ok(matched)) => matched && known && possible,
            Ok(Err(error)) => {
                error!(%error, "a stored password hash cannot be used; set the password anew");
                return Verdict::Unavailable;
            }
            Err(GateBusy) => return Verdict::Busy,
        };
        match found {
            Some((account, _)) if matched && account.state.may_log_in() => {
                if self.pace.admits(account.id) {
                    Verdict::Granted(Box::new(Authenticated { account }))
                } else {
                    Verdict::TooSoon
                }
            }
            _ => Verdict::Refused,
        }
    }

    /// The account of that name with its stored hash; `None` if there is none here; an error if nobody can tell.
    async fn look_up(
        &self,
        name: &[u8],
        tenant: Option<TenantId>,
    ) -> Result<Option<(Account, Option<Arc<Secret<String>>>)>, ()> {
        let Some(name) = str::from_utf8(name)
            .ok()
            .and_then(|name| LoginName::parse(name).ok())
        else {
            return Ok(None);
        };
        let found = self.directory.credentials(&name).await.map_err(|error| {
            error!(%error, directory = %self.directory, "logins cannot be verified");
        })?;
        let Some(Credentials {
            account, password, ..
        }) = found
        else {
            return Ok(None);
        };
        if account.name != name {
            error!(directory = %self.directory, "the directory answered for another name");
            return Err(());
        }
        if tenant.is_some_and(|tenant| tenant != account.id.tenant()) {
            return Ok(None);
        }
        Ok(Some((account, password.map(Arc::new))))
    }
}

/// Up to a fifth more.
fn jitter(floor: Duration) -> Duration {
    let mut chance = [0; 1];
    // Without random octets the floor itself still hides the work.
    if getrandom::fill(&mut chance).is_err() {
        return Duration::ZERO;
    }
    floor / 5 * u32::from(chance[0]) / 255
}
