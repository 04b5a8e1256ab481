//! Requests to the server, in the name of an account.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::address::resolve;
use crate::calls::{Answers, Calls};
use crate::config::{Credential, user_for};
use crate::instance::Instance;
use crate::refusal::{Intent, Problem, WAIT_MILLIS};
use crate::restante::storage::http::{self, Body, Request, Response};
use crate::restante::storage::secrets;
use crate::restante::storage::types::Error;
use crate::session::Session;

/// The largest piece that the host gives.
pub const PIECE: u32 = 256 * 1024;
/// Longest answer in JSON that is read.
const JSON: usize = 16 * 1024 * 1024;
/// The well-known address may lead elsewhere (RFC 8620 section 2.2), but not on and on.
const REDIRECTS: usize = 4;

/// Opens mail of one account.
pub struct Client {
    pub instance: Rc<Instance>,
    pub session: Rc<Session>,
    /// The JMAP account.
    pub account: String,
    authorization: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    blob_id: String,
}

impl Client {
    /// Finds the JMAP account of `name`.
    pub fn of(name: &str) -> Result<Self, Error> {
        let instance = Instance::get()?;
        let authorization = authorization(&instance, name)?;
        let session = match instance.session(&authorization) {
            Some(session) => session,
            None => {
                let session = Rc::new(ask_session(&instance, Some(&authorization))?);
                instance.keep_session(&authorization, &session);
                session
            }
        };
        let Some(account) = session.account(&instance.config, name) else {
            // It may have been made after the session resource was read.
            instance.forget_session();
            return Err(Error::NotFound);
        };
        Ok(Self {
            instance,
            session,
            account,
            authorization,
        })
    }

    /// Calls methods.
    pub fn call(&self, calls: Calls, intent: Intent) -> Result<Answers, Error> {
        let json = "application/json";
        let answer = self
            .ask(
                "POST",
                &self.session.api_url,
                Some(json),
                calls.into_body(),
                intent,
            )
            .and_then(|body| whole(&body).map_err(|error| intent.of_host(error)))
            .and_then(|body| Answers::parse(&body, intent));
        match answer {
            Ok(answers) => {
                if answers.session_state != self.session.state {
                    self.instance.forget_session();
                }
                Ok(answers)
            }
            // What is not found is not the maildrop: the server has moved.
            Err(Error::NotFound) => Err(Error::Unavailable(
                "the JMAP server's API is not there".to_owned(),
            )),
            Err(error) => Err(error),
        }
    }

    /// The octets of a blob.
    pub fn download(&self, blob: &str) -> Result<Body, Error> {
        let url = self.session.download_url(&self.account, blob);
        self.ask("GET", &url, None, Vec::new(), Intent::Read)
    }

    /// Makes the octets a blob, which is gone after a while unless an email is made of it.
    pub fn upload(&self, octets: Vec<u8>) -> Result<String, Error> {
        let url = self.session.upload_url(&self.account);
        let answer = self
            .ask("POST", &url, Some("message/rfc822"), octets, Intent::Read)
            .and_then(|body| whole(&body).map_err(|error| Intent::Read.of_host(error)));
        let answer = match answer {
            Err(Error::NotFound) => {
                return Err(Error::Unavailable("the JMAP server takes no uploads".to_owned()));
            }
            answer => answer?,
        };
        let uploaded: Uploaded = serde_json::from_slice(&answer)
            .map_err(|error| Error::Unavailable(format!("no answer to an upload: {error}")))?;
        Ok(uploaded.blob_id)
    }

    /// The body of a success. After a failure the session resource is read anew: it may name other places now.
    fn ask(
        &self,
        method: &str,
        url: &str,
        content: Option<&str>,
        body: Vec<u8>,
        intent: Intent,
    ) -> Result<Body, Error> {
        let answer = send(method, url, Some(&self.authorization), content, body, intent);
        let answer = answer.and_then(|response| success(response, intent));
        if answer.is_err() {
            self.instance.forget_session();
        }
        answer
    }
}

