//! An access token: whom the tenant's issuer says it was made for (RFC 7628).

use restante_types::Secret;

use super::{Authenticator, Finding, Proof, Question};
use crate::{Credentials, TokenError};

impl Authenticator {
    /// `named` says whether the client named an account; if not, the tenant has to be known, and the token names it.
    pub(super) async fn by_token(
        &self,
        named: bool,
        token: &Secret<String>,
        question: &Question<'_>,
    ) -> Finding {
        let scope = &question.context.scope;
        let found = match &question.name {
            Some(name) => self.look_up(name, question.context).await,
            None => Ok(None),
        };
        let Ok(found) = found else {
            return Finding::Unavailable;
        };
        let policy = match (&found, named) {
            (Some(found), _) => Some(&found.policy),
            (None, false) => scope.policy.as_deref(),
            (None, true) => None,
        };
        let (Some(tokens), Some(policy)) = (&self.ports.tokens, policy) else {
            return Finding::wrong(found.as_ref());
        };
        let subject = match tokens.verify(&policy.oauth, token).await {
            Ok(subject) => subject,
            Err(TokenError::Refused) => return Finding::wrong(found.as_ref()),
            Err(TokenError::Unavailable) => return Finding::Unavailable,
        };
        let found = match found {
            // The token is for the account itself, or for the alias that was asked for.
            Some(found) if subject == found.account.name || subject == found.asked => Ok(Some(found)),
            Some(found) => return Finding::wrong(Some(&found)),
            None => self.look_up(&subject, question.context).await,
        };
        match found {
            Ok(found) => right(found),
            Err(()) => Finding::Unavailable,
        }
    }
}

fn right(found: Option<Credentials>) -> Finding {
    match found {
        Some(found) => Finding::Right(Box::new(found), Proof::default()),
        None => Finding::wrong(None),
    }
}
