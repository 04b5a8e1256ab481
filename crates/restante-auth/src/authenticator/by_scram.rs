//! SCRAM-SHA-256: the proof that a client knows the password, without the password (RFC 5802, RFC 7677).

use restante_sasl::{LoginMechanism, Salting, scram};
use restante_telemetry::LoginVerdict;
use tracing::error;

use super::{Authenticator, Finding, LoginContext, Proof, Question, Verdict};
use crate::password::{SCRAM_ITERATIONS, ScramKeys};
use crate::{Attempt, Credentials, LoginName};

/// Octets of the server's part of the nonce, before base64.
const NONCE_OCTETS: usize = 24;

/// What was looked up for a SCRAM exchange, until its claim comes.
#[derive(Debug)]
pub struct ScramTicket {
    /// The name exactly as the client sent it.
    asked: Vec<u8>,
    name: Option<LoginName>,
    attempt: Attempt,
    guarded: bool,
    found: Option<Credentials>,
    keys: ScramKeys,
}

impl ScramTicket {
    pub(super) fn question<'a>(&self, context: &'a LoginContext) -> Question<'a> {
        Question {
            name: self.name.clone(),
            attempt: self.attempt,
            guarded: self.guarded,
            context,
        }
    }
}

impl Authenticator {
    /// The salt of a name, from its keys or made up: a client cannot tell which (RFC 5802 section 9). Waits for the
    /// turn of the attempt.
    ///
    /// # Errors
    /// `Busy` or `Unavailable`, never another verdict.
    ///
    /// # Cancel safety
    /// Safe: nothing is kept but that the turn is used up.
    pub async fn salt(
        &self,
        asked: &[u8],
        context: &LoginContext,
    ) -> Result<(Salting, ScramTicket), Verdict> {
        let refuse = |verdict| self.not_evaluated(verdict, LoginMechanism::ScramSha256);
        let admitted = self.admitted(Some(asked), context).await;
        let question = admitted.ok_or_else(|| refuse(LoginVerdict::Throttled))?;
        if question.guarded {
            return Err(refuse(LoginVerdict::Throttled));
        }
        let found = match &question.name {
            Some(name) => tokio::time::timeout(self.limits.deadline, self.look_up(name, context))
                .await
                .unwrap_or(Err(()))
                .map_err(|()| refuse(LoginVerdict::Unavailable))?,
            None => None,
        };
        let (found, keys) = self.keys(found, question.name.as_ref(), asked);
        let nonce = nonce().ok_or_else(|| refuse(LoginVerdict::Unavailable))?;
        let salting = Salting {
            salt: keys.salt.clone(),
            iterations: keys.iterations,
            nonce,
        };
        let ticket = ScramTicket {
            asked: asked.to_vec(),
            name: question.name,
            attempt: question.attempt,
            guarded: question.guarded,
            found,
            keys,
        };
        Ok((salting, ticket))
    }

    /// The account with its keys, or no account with keys that no proof fits: those of the name, not of the form in
    /// which it was sent, because a known name has one salt in all its forms.
    fn keys(
        &self,
        found: Option<Credentials>,
        name: Option<&LoginName>,
        asked: &[u8],
    ) -> (Option<Credentials>, ScramKeys) {
        let stored = found
            .as_ref()
            .filter(|found| !found.policy.app_passwords_only)
            .and_then(|found| found.scram.as_ref());
        match stored.map(|stored| ScramKeys::parse(stored.expose())) {
            Some(Ok(keys)) => return (found, keys),
            Some(Err(error)) => {
                error!(%error, account = found.as_ref().map(|found| tracing::field::display(found.account.id)), "stored SCRAM keys cannot be used; set the password anew");
            }
            None => {}
        }
        let secret = self.installation_mac(b"scram", b"");
        let name = name.map_or_else(
            || String::from_utf8_lossy(asked).into_owned(),
            ToString::to_string,
        );
        (None, ScramKeys::fake(&secret, &name, SCRAM_ITERATIONS))
    }

    pub(super) fn by_scram(
        asked: &[u8],
        auth_message: &[u8],
        proof: &[u8],
        ticket: Option<ScramTicket>,
    ) -> Finding {
        let Some(ticket) = ticket.filter(|ticket| ticket.asked == asked) else {
            return Finding::wrong(None);
        };
        let fits = scram::proof_fits(ticket.keys.stored_key.expose(), auth_message, proof);
        match ticket.found {
            Some(found) if fits => {
                let signature = scram::server_signature(ticket.keys.server_key.expose(), auth_message);
                let proof = Proof {
                    app_password: None,
                    server_signature: Some(signature),
                };
                Finding::Right(Box::new(found), proof)
            }
            found => Finding::wrong(found.as_ref()),
        }
    }
}

fn nonce() -> Option<String> {
    use base64::Engine;
    let mut octets = [0; NONCE_OCTETS];
    getrandom::fill(&mut octets).ok()?;
    Some(base64::engine::general_purpose::STANDARD_NO_PAD.encode(octets))
}
