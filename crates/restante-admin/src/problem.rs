//! What a request is answered that cannot be done: RFC 9457, with a remedy. The one place that turns a kind of trouble
//! into a status.
//!
//! Start at [`Problem`].

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use restante_auth::{DirectoryError, DirectoryErrorKind, NameError};
use restante_lock::LockError;
use restante_store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

/// What every `type` begins with.
const TYPE: &str = "urn:restante:problem:";

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $title:literal, $remedy:literal;)+) => {
        /// What kind of trouble a request met.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $variant,)+ }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$variant),+];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

kinds! {
    /// The name is taken.
    Exists = "exists", CONFLICT, "It exists already",
        "Choose another name, or change the one that is there.";
    /// There is nothing of that name, for this token.
    NotFound = "not-found", NOT_FOUND, "There is no such thing",
        "Correct the name; the list of the same path shows what there is.";
    /// It still has something in it, or is used.
    InUse = "in-use", CONFLICT, "It is in use",
        "Remove first what the detail names.";
    /// It is not in a state for this.
    Conflict = "conflict", CONFLICT, "It is not in a state for this",
        "Look at it again and decide anew.";
    /// A value is wrong.
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "A value is wrong",
        "Correct what the detail names and send the request again.";
    /// This token may not.
    NotPermitted = "not-permitted", FORBIDDEN, "This token may not do that",
        "Ask the provider, or use a token without a tenant.";
    /// The token may only read.
    ReadOnly = "read-only", FORBIDDEN, "This token may only read",
        "Use a token without read_only.";
    /// What is needed does not answer now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "What is needed does not answer now",
        "Try again; /readyz says what is lost.";
    /// It took too long.
    Late = "late", SERVICE_UNAVAILABLE, "It took too long",
        "Look whether it was done, then try again.";
    /// It failed in a way that trying again does not mend.
    Failed = "failed", INTERNAL_SERVER_ERROR, "The server could not do it",
        "The server's log says why.";
    /// No token, or nobody's.
    Unauthorized = "unauthorized", UNAUTHORIZED, "A token is needed",
        "Send Authorization: Bearer TOKEN with a token of [[admin.token]] in the configuration.";
    /// From a page of another site.
    CrossSite = "cross-site", FORBIDDEN, "Requests from other sites are refused",
        "Send the request from a program, not from a page of another site.";
    /// Not JSON.
    MediaType = "media-type", UNSUPPORTED_MEDIA_TYPE, "The body is not JSON",
        "Send Content-Type: application/json.";
    /// More than a request may have.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Send less.";
    /// Not what was asked for.
    Malformed = "malformed", BAD_REQUEST, "The request cannot be read",
        "Correct it by /openapi.json.";
    /// No such address.
    NoRoute = "no-route", NOT_FOUND, "There is nothing at this address",
        "/openapi.json lists all addresses.";
    /// The address knows other methods.
    Method = "method", METHOD_NOT_ALLOWED, "This address does not take that method",
        "/openapi.json lists the methods of every address.";
}

/// Why a request was not done (RFC 9457).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of trouble it is, for programs: `urn:restante:problem:` and one of exists, not-found, in-use, conflict,
    /// invalid, not-permitted, read-only, unavailable, late, failed, unauthorized, cross-site, media-type, too-large,
    /// malformed, no-route, method.
    #[serde(rename = "type")]
    #[schema(example = "urn:restante:problem:not-found")]
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What it is about this time.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{TYPE}{}", kind.as_str()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            remedy: kind.remedy().to_owned(),
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    /// The kind, if it is one of ours.
    pub(crate) fn known(&self) -> Option<Kind> {
        let name = self.kind.strip_prefix(TYPE)?;
        Kind::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<DirectoryErrorKind> for Kind {
    fn from(kind: DirectoryErrorKind) -> Self {
        match kind {
            DirectoryErrorKind::Exists => Self::Exists,
            DirectoryErrorKind::NotFound => Self::NotFound,
            DirectoryErrorKind::InUse => Self::InUse,
            DirectoryErrorKind::Invalid => Self::Invalid,
            DirectoryErrorKind::NotPermitted => Self::NotPermitted,
            DirectoryErrorKind::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Kind> for DirectoryErrorKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Exists => Self::Exists,
            Kind::NotFound => Self::NotFound,
            Kind::InUse | Kind::Conflict => Self::InUse,
            Kind::NotPermitted | Kind::ReadOnly | Kind::Unauthorized | Kind::CrossSite => Self::NotPermitted,
            Kind::Unavailable | Kind::Late | Kind::Failed => Self::Unavailable,
            Kind::Invalid
            | Kind::MediaType
            | Kind::TooLarge
            | Kind::Malformed
            | Kind::NoRoute
            | Kind::Method => Self::Invalid,
        }
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        // The cause may name hosts and files: it is for the log alone.
        if error.kind == DirectoryErrorKind::Unavailable {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, cause, "a request of the admin interface failed");
        }
        Self::new(error.kind.into(), error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        warn!(%error, "a request of the admin interface failed");
        let detail = format!("{} of {}: {}", error.op, error.store, error.kind);
        let kind = match error.kind {
            StoreErrorKind::NoSuchMaildrop | StoreErrorKind::NotFound => Kind::NotFound,
            kind if kind.is_temporary() => Kind::Unavailable,
            _ => Kind::Failed,
        };
        Self::new(kind, detail)
    }
}

impl From<LockError> for Problem {
    fn from(error: LockError) -> Self {
        warn!(%error, "a request of the admin interface failed");
        match error {
            LockError::InUse => Self::new(Kind::InUse, "the session's deletions are being written"),
            LockError::Superseded => Self::new(Kind::Conflict, "a later session holds the maildrop"),
            LockError::Unavailable(_) | LockError::Unknown(_) => {
                Self::new(Kind::Unavailable, "the lock manager cannot be asked")
            }
        }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_the_directory_comes_back_as_itself() {
        for kind in [
            DirectoryErrorKind::Exists,
            DirectoryErrorKind::NotFound,
            DirectoryErrorKind::InUse,
            DirectoryErrorKind::Invalid,
            DirectoryErrorKind::NotPermitted,
            DirectoryErrorKind::Unavailable,
        ] {
            let problem = Problem::from(DirectoryError::new(kind, "the detail"));
            assert_eq!(problem.detail, "the detail");
            assert_eq!(DirectoryErrorKind::from(problem.known().unwrap()), kind);
        }
    }

    #[test]
    fn the_cause_of_a_failure_is_not_told() {
        let error = DirectoryError::unavailable("the directory does not answer").because("db.internal:5432");
        let text = serde_json::to_string(&Problem::from(error)).unwrap();
        assert!(!text.contains("5432"), "{text}");
        let error =
            StoreError::new(StoreErrorKind::Unavailable, "usage", "postgres").because("db.internal:5432");
        let text = serde_json::to_string(&Problem::from(error)).unwrap();
        assert!(!text.contains("5432"), "{text}");
    }
}
