//! From a claim to a verdict: admission, look-up, proof, rules. Start at [`Authenticator`].
//!
//! How each kind of claim is proved is in the files below this one.

mod by_certificate;
mod by_password;
mod by_scram;
mod by_token;

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use restante_sasl::{Claim, LoginMechanism};
use restante_telemetry::{LoginJudged, LoginRefusedFor, LoginStage, LoginVerdict, Stage, Telemetry};
use restante_types::{AccountId, ClientAddr, Clock, Secret, SessionId};
use sha2::Sha256;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::gate::HashGate;
use crate::password::{self, HashError, Password, Rule};
use crate::turnstile::Turnstile;
use crate::verify_cache::VerifyCache;
use crate::{
    Account, Admission, AppPasswordId, AppScope, Attempt, AttemptLimiter, AuditAction, AuditLog, AuditRecord,
    Credentials, Directory, DirectoryError, GateLimits, GateLoad, LimiterLost, LoginName, LoginNote, NameKey,
    Policy, Scope, TokenVerifier, Transport,
};

pub use by_scram::ScramTicket;

/// The last use of an application password is written down at most so often.
const LAST_USE_EVERY: Duration = Duration::from_mins(5);

/// How logins are verified.
#[derive(Clone, Copy, Debug)]
pub struct AuthLimits {
    /// How much hashing at once.
    pub gate: GateLimits,
    /// How long the evaluation of a login may take before the client is told to come back. The time that an attempt
    /// waits for its turn after failures comes before it.
    pub deadline: Duration,
    /// How long a refusal takes at least, so that its time tells nothing.
    pub floor: Duration,
}

impl Default for AuthLimits {
    /// Ten seconds at most, a quarter of a second at least.
    fn default() -> Self {
        Self {
            gate: GateLimits::default(),
            deadline: Duration::from_secs(10),
            floor: Duration::from_millis(250),
        }
    }
}

/// What an [`Authenticator`] stands on.
#[derive(Clone, Debug)]
pub struct AuthPorts {
    /// Who is who.
    pub directory: Arc<dyn Directory>,
    /// Slows down whoever fails.
    pub limiter: Arc<dyn AttemptLimiter>,
    /// Checks access tokens; `None`: no token opens anything.
    pub tokens: Option<Arc<dyn TokenVerifier>>,
    /// Where logins are written down.
    pub audit: AuditLog,
    /// How passwords are hashed now.
    pub rule: Rule,
    /// Civil time, for what expires.
    pub clock: Arc<dyn Clock>,
    /// Where logins are counted.
    pub telemetry: Telemetry,
}

/// What is known of a connection on which somebody logs in.
#[derive(Clone, Debug)]
pub struct LoginContext {
    /// Whose users are known on it.
    pub scope: Scope,
    /// From where it comes.
    pub client: ClientAddr,
    /// What protects it.
    pub transport: Transport,
    /// The session that runs on it.
    pub session: SessionId,
    /// The mail addresses (rfc822Name) in the client certificate that was verified in its handshake.
    pub certificate_names: Vec<String>,
}

/// Proof that somebody showed the right credentials for an account that may log in. Made by
/// [`Authenticator::verify`] alone.
#[derive(Debug)]
pub struct Authenticated {
    account: Account,
    policy: Policy,
    app_password: Option<UsedAppPassword>,
    server_signature: Option<[u8; 32]>,
    mechanism: LoginMechanism,
}

impl Authenticated {
    /// Whose account it is.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The rules of its tenant.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether messages may be deleted, by the account, its tenant and the credential.
    pub fn may_delete(&self) -> bool {
        let permitted = self.app_password.is_none_or(|used| used.scope == AppScope::Full);
        permitted && self.account.may_delete()
    }

    /// The application password that was shown, if it was one.
    pub fn app_password(&self) -> Option<AppPasswordId> {
        self.app_password.map(|used| used.id)
    }

    /// How it was shown.
    pub const fn mechanism(&self) -> LoginMechanism {
        self.mechanism
    }
}

impl restante_session::Access for Authenticated {
    fn account(&self) -> AccountId {
        self.account.id
    }

    fn server_signature(&self) -> Option<&[u8]> {
        self.server_signature.as_ref().map(<[u8; 32]>::as_slice)
    }
}

