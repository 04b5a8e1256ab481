//! How handlers take their input: path, query and body with problems in place of axum's own rejections.
//!
//! Start at [`Body`].

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::{Kind, Problem};

/// A JSON body of a request.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let octets = axum::body::Bytes::from_request(request, state).await;
        let octets = octets.map_err(|rejection| no_body(&rejection))?;
        // A request without a body asks for the defaults of everything.
        let text: &[u8] = if octets.is_empty() { b"{}" } else { &octets };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| unread(&error))
    }
}

fn no_body(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(Kind::TooLarge, "the body is larger than a request may be");
    }
    Problem::new(Kind::Malformed, "the body did not come whole")
}

/// What is wrong with a body. Values are not repeated: one of them may be a password in the wrong place.
fn unread(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Problem::new(Kind::Malformed, format!("the body is not JSON: {place}"));
    }
    let text = error.to_string();
    let is_harmless = [
        "unknown field",
        "missing field",
        "duplicate field",
        "a time is",
        "a network is",
        "no such",
    ]
    .iter()
    .any(|beginning| text.starts_with(beginning));
    if is_harmless {
        return Problem::new(Kind::Malformed, text);
    }
    Problem::new(Kind::Malformed, format!("a value is of the wrong kind: {place}"))
}

/// Parameters in the query.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|rejection| {
            let text = match &rejection {
                QueryRejection::FailedToDeserializeQueryString(cause) => cause.body_text(),
                other => other.body_text(),
            };
            Problem::new(Kind::Malformed, text)
        })
    }
}

/// Parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|rejection| match rejection {
                // A number that is none names nothing.
                PathRejection::FailedToDeserializePathParams(_) => {
                    Problem::not_found("the path names something that cannot be")
                }
                other => Problem::new(Kind::Malformed, other.body_text()),
            })
    }
}

/// A JSON answer.
pub(crate) struct Reply<T>(pub(crate) StatusCode, pub(crate) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        (self.0, axum::Json(self.1)).into_response()
    }
}

/// What a handler answers.
pub(crate) type Answer<T> = Result<Reply<T>, Problem>;

/// It is done, and this is how it stands.
#[expect(clippy::unnecessary_wraps, reason = "the last line of a handler")]
pub(crate) fn done<T>(value: T) -> Answer<T> {
    Ok(Reply(StatusCode::OK, value))
}

/// It is made, and this is it.
#[expect(clippy::unnecessary_wraps, reason = "the last line of a handler")]
pub(crate) fn made<T>(value: T) -> Answer<T> {
    Ok(Reply(StatusCode::CREATED, value))
}

/// It is gone.
pub(crate) type Gone = Result<StatusCode, Problem>;

#[expect(clippy::unnecessary_wraps, reason = "the last line of a handler")]
pub(crate) const fn gone() -> Gone {
    Ok(StatusCode::NO_CONTENT)
}
