//! One call: a request, and what its answer means. Start at [`AdminClient::ask`].

use std::error::Error;

use http::{Method, StatusCode, header};
use reqwest::Response;
use restante_auth::{DirectoryError, DirectoryErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::AdminClient;
use crate::Problem;
use crate::problem::Kind;
use crate::wire::{Listing, MOST, Unfit};

/// Octets of the largest answer: a page of certificates with long chains.
const LARGEST: usize = 64 * 1024 * 1024;

/// Why a call led to nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// The server said why.
    Problem(Kind, Problem),
    /// There was no answer, or none of a server of ours.
    Lost(String),
}

/// A request to be: where, with which parameters.
#[derive(Clone, Debug)]
pub(super) struct Place<'p> {
    path: Vec<&'p str>,
    query: Vec<(&'static str, String)>,
}

impl<'p> Place<'p> {
    /// An address below `/api/v1`.
    pub(super) fn at(path: &[&'p str]) -> Self {
        Self {
            path: path.to_vec(),
            query: Vec::new(),
        }
    }

    /// Adds a parameter, if there is one.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// `None` for a name that no address can hold, and that nothing bears.
    fn url(&self, base: &Url) -> Option<Url> {
        if self.path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return None;
        }
        let mut url = base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Some(url)
    }
}

impl AdminClient {
    /// Asks without a body.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        place: Place<'_>,
    ) -> Result<T, CallError> {
        decoded(self.send(method, place, None).await?).await
    }

    /// Asks with a body.
    pub(super) async fn tell<T: DeserializeOwned>(
        &self,
        method: Method,
        place: Place<'_>,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        decoded(self.send(method, place, Some(written(body)?)).await?).await
    }

    /// Removes what is there.
    pub(super) async fn remove_at(&self, place: Place<'_>) -> Result<(), CallError> {
        self.send(Method::DELETE, place, None).await.map(drop)
    }

    /// Gets what is there; `None` if nothing is.
    pub(super) async fn find<T: DeserializeOwned>(&self, place: Place<'_>) -> Result<Option<T>, CallError> {
        match self.ask(Method::GET, place).await {
            Ok(found) => Ok(Some(found)),
            Err(CallError::Problem(Kind::NotFound, _)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` things of a list, over as many pages as it takes.
    pub(super) async fn list<V, T>(
        &self,
        place: Place<'_>,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<Vec<T>, CallError>
    where
        V: DeserializeOwned,
        T: TryFrom<V, Error: Into<Unfit>>,
    {
        let mut all = Vec::new();
        while all.len() < limit {
            let wanted = (limit - all.len()).min(MOST as usize);
            let page = place
                .clone()
                .with("after", after.take())
                .with("limit", Some(wanted));
            let page: Listing<V> = self.ask(Method::GET, page).await?;
            for view in page.items {
                all.push(T::try_from(view).map_err(|unfit| CallError::from(unfit.into()))?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        all.truncate(limit);
        Ok(all)
    }

    async fn send(
        &self,
        method: Method,
        place: Place<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<Response, CallError> {
        let Some(url) = place.url(&self.base) else {
            let problem = Problem::not_found("there is nothing of that name");
            return Err(CallError::Problem(Kind::NotFound, problem));
        };
        let mut request = self
            .http
            .request(method.clone(), url)
            .header(header::AUTHORIZATION, self.authorization.clone());
        if method != Method::GET && method != Method::DELETE {
            let body = body.unwrap_or_else(|| b"{}".to_vec());
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = request.send().await.map_err(|error| lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

async fn refusal(response: Response) -> CallError {
    let status = response.status();
    let problem = decoded::<Problem>(response).await.ok();
    match problem.and_then(|problem| Some((problem.known()?, problem))) {
        Some((kind, problem)) => CallError::Problem(kind, problem),
        None => CallError::Lost(strange(status)),
    }
}

fn strange(status: StatusCode) -> String {
    format!("what answers there is no admin interface of restante, or of another release (status {status})")
}

async fn decoded<T: DeserializeOwned>(mut response: Response) -> Result<T, CallError> {
    let status = response.status();
    let mut octets = Vec::new();
    while let Some(some) = response.chunk().await.map_err(|error| lost(&error))? {
        if some.len() > LARGEST - octets.len() {
            return Err(CallError::Lost("the answer is too large".to_owned()));
        }
        octets.extend_from_slice(&some);
    }
    serde_json::from_slice(&octets).map_err(|_| CallError::Lost(strange(status)))
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(body).map_err(|error| CallError::Lost(error.to_string()))
}

/// The innermost cause: the outer ones repeat the address.
fn lost(error: &reqwest::Error) -> CallError {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    CallError::Lost(cause.to_string())
}

impl From<Unfit> for CallError {
    fn from(unfit: Unfit) -> Self {
        Self::Lost(unfit.to_string())
    }
}

impl CallError {
    /// In words: what the server said, and what it is about where that does not say it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Problem(Kind::Unauthorized | Kind::ReadOnly, problem) => {
                format!("{}: {}", problem.detail, problem.remedy)
            }
            Self::Problem(_, problem) => problem.detail.clone(),
            Self::Lost(why) => format!("the server cannot be asked: {why}"),
        }
    }
}

impl From<CallError> for DirectoryError {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Problem(kind, _) => (*kind).into(),
            CallError::Lost(_) => DirectoryErrorKind::Unavailable,
        };
        Self::new(kind, error.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_part_of_an_address() {
        let url = |base: &str, path: &[&str]| {
            let url = Place::at(path)
                .with("after", Some("a&b"))
                .url(&Url::parse(base).unwrap());
            url.map(String::from)
        };
        assert_eq!(
            url("http://127.0.0.1:8180", &["accounts", "ü?#%2F/x@example.org"]).unwrap(),
            "http://127.0.0.1:8180/api/v1/accounts/%C3%BC%3F%23%252F%2Fx@example.org?after=a%26b"
        );
        assert_eq!(
            url("https://pop.example/behind/proxy/", &["tenants"]).unwrap(),
            "https://pop.example/behind/proxy/api/v1/tenants?after=a%26b"
        );
        for name in ["", ".", ".."] {
            assert_eq!(url("http://127.0.0.1", &["tenants", name]), None);
        }
    }
}