/// What became of a claim.
#[derive(Debug)]
pub enum Verdict {
    /// Right, and the account may log in.
    Granted(Box<Authenticated>),
    /// Evaluated and refused: unknown, wrong or not permitted, which is not told apart.
    Refused,
    /// Not evaluated: too much is waiting to be, or too much was tried.
    Busy,
    /// Not evaluated: something that is needed does not answer.
    Unavailable,
}

/// An application password that opened an account.
#[derive(Clone, Copy, Debug)]
struct UsedAppPassword {
    id: AppPasswordId,
    scope: AppScope,
    /// Whether its last use is to be written down.
    is_due: bool,
}

/// What showed that a claim is right.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    app_password: Option<UsedAppPassword>,
    server_signature: Option<[u8; 32]>,
}

/// What the evaluation of a claim came to.
#[derive(Debug)]
enum Finding {
    Right(Box<Credentials>, Proof),
    /// Wrong, for this account if there is one.
    Wrong {
        account: Option<AccountId>,
        /// The same secret was wrong for the same name a moment ago: a client that keeps trying, not a guess.
        repeated: bool,
    },
    /// Only an application password would have been looked at.
    Throttled,
    /// Too many passwords wait to be verified.
    Busy,
    Unavailable,
}

impl Finding {
    fn wrong(found: Option<&Credentials>) -> Self {
        Self::Wrong {
            account: found.map(|found| found.account.id),
            repeated: false,
        }
    }
}

/// Who a claim is about and under which conditions it is looked at.
#[derive(Debug)]
struct Question<'a> {
    name: Option<LoginName>,
    attempt: Attempt,
    guarded: bool,
    context: &'a LoginContext,
}

/// Why an [`Authenticator`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    /// The directory does not answer.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The hash parameters are past the limits, or the system gives no random octets.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// Verifies claims against a [`Directory`].
///
/// Unknown names cost what known ones cost: the same admission, the same look-up, the same hashing, the same shortest
/// time. Every answer of the directory names what was asked, and is compared with it.
#[derive(Debug)]
pub struct Authenticator {
    ports: AuthPorts,
    turnstile: Turnstile,
    gate: Arc<HashGate>,
    cache: VerifyCache,
    limits: AuthLimits,
    /// The hash that unknown names are compared with.
    dummy: Arc<Secret<String>>,
    installation: Secret<[u8; 32]>,
}

impl Authenticator {
    /// Asks the directory for the installation's secret, and takes the time of one hash.
    ///
    /// # Errors
    /// [`AuthSetupError`].
    pub async fn open(ports: AuthPorts, limits: AuthLimits) -> Result<Self, AuthSetupError> {
        let installation = ports.directory.installation_secret().await?;
        let dummy = Arc::new(password::hash(&Password::nobodys(), &ports.rule)?);
        Ok(Self {
            ports,
            turnstile: Turnstile::new(),
            gate: Arc::new(HashGate::new(limits.gate)),
            cache: VerifyCache::new()?,
            limits,
            dummy,
            installation,
        })
    }

    /// Decides on a claim. A SCRAM claim comes with the ticket that [`Authenticator::salt`] gave for the same name.
    ///
    /// # Cancel safety
    /// Safe: nothing is kept of a claim that nobody waits for, but that its turn is used up.
    pub async fn verify(&self, claim: Claim, ticket: Option<ScramTicket>, context: &LoginContext) -> Verdict {
        let mechanism = claim.mechanism();
        let question = match &ticket {
            Some(ticket) => ticket.question(context),
            None => match self.admitted(claimed_name(&claim), context).await {
                Some(question) => question,
                None => return self.not_evaluated(LoginVerdict::Throttled, mechanism),
            },
        };
        let begun = Instant::now();
        let evaluated = tokio::time::timeout(self.limits.deadline, self.evaluate(claim, ticket, &question));
        let finding = evaluated.await.unwrap_or_else(|_| {
            warn!("no verdict within the deadline of a login");
            Finding::Unavailable
        });
        self.time(Stage::Verdict, begun);
        self.conclude(finding, mechanism, &question, begun).await
    }

