//! What can go wrong between a client and the server.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

/// An answer on its way to the client.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
pub(super) struct Closed;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum JmapFault {
    /// It is refused with this status; nothing is done.
    Refuse(u16),
    /// It is refused with this status and `Retry-After` in seconds; nothing is done.
    Throttle(u16, u32),
    /// It is refused because so many go on already (RFC 8620 section 3.6.1); nothing is done.
    Limit,
    /// It is done, and refused with this status all the same.
    RefuseAfter(u16),
    /// It is sent elsewhere; nothing is done.
    Redirect(String),
    /// Each of its methods answers with an error of this type; nothing is done.
    MethodError(&'static str),
    /// It succeeds with a document that is no answer; nothing is done.
    Garbage,
    /// The connection is closed; nothing is done.
    Close,
    /// It is done, and the connection closed instead of an answer.
    LoseAnswer,
    /// The answer comes so much later.
    Late(Duration),
    /// Nothing ever comes.
    Silent,
    /// Of the body so many octets come, then the connection is closed.
    Cut(usize),
}

impl JmapFault {
    /// The answer, if the server is not to be asked.
    pub(super) async fn instead(&self) -> Result<Option<Answer>, Closed> {
        match self {
            Self::Refuse(status) => Ok(Some(with_body(*status, Bytes::new()))),
            Self::Throttle(status, seconds) => {
                Ok(Some(with_header(*status, RETRY_AFTER, &seconds.to_string())))
            }
            Self::Limit => {
                let kind = "urn:ietf:params:jmap:error:limit";
                let problem = json!({"type": kind, "status": 400, "limit": "maxConcurrentRequests"});
                Ok(Some(with_body(400, problem.to_string().into())))
            }
            Self::Redirect(to) => Ok(Some(with_header(307, LOCATION, to))),
            Self::Garbage => Ok(Some(with_body(200, "<html>It works!</html>".into()))),
            Self::MethodError(kind) => Ok(Some(method_errors(kind))),
            Self::Close => Err(Closed),
            Self::Silent => std::future::pending().await,
            Self::Late(wait) => {
                tokio::time::sleep(*wait).await;
                Ok(None)
            }
            Self::RefuseAfter(_) | Self::LoseAnswer | Self::Cut(_) => Ok(None),
        }
    }

    /// Changes what it answers.
    pub(super) async fn spoil(self, answer: Answer) -> Result<Answer, Closed> {
        match self {
            Self::RefuseAfter(status) => Ok(with_body(status, Bytes::new())),
            Self::LoseAnswer => Err(Closed),
            Self::Cut(after) => cut(answer, after).await,
            _ => Ok(answer),
        }
    }
}

/// When a fault happens.
#[derive(Debug)]
pub(super) struct Script {
    skip: usize,
    fault: Option<JmapFault>,
    is_once: bool,
}

impl Script {
    pub(super) const fn always(skip: usize, fault: JmapFault) -> Self {
        Self {
            skip,
            fault: Some(fault),
            is_once: false,
        }
    }

    pub(super) const fn once(skip: usize, fault: JmapFault) -> Self {
        Self {
            skip,
            fault: Some(fault),
            is_once: true,
        }
    }

    /// What happens to the next call.
    pub(super) fn next(&mut self) -> Option<JmapFault> {
        if let Some(left) = self.skip.checked_sub(1) {
            self.skip = left;
            return None;
        }
        if self.is_once {
            self.fault.take()
        } else {
            self.fault.clone()
        }
    }
}

pub(super) fn with_body(status: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status of HTTP");
    answer
}

fn with_header(status: u16, name: HeaderName, value: &str) -> Answer {
    let mut answer = with_body(status, Bytes::new());
    let value = HeaderValue::from_str(value).expect("a header's value");
    answer.headers_mut().insert(name, value);
    answer
}

/// An answer to as many calls as a request can have.
fn method_errors(kind: &str) -> Answer {
    let responses: Vec<Value> = (0..16)
        .map(|nth| json!(["error", {"type": kind}, nth.to_string()]))
        .collect();
    let body = json!({"methodResponses": responses, "sessionState": ""});
    with_body(200, body.to_string().into())
}

/// The first octets of the body, of whose length more is announced.
async fn cut(answer: Answer, after: usize) -> Result<Answer, Closed> {
    let (mut parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    let first = body.slice(..after.min(body.len()));
    let pieces = [Ok(Frame::data(first)), Err(io::ErrorKind::ConnectionReset.into())];
    let body = StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync();
    Ok(Response::from_parts(parts, body))
}
