//! What the server's refusals mean: of HTTP, of a request, of a method, and of a single object (RFC 8620 sections
//! 3.6 and 5).

use serde::Deserialize;

use crate::restante::storage::types::Error;

/// How long to wait if the server does not say.
pub const WAIT_MILLIS: u32 = 1_000;
/// Longest wait that is believed.
const LONGEST_WAIT_MILLIS: u32 = 3_600_000;

/// Whether a request changes anything. If it does, what is not known to have failed may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Read,
    Write,
}

impl Intent {
    /// For an answer that did not come, or makes no sense.
    pub fn lost(self, why: String) -> Error {
        match self {
            Self::Read => Error::Unavailable(why),
            Self::Write => Error::Unknown(why),
        }
    }

    /// For an error of the host. What it refuses was not sent.
    pub fn of_host(self, error: Error) -> Error {
        match (self, error) {
            (Self::Write, Error::Unavailable(why) | Error::Damaged(why)) => Error::Unknown(why),
            (Self::Read, Error::Unknown(why)) => Error::Unavailable(why),
            (_, error) => error,
        }
    }

    /// For a status that is no success.
    pub fn of_status(self, status: u16, retry_after: Option<&str>) -> Error {
        let why = format!("the JMAP server answered with the status {status}");
        match status {
            401 | 403 => Error::Denied(why),
            404 | 410 => Error::NotFound,
            429 => Error::Throttled(millis(retry_after).unwrap_or(WAIT_MILLIS)),
            // Nothing was begun: that is what distinguishes it from the other ones above 499.
            503 => millis(retry_after).map_or(Error::Unavailable(why), Error::Throttled),
            507 => Error::Full,
            300..500 => Error::Invalid(why),
            _ => self.lost(why),
        }
    }
}

/// Why a whole request was refused (RFC 8620 section 3.6.1).
#[derive(Debug, Deserialize)]
pub struct Problem {
    #[serde(default)]
    limit: String,
}

impl Problem {
    /// Whether too much goes on at the same time: that passes.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.limit.as_str(),
            "maxConcurrentRequests" | "maxConcurrentUpload"
        )
    }
}

/// An error of a method, or of one object that it was to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    #[serde(rename = "type")]
    pub kind: String,
    /// Of `alreadyExists`.
    #[serde(default, rename = "existingId")]
    pub existing: Option<String>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        // Descriptions stay out of it: they may repeat what was sent.
        let why = format!("the JMAP server refused: {}", refusal.kind);
        match refusal.kind.as_str() {
            "accountNotFound" | "anchorNotFound" | "notFound" => Self::NotFound,
            "forbidden" | "accountReadOnly" | "accountNotSupportedByMethod" => Self::Denied(why),
            "overQuota" => Self::Full,
            "rateLimit" => Self::Throttled(WAIT_MILLIS),
            "serverPartialFail" => Self::Unknown(why),
            "serverUnavailable" | "serverFail" | "stateMismatch" | "blobNotFound" => Self::Unavailable(why),
            _ => Self::Invalid(why),
        }
    }
}

/// `Retry-After` in seconds. A date is not read: the wait is short then.
fn millis(retry_after: Option<&str>) -> Option<u32> {
    let seconds = retry_after?.trim().parse::<u32>();
    Some(seconds.map_or(WAIT_MILLIS, |seconds| {
        seconds.saturating_mul(1_000).min(LONGEST_WAIT_MILLIS)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str) -> Error {
        let kind = kind.to_owned();
        Refusal { kind, existing: None }.into()
    }

    #[test]
    fn statuses_have_meanings() {
        let read = |status| Intent::Read.of_status(status, None);
        assert!(matches!(read(401), Error::Denied(_)));
        assert!(matches!(read(403), Error::Denied(_)));
        assert!(matches!(read(404), Error::NotFound));
        assert!(matches!(read(302), Error::Invalid(_)));
        assert!(matches!(read(500), Error::Unavailable(_)));
        assert!(matches!(read(503), Error::Unavailable(_)));
        assert!(matches!(read(429), Error::Throttled(1_000)));
        assert!(matches!(
            Intent::Read.of_status(429, Some("7")),
            Error::Throttled(7_000)
        ));
        assert!(matches!(
            Intent::Read.of_status(429, Some("Fri, 01 Jan")),
            Error::Throttled(1_000)
        ));
        assert!(matches!(
            Intent::Read.of_status(503, Some("99999999")),
            Error::Throttled(3_600_000)
        ));
    }

    #[test]
    fn a_change_whose_end_is_not_known_is_unknown() {
        let unavailable = || Error::Unavailable(String::new());
        assert!(matches!(Intent::Write.of_status(502, None), Error::Unknown(_)));
        assert!(matches!(
            Intent::Write.of_status(503, None),
            Error::Unavailable(_)
        ));
        assert!(matches!(Intent::Write.of_host(unavailable()), Error::Unknown(_)));
        assert!(matches!(
            Intent::Read.of_host(unavailable()),
            Error::Unavailable(_)
        ));
        assert!(matches!(
            Intent::Write.of_host(Error::Denied(String::new())),
            Error::Denied(_)
        ));
        assert!(matches!(refused("serverPartialFail"), Error::Unknown(_)));
    }

    #[test]
    fn methods_refuse_for_reasons() {
        assert!(matches!(refused("anchorNotFound"), Error::NotFound));
        assert!(matches!(refused("forbidden"), Error::Denied(_)));
        assert!(matches!(refused("overQuota"), Error::Full));
        assert!(matches!(refused("serverFail"), Error::Unavailable(_)));
        assert!(matches!(refused("unknownMethod"), Error::Invalid(_)));
    }
}