    /// Takes note that the maildrop of a verified client is open: from now on the account's login delay runs. `false`
    /// if its last login was too short a while ago; then the maildrop is to be given back.
    ///
    /// # Errors
    /// The directory does not answer.
    pub async fn logged_in(&self, authenticated: &Authenticated) -> Result<bool, DirectoryError> {
        let policy = &authenticated.policy;
        let used = authenticated.app_password.filter(|used| used.is_due);
        if policy.login_delay().is_zero() && used.is_none() {
            return Ok(true);
        }
        let note = LoginNote {
            account: authenticated.account.id,
            delay: policy.login_delay(),
            burst: policy.login_burst.max(1),
            app_password: used.map(|used| used.id),
        };
        tokio::time::timeout(self.limits.deadline, self.ports.directory.note_login(&note))
            .await
            .unwrap_or_else(|_| {
                Err(DirectoryError::unavailable(
                    "the login could not be noted in time",
                ))
            })
    }

    /// A claim that was not evaluated.
    fn not_evaluated(&self, verdict: LoginVerdict, mechanism: LoginMechanism) -> Verdict {
        self.judged(verdict, mechanism);
        match verdict {
            LoginVerdict::Throttled | LoginVerdict::Busy => Verdict::Busy,
            _ => Verdict::Unavailable,
        }
    }

    fn judged(&self, verdict: LoginVerdict, mechanism: LoginMechanism) {
        self.ports.telemetry.emit(LoginJudged { mechanism, verdict });
    }

    fn time(&self, stage: Stage, begun: Instant) {
        let elapsed = begun.elapsed();
        self.ports.telemetry.emit(LoginStage { stage, elapsed });
    }

    /// How much hashing there may be.
    pub const fn gate_limits(&self) -> GateLimits {
        self.limits.gate
    }

    /// How much hashing there is now.
    pub fn load(&self) -> GateLoad {
        self.gate.load()
    }

    /// Writes what the audit still holds, for at most `limit`.
    pub async fn flush_audit(&self, limit: Duration) {
        self.ports.audit.flush(limit).await;
    }

    /// Records something about a live session.
    pub fn record(&self, record: AuditRecord) {
        self.ports.audit.record(record);
    }

