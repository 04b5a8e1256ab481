//! What a failed request means: whether trying again may help, whether it may have happened, and which kind of the
//! contract it is.

use std::time::Duration;

use object_store::client::HttpErrorKind;
use restante_store::{StoreError, StoreErrorKind};

use super::answer::{Refusal, causes, transport};

/// How the technology names itself in errors, logs and metrics.
pub(crate) const STORE: &str = "s3";

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: StoreErrorKind,
    /// Another attempt may succeed.
    pub(crate) is_transient: bool,
    /// The request may have been carried out all the same.
    pub(crate) may_have_happened: bool,
    pub(crate) retry_after: Option<Duration>,
    /// The error code of S3; empty if the service did not refuse, or did not say why.
    pub(crate) code: String,
    pub(crate) text: String,
}

impl Failure {
    /// No answer in the time that is allowed.
    pub(crate) fn timeout() -> Self {
        Self {
            kind: StoreErrorKind::Timeout,
            is_transient: true,
            may_have_happened: true,
            retry_after: None,
            code: String::new(),
            text: "no answer in time".to_owned(),
        }
    }

    /// The answer is complete and wrong.
    pub(crate) fn damaged(text: &str) -> Self {
        Self::verdict(StoreErrorKind::Damaged, text)
    }

    /// There is no such object.
    pub(crate) fn absent() -> Self {
        Self::verdict(StoreErrorKind::NotFound, "there is no such object")
    }

    /// There is an object where there should be none.
    pub(crate) fn taken() -> Self {
        Self::verdict(StoreErrorKind::Conflict, "there is such an object")
    }

    fn verdict(kind: StoreErrorKind, text: &str) -> Self {
        Self {
            kind,
            is_transient: false,
            may_have_happened: false,
            retry_after: None,
            code: String::new(),
            text: text.to_owned(),
        }
    }

    /// The answer ends before it is complete.
    pub(crate) fn cut_short() -> Self {
        Self {
            kind: StoreErrorKind::Unavailable,
            is_transient: true,
            may_have_happened: true,
            retry_after: None,
            code: String::new(),
            text: "the answer ends early".to_owned(),
        }
    }

    /// As a caller of the contract sees it; `op` is the operation.
    pub(crate) fn into_error(self, op: &'static str) -> StoreError {
        let error = StoreError::new(self.kind, op, STORE).because(self.text);
        match self.retry_after {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    /// As [`Failure::into_error`], for a call that writes: after one that may have happened nobody knows.
    pub(crate) fn into_write_error(mut self, op: &'static str) -> StoreError {
        if self.may_have_happened && self.kind == StoreErrorKind::Unavailable {
            self.kind = StoreErrorKind::Unknown;
        }
        self.into_error(op)
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        if let Some(refusal) = Refusal::beneath(&error) {
            return refused(refusal);
        }
        if let Some(kind) = transport(&error) {
            return not_answered(kind, &error);
        }
        // A success that is no answer to what was asked: something other than S3 speaks, or an error came as a success.
        Self {
            kind: StoreErrorKind::Unavailable,
            is_transient: true,
            may_have_happened: true,
            retry_after: None,
            code: String::new(),
            text: format!("the answer is not understood: {}", innermost(&error)),
        }
    }
}

fn refused(refusal: &Refusal) -> Failure {
    use StoreErrorKind as Kind;
    let of = |kind, is_transient, may_have_happened| Failure {
        kind,
        is_transient,
        may_have_happened,
        retry_after: refusal.retry_after,
        code: refusal.code.clone(),
        text: refusal.to_string(),
    };
    match (refusal.status, refusal.code.as_str()) {
        // Without the name of what is missing it may be anything before the service that does not know the way.
        (404, "NoSuchKey" | "NoSuchVersion") => of(Kind::NotFound, false, false),
        (404, "") if !refusal.has_body => of(Kind::NotFound, false, false),
        (404, _) => of(Kind::Invalid, false, false),
        (412, _) => of(Kind::Conflict, false, false),
        (416, _) => of(Kind::Damaged, false, false),
        (409, "ConditionalRequestConflict" | "OperationAborted") => of(Kind::Unavailable, true, false),
        (_, "RequestTimeout" | "BadDigest" | "XAmzContentSHA256Mismatch" | "IncompleteBody") => {
            of(Kind::Unavailable, true, false)
        }
        (_, "SlowDown" | "TooManyRequests" | "ThrottlingException" | "RequestLimitExceeded") | (429, _) => {
            of(Kind::Throttled, true, false)
        }
        (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage") => {
            of(Kind::Full, false, false)
        }
        (503, _) => of(Kind::Throttled, true, true),
        (408 | 500..=599, _) => of(Kind::Unavailable, true, true),
        (401 | 403, _) => of(Kind::Denied, false, false),
        _ => of(Kind::Invalid, false, false),
    }
}

fn not_answered(kind: HttpErrorKind, error: &object_store::Error) -> Failure {
    let (kind, may_have_happened) = match kind {
        HttpErrorKind::Connect => (StoreErrorKind::Unavailable, false),
        HttpErrorKind::Timeout => (StoreErrorKind::Timeout, true),
        _ => (StoreErrorKind::Unavailable, true),
    };
    Failure {
        kind,
        is_transient: true,
        may_have_happened,
        retry_after: None,
        code: String::new(),
        text: innermost(error),
    }
}

/// The last two causes: the outer ones repeat the request's address, the inner ones say what was wrong.
fn innermost(error: &object_store::Error) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let last = texts.len().saturating_sub(2);
    let text = texts.get(last..).unwrap_or_default().join(": ");
    text.chars()
        .take(300)
        .collect::<String>()
        .escape_debug()
        .to_string()
}
