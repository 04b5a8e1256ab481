//! What can go wrong between a client and the service.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

/// An answer on its way to the client.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
pub(super) struct Closed;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum S3Fault {
    /// It is refused with this status and S3 error code; nothing is done.
    Refuse(u16, &'static str),
    /// It is done, and refused all the same.
    RefuseAfter(u16, &'static str),
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
    /// Of the body so many octets come, and then nothing.
    Stall(usize),
    /// So many octets follow the body, which does not announce its length.
    Longer(usize),
    /// The octet at this place of the body is another.
    Flip(usize),
    /// The body is another of the same length.
    Other,
    /// The object bears another tag than before.
    OtherTag,
    /// A write replaces what is there, whatever its conditions. A service elsewhere is left as it is.
    IgnoreConditions,
    /// It succeeds; nothing is done.
    Pretend,
}

impl S3Fault {
    /// The answer, if the service is not to be asked.
    pub(super) async fn instead(&self) -> Result<Option<Answer>, Closed> {
        match self {
            Self::Refuse(status, code) => Ok(Some(refusal(*status, code))),
            Self::Garbage => Ok(Some(with_body(200, "<html>It works!</html>".into()))),
            Self::Pretend => Ok(Some(with_body(204, Bytes::new()))),
            Self::Close => Err(Closed),
            Self::Silent => std::future::pending().await,
            Self::Late(wait) => {
                tokio::time::sleep(*wait).await;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Changes what it answers.
    pub(super) fn spoil(self, answer: Answer) -> Result<Answer, Closed> {
        match self {
            Self::RefuseAfter(status, code) => Ok(refusal(status, code)),
            Self::LoseAnswer => Err(Closed),
            Self::Cut(after) => Ok(ending(answer, after, End::Closed)),
            Self::Stall(after) => Ok(ending(answer, after, End::Never)),
            Self::Longer(octets) => Ok(longer(answer, octets)),
            Self::Flip(at) => Ok(changed(
                answer,
                move |nth, octet| if nth == at { !octet } else { octet },
            )),
            Self::Other => Ok(changed(answer, |_, octet| octet.wrapping_add(1))),
            Self::OtherTag => Ok(tagged(answer)),
            _ => Ok(answer),
        }
    }
}

/// When a fault happens.
#[derive(Debug)]
pub(super) struct Script {
    skip: usize,
    fault: Option<S3Fault>,
    is_once: bool,
}

impl Script {
    pub(super) const fn always(skip: usize, fault: S3Fault) -> Self {
        Self {
            skip,
            fault: Some(fault),
            is_once: false,
        }
    }

    pub(super) const fn once(skip: usize, fault: S3Fault) -> Self {
        Self {
            skip,
            fault: Some(fault),
            is_once: true,
        }
    }

    /// What happens to the next call.
    pub(super) fn next(&mut self) -> Option<S3Fault> {
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

fn refusal(status: u16, code: &str) -> Answer {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
    );
    with_body(status, document.into())
}

fn with_body(status: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).map_err(super::never).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status of HTTP");
    answer
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    Never,
}

/// The first octets of the body, of whose length more is announced.
fn ending(answer: Answer, after: usize, end: End) -> Answer {
    let (parts, body) = answer.into_parts();
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Frame<Bytes>>>(1);
    tokio::spawn(async move {
        let mut left = after;
        let mut body = body;
        while left > 0 {
            let Some(Ok(frame)) = body.frame().await else {
                return;
            };
            if let Ok(mut piece) = frame.into_data() {
                piece.truncate(left);
                left -= piece.len();
                if sender.send(Ok(Frame::data(piece))).await.is_err() {
                    return;
                }
            }
        }
        match end {
            // A client that is gone has seen the end.
            End::Closed => drop(sender.send(Err(io::ErrorKind::ConnectionReset.into())).await),
            End::Never => sender.closed().await,
        }
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

fn longer(answer: Answer, octets: usize) -> Answer {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let more = Full::new(Bytes::from(vec![b'x'; octets])).map_err(super::never);
    let pieces = futures_util::stream::unfold((body, more), |(mut body, mut more)| async move {
        let frame = match body.frame().await {
            Some(frame) => frame,
            None => more.frame().await?,
        };
        Some((frame, (body, more)))
    });
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

fn changed(answer: Answer, mut change: impl FnMut(usize, u8) -> u8 + Send + 'static) -> Answer {
    let mut nth = 0;
    answer.map(|body| {
        body.map_frame(move |frame| {
            frame.map_data(|piece| {
                let octets = piece.iter().map(|octet| {
                    let octet = change(nth, *octet);
                    nth += 1;
                    octet
                });
                octets.collect::<Vec<u8>>().into()
            })
        })
        .boxed_unsync()
    })
}

fn tagged(mut answer: Answer) -> Answer {
    let tag = HeaderValue::from_static("\"another\"");
    answer.headers_mut().insert(ETAG, tag);
    answer
}
