//! EXTERNAL: the client certificate of the TLS handshake names the account (RFC 4422 appendix A).

use super::{Authenticator, Finding, Proof, Question, login_name};
use crate::LoginName;

impl Authenticator {
    /// The account that the certificate names; of several the one that the client asks for. A certificate without a
    /// mail address names nobody, whatever the client says.
    pub(super) async fn by_certificate(&self, authzid: Option<&[u8]>, question: &Question<'_>) -> Finding {
        let scope = &question.context.scope;
        let mut names: Vec<LoginName> = question
            .context
            .certificate_names
            .iter()
            .filter_map(|name| LoginName::parse(name).ok())
            .collect();
        let name = match authzid {
            Some(asked) => login_name(asked, scope).filter(|asked| names.contains(asked)),
            None if names.len() == 1 => names.pop(),
            None => None,
        };
        let Some(name) = name else {
            return Finding::wrong(None);
        };
        match self.look_up(&name, question.context).await {
            Ok(Some(found)) => Finding::Right(Box::new(found), Proof::default()),
            Ok(None) => Finding::wrong(None),
            Err(()) => Finding::Unavailable,
        }
    }
}