    /// Waits for the turn of an attempt; `None` if that would take too long.
    async fn admitted<'a>(&self, name: Option<&[u8]>, context: &'a LoginContext) -> Option<Question<'a>> {
        let name = name.and_then(|name| login_name(name, &context.scope));
        let attempt = Attempt {
            name: name.as_ref().map(|name| self.name_key(name)),
            client: context.client.ip(),
        };
        let asked = Instant::now();
        let turn = self.turnstile.turn(context.client.prefix()).await;
        let admission = self.ports.limiter.admit(&attempt).await;
        drop(turn);
        let guarded = match admission {
            Ok(Admission::After { wait, guarded }) => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                guarded
            }
            Ok(Admission::TooMany) => return None,
            Err(lost) => {
                not_limited(&lost);
                false
            }
        };
        self.time(Stage::Turn, asked);
        Some(Question {
            name,
            attempt,
            guarded,
            context,
        })
    }

    async fn evaluate(&self, claim: Claim, ticket: Option<ScramTicket>, question: &Question<'_>) -> Finding {
        match claim {
            Claim::Password { password, .. } => self.by_password(password, question).await,
            Claim::Scram {
                name,
                auth_message,
                proof,
                ..
            } => Self::by_scram(&name, &auth_message, &proof, ticket),
            Claim::Bearer { name, token, .. } => self.by_token(name.is_some(), &token, question).await,
            Claim::External { authzid } => self.by_certificate(authzid.as_deref(), question).await,
        }
    }

    /// The account of that name with its credentials; `None` if there is none here; an error if nobody can tell.
    async fn look_up(&self, name: &LoginName, context: &LoginContext) -> Result<Option<Credentials>, ()> {
        let _turn = self.turnstile.turn(context.client.prefix()).await;
        let directory = &self.ports.directory;
        let found = directory.credentials(name).await.map_err(|error| {
            error!(%error, %directory, "logins cannot be verified");
        })?;
        let Some(found) = found else {
            return Ok(None);
        };
        if found.asked != *name {
            error!(%directory, "the directory answered for another name");
            return Err(());
        }
        let is_known = context
            .scope
            .tenant
            .is_none_or(|tenant| tenant == found.account.id.tenant());
        Ok(is_known.then_some(found))
    }

    /// Applies the rules to what was found out, and leaves its traces.
    async fn conclude(
        &self,
        finding: Finding,
        mechanism: LoginMechanism,
        question: &Question<'_>,
        begun: Instant,
    ) -> Verdict {
        let (account, repeated) = match finding {
            Finding::Throttled => return self.not_evaluated(LoginVerdict::Throttled, mechanism),
            Finding::Busy => return self.not_evaluated(LoginVerdict::Busy, mechanism),
            Finding::Unavailable => return self.not_evaluated(LoginVerdict::Unavailable, mechanism),
            Finding::Wrong { account, repeated } => (account, repeated),
            Finding::Right(credentials, proof) => {
                let account = credentials.account.id;
                match grant(*credentials, proof, mechanism, question.context.transport) {
                    Some(authenticated) => return self.granted(authenticated, question).await,
                    None => (Some(account), false),
                }
            }
        };
        self.judged(LoginVerdict::Refused, mechanism);
        if let Some(account) = account {
            let tenant = account.tenant();
            self.ports.telemetry.emit(LoginRefusedFor { tenant });
        }
        if !repeated {
            if let Err(lost) = self.ports.limiter.failed(&question.attempt).await {
                not_limited(&lost);
            }
            self.audit(AuditAction::LoginRefused, account, mechanism, question, "");
        }
        tokio::time::sleep_until(begun + self.limits.floor + jitter(self.limits.floor)).await;
        Verdict::Refused
    }

    async fn granted(&self, authenticated: Box<Authenticated>, question: &Question<'_>) -> Verdict {
        self.judged(LoginVerdict::Granted, authenticated.mechanism);
        if let Err(lost) = self.ports.limiter.succeeded(&question.attempt).await {
            not_limited(&lost);
        }
        let credential = match authenticated.app_password {
            Some(used) => format!(" app-password={}", used.id.0),
            None => String::new(),
        };
        let account = Some(authenticated.account.id);
        let mechanism = authenticated.mechanism;
        self.audit(AuditAction::Login, account, mechanism, question, &credential);
        Verdict::Granted(authenticated)
    }

    fn audit(
        &self,
        action: AuditAction,
        account: Option<AccountId>,
        mechanism: LoginMechanism,
        question: &Question<'_>,
        more: &str,
    ) {
        let context = question.context;
        self.ports.audit.record(AuditRecord {
            at: self.ports.clock.wall(),
            actor: "client".to_owned(),
            action,
            tenant: account.map(AccountId::tenant).or(context.scope.tenant),
            account,
            session: Some(context.session),
            client: Some(context.client.ip()),
            detail: format!("mechanism={mechanism} transport={:?}{more}", context.transport),
        });
    }

    /// The same for all frontends, and for unknown names too.
    fn name_key(&self, name: &LoginName) -> NameKey {
        let digest = self.installation_mac(b"name", name.to_string().as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        NameKey(key)
    }

    fn installation_mac(&self, purpose: &[u8], of: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.installation.expose())
            .expect("HMAC takes keys of every length");
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(of);
        mac.finalize().into_bytes().into()
    }
}

/// The proof of a login, if the rules admit it.
fn grant(
    credentials: Credentials,
    proof: Proof,
    mechanism: LoginMechanism,
    transport: Transport,
) -> Option<Box<Authenticated>> {
    let Credentials { account, policy, .. } = credentials;
    let admitted = account.may_log_in() && policy.permits(mechanism) && policy.tls.admits(transport);
    admitted.then(|| {
        Box::new(Authenticated {
            account,
            policy,
            app_password: proof.app_password,
            server_signature: proof.server_signature,
            mechanism,
        })
    })
}

/// The name that a claim is about, exactly as the client sent it.
fn claimed_name(claim: &Claim) -> Option<&[u8]> {
    match claim {
        Claim::Password { name, .. } | Claim::Scram { name, .. } => Some(name),
        Claim::Bearer { name, .. } => name.as_deref(),
        Claim::External { authzid } => authzid.as_deref(),
    }
}

/// The name that a client sent, normalised, and completed where the tenant is known; `None` if it is no name.
fn login_name(text: &[u8], scope: &Scope) -> Option<LoginName> {
    let text = str::from_utf8(text).ok()?;
    if text.contains('@') {
        return LoginName::parse(text).ok();
    }
    let domain = scope.default_domain.as_deref()?;
    LoginName::parse(&format!("{text}@{domain}")).ok()
}

/// Only a limiter without a fallback can be lost.
fn not_limited(lost: &LimiterLost) {
    error!(%lost, "an attempt to log in was not limited");
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
