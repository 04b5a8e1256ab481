//! Logins, from the claim to the open maildrop.

use std::time::Duration;

use restante_sasl::LoginMechanism;
use restante_types::{MaildropId, TenantId};

use crate::metric::{Counter, Histogram};
use crate::{InternalEvent, Telemetry, number};

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginVerdict {
    /// Right.
    Granted,
    /// Evaluated and refused.
    Refused,
    /// Not evaluated: too much was tried, by this client or for this name.
    Throttled,
    /// Not evaluated: too many passwords wait to be verified.
    Busy,
    /// Not evaluated: something that is needed does not answer.
    Unavailable,
}

impl LoginVerdict {
    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A claim was decided on, or not.
#[derive(Clone, Copy, Debug)]
pub struct LoginJudged {
    /// How somebody tried to log in.
    pub mechanism: LoginMechanism,
    /// What it came to.
    pub verdict: LoginVerdict,
}

impl InternalEvent for LoginJudged {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::Logins, &[self.mechanism.name(), self.verdict.as_str()]);
    }
}

/// A login was refused for an account that there is.
#[derive(Clone, Copy, Debug)]
pub struct LoginRefusedFor {
    /// Whose it is.
    pub tenant: TenantId,
}

impl InternalEvent for LoginRefusedFor {
    fn emit(self, telemetry: &Telemetry) {
        if let Some(tenant) = telemetry.tenants().label(telemetry.metrics(), self.tenant) {
            telemetry.count(Counter::TenantRefusedLogins, &[&tenant]);
        }
    }
}

/// Whether a password was known from a moment ago.
#[derive(Clone, Copy, Debug)]
pub struct PasswordLookedUp {
    /// In the cache of those that were verified.
    pub is_known: bool,
}

impl InternalEvent for PasswordLookedUp {
    fn emit(self, telemetry: &Telemetry) {
        let result = if self.is_known { "hit" } else { "miss" };
        telemetry.count(Counter::VerifyCache, &[result]);
    }
}

/// A maildrop was taken over from a frontend that gives no sign of life.
#[derive(Clone, Copy, Debug)]
pub struct MaildropTakenOver {
    /// Which.
    pub maildrop: MaildropId,
}

impl InternalEvent for MaildropTakenOver {
    fn emit(self, telemetry: &Telemetry) {
        tracing::warn!(maildrop = %self.maildrop, "maildrop taken over: whoever held it gives no sign of life");
        telemetry.count(Counter::Takeovers, &[]);
    }
}

/// A part of a login that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the turn that the attempt limits give.
    Turn,
    /// Look-up, hashing and rules. Of a refusal without the time by which it is held back.
    Verdict,
    /// Waiting for the turn of its hash, within the verdict.
    HashWait,
    /// Hashing, within the verdict.
    Hash,
    /// Taking the maildrop.
    Lock,
    /// Listing the maildrop.
    Listing,
    /// All of it, of a login that succeeded.
    Total,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Verdict => "verdict",
            Self::HashWait => "hash_wait",
            Self::Hash => "hash",
            Self::Lock => "lock",
            Self::Listing => "listing",
            Self::Total => "total",
        }
    }
}

/// A part of a login ended.
#[derive(Clone, Copy, Debug)]
pub struct LoginStage {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    pub elapsed: Duration,
}

impl InternalEvent for LoginStage {
    fn emit(self, telemetry: &Telemetry) {
        let labels = [self.stage.as_str()];
        telemetry
            .metrics()
            .observe(Histogram::LoginSeconds, &labels, self.elapsed);
    }
}

/// What became of a maildrop that a verified client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenResult {
    /// It is open, with so many messages.
    Opened(usize),
    /// Another session holds it.
    InUse,
    /// The last login was too short a while ago.
    LoginDelay,
    /// The tenant has as many sessions as it may.
    TooManySessions,
    /// Something that is needed does not answer.
    Unavailable,
}

impl OpenResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::InUse => "in_use",
            Self::LoginDelay => "login_delay",
            Self::TooManySessions => "too_many_sessions",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A maildrop was asked for.
#[derive(Clone, Copy, Debug)]
pub struct MaildropOpened {
    /// What became of it.
    pub result: OpenResult,
}

impl InternalEvent for MaildropOpened {
    fn emit(self, telemetry: &Telemetry) {
        telemetry.count(Counter::MaildropOpens, &[self.result.as_str()]);
        if let OpenResult::Opened(n_messages) = self.result {
            telemetry
                .metrics()
                .observe_number(Histogram::MaildropMessages, &[], number(n_messages));
        }
    }
}