/// Whether the server answers, and takes the credential if there is one for all accounts.
pub fn check(instance: &Instance) -> Result<(), Error> {
    if instance.config.impersonates() {
        // Nobody in particular can be asked for: that the server wants to know who asks is a good answer.
        authorization(instance, "")?;
        return match ask_session(instance, None) {
            Ok(_) | Err(Error::Denied(_)) => Ok(()),
            Err(error) => Err(error),
        };
    }
    let authorization = authorization(instance, "")?;
    ask_session(instance, Some(&authorization)).map(|_| ())
}

fn authorization(instance: &Instance, account: &str) -> Result<String, Error> {
    match instance.config.credential().map_err(Error::Invalid)? {
        Credential::Bearer { token } => {
            let token = secret(token)?;
            let token = str::from_utf8(&token)
                .ok()
                .filter(|token| token.bytes().all(|octet| octet.is_ascii_graphic()));
            let token =
                token.ok_or_else(|| Error::Invalid("the secret of `token` is no token".to_owned()))?;
            Ok(format!("Bearer {token}"))
        }
        Credential::Basic { user, password } => {
            let user = user_for(user, account);
            if user.contains(':') {
                return Err(Error::Invalid(
                    "a user's name with a colon cannot be sent".to_owned(),
                ));
            }
            let mut pair = format!("{user}:").into_bytes();
            pair.extend(secret(password)?);
            Ok(format!("Basic {}", STANDARD.encode(pair)))
        }
    }
}

/// A secret, without the line end that editors put into files.
fn secret(name: &str) -> Result<Vec<u8>, Error> {
    let mut octets =
        secrets::get(name).ok_or_else(|| Error::Invalid(format!("the secret {name} is not granted")))?;
    octets.truncate(octets.trim_ascii_end().len());
    if octets.is_empty() {
        return Err(Error::Invalid(format!("the secret {name} is empty")));
    }
    Ok(octets)
}

fn ask_session(instance: &Instance, authorization: Option<&str>) -> Result<Session, Error> {
    let mut url = instance.config.session_url.clone();
    for _ in 0..=REDIRECTS {
        let response = send("GET", &url, authorization, None, Vec::new(), Intent::Read)?;
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            let body = match success(response, Intent::Read) {
                // Not the maildrop is missing, which a client would take for an empty one.
                Err(Error::NotFound) => {
                    return Err(Error::Invalid(
                        "there is no session resource at `session_url`".to_owned(),
                    ));
                }
                body => body?,
            };
            let json = whole(&body).map_err(|error| Intent::Read.of_host(error))?;
            return Session::parse(&json, &url).map_err(Error::Unavailable);
        }
        let to = header(&response, "location").and_then(|to| resolve(&url, to));
        url = to.ok_or_else(|| Error::Invalid("the JMAP server leads to no safe address".to_owned()))?;
    }
    Err(Error::Invalid("the JMAP server leads in circles".to_owned()))
}

fn send(
    method: &str,
    url: &str,
    authorization: Option<&str>,
    content: Option<&str>,
    body: Vec<u8>,
    intent: Intent,
) -> Result<Response, Error> {
    let mut headers = Vec::new();
    for (name, value) in [("authorization", authorization), ("content-type", content)] {
        if let Some(value) = value {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let request = Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers,
        body,
    };
    http::send(&request).map_err(|error| match error {
        // The host has no such word for a server.
        Error::NotFound => intent.lost("the JMAP server was not found".to_owned()),
        error => intent.of_host(error),
    })
}

fn success(response: Response, intent: Intent) -> Result<Body, Error> {
    if matches!(response.status, 200 | 201) {
        return Ok(response.body);
    }
    if response.status == 400
        && let Ok(text) = whole(&response.body)
        && let Ok(problem) = serde_json::from_slice::<Problem>(&text)
        && problem.is_passing()
    {
        return Err(Error::Throttled(WAIT_MILLIS));
    }
    Err(intent.of_status(response.status, header(&response, "retry-after")))
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let mut headers = response.headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn whole(body: &Body) -> Result<Vec<u8>, Error> {
    let mut octets = Vec::new();
    loop {
        let piece = body.read(PIECE)?;
        if piece.is_empty() {
            return Ok(octets);
        }
        octets.extend(piece);
        if octets.len() > JSON {
            return Err(Error::Damaged("the JMAP server's answer is too long".to_owned()));
        }
    }
}
