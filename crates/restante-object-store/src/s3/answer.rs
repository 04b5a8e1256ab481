//! What the service answers, before the client library makes something of it.
//!
//! The library keeps of a refusal only its text. Here the status, the S3 error code and the wait that is asked for
//! are kept as values, and the text is bounded.

use async_trait::async_trait;
use futures_util::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use std::time::Duration;

/// What is read of a refusal: the code stands near its beginning.
const MOST_OF_A_REFUSAL: usize = 16 * 1024;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("HTTP status {status}{}{}", Part(" ", code), Part(": ", message))]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// `<Code>` of the error document; empty if there is none, as after HEAD.
    pub(crate) code: String,
    /// `<Message>` of it.
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether there was an error document, so that it is S3 that speaks and not something before it.
    pub(crate) has_body: bool,
}

struct Part<'a>(&'static str, &'a str);

impl std::fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1.is_empty() {
            return Ok(());
        }
        write!(f, "{}{}", self.0, self.1.escape_debug())
    }
}

impl Refusal {
    /// The refusal beneath an error of the library, if that is what it is.
    pub(crate) fn beneath(error: &object_store::Error) -> Option<&Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }
}

/// How the way to the service failed, if that is what an error is.
pub(crate) fn transport(error: &object_store::Error) -> Option<HttpErrorKind> {
    causes(error).find_map(|cause| cause.downcast_ref::<HttpError>().map(HttpError::kind))
}

/// An error and what caused it, outermost first.
pub(crate) fn causes(
    error: &object_store::Error,
) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| {
        cause.source()
    })
}

/// Makes clients whose refusals are [`Refusal`].
#[derive(Debug, Default)]
pub(crate) struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Client(HttpClient);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Those that fetch credentials are not signed; what they are answered is the library's to understand.
        let is_s3 = request
            .headers()
            .get("authorization")
            .is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
        let response = self.0.execute(request).await?;
        if !is_s3 || response.status().is_success() {
            return Ok(response);
        }
        let refusal = read(response).await?;
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

async fn read(response: HttpResponse) -> Result<Refusal, HttpError> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let mut text = Vec::new();
    let mut body = response.into_body().bytes_stream();
    while text.len() < MOST_OF_A_REFUSAL {
        match body.next().await {
            Some(piece) => text.extend_from_slice(&piece?),
            None => break,
        }
    }
    text.truncate(MOST_OF_A_REFUSAL);
    let text = String::from_utf8_lossy(&text);
    Ok(Refusal {
        status,
        code: element(&text, "Code").unwrap_or_default(),
        message: element(&text, "Message").unwrap_or_default(),
        retry_after,
        has_body: !text.is_empty(),
    })
}

/// The text of the first element of a name, at most 200 characters. Error documents are flat, so this is enough of XML.
fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_are_found_and_rubbish_is_not_a_code() {
        let document = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>The key\nis not there</Message></Error>";
        assert_eq!(element(document, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(
            element(document, "Message").as_deref(),
            Some("The key\nis not there")
        );
        for rubbish in ["", "<html>404</html>", "<Code>", "<Code>x", "</Code><Code>"] {
            assert_eq!(element(rubbish, "Code"), None, "{rubbish}");
        }
    }

    #[test]
    fn a_refusal_is_one_line_of_plain_text() {
        let refusal = Refusal {
            status: 403,
            code: "AccessDenied".to_owned(),
            message: "no\r\n\x1b[31m".to_owned(),
            retry_after: None,
            has_body: true,
        };
        assert_eq!(
            refusal.to_string(),
            "HTTP status 403 AccessDenied: no\\r\\n\\u{1b}[31m"
        );
    }
}
