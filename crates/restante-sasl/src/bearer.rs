//! What OAUTHBEARER and XOAUTH2 have in common: pairs of a key and a value, each ended by %x01, one of which carries
//! the token as HTTP's Authorization header would (RFC 7628 section 3.1, RFC 6750 section 2.1).

use restante_types::Secret;

use crate::{Claim, LoginMechanism, Mechanism, SaslError, SaslStep};

/// Longest token, in octets. Issuers' reach 5 KB.
const TOKEN_OCTETS: usize = 12 * 1024;

const SEPARATOR: char = '\x01';

/// What tells one mechanism that carries a bearer token from another.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) mechanism: LoginMechanism,
    /// `None` if the response is malformed.
    pub(crate) parse: fn(&str) -> Option<Response<'_>>,
    /// What a client is told whose token is not accepted: JSON.
    pub(crate) error: &'static str,
}

/// What a client says.
pub(crate) struct Response<'a> {
    /// Who it wants to be, if it says so.
    pub(crate) name: Option<String>,
    /// The value of `auth`.
    pub(crate) authorization: &'a str,
}

/// An exchange by one of them.
#[derive(Debug)]
pub(crate) struct Bearer {
    dialect: &'static Dialect,
    /// The error was sent; the client's answer ends the exchange.
    refused: bool,
}

impl Bearer {
    pub(crate) const fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            refused: false,
        }
    }
}

impl Mechanism for Bearer {
    fn respond(&mut self, response: &[u8]) -> SaslStep {
        if self.refused {
            return SaslStep::Fail(SaslError::Refused);
        }
        let Some(response) = std::str::from_utf8(response).ok().and_then(self.dialect.parse) else {
            return SaslStep::Fail(SaslError::Malformed);
        };
        let Some(token) = token(response.authorization) else {
            // An empty value is how a client asks what the server wants (RFC 7628 section 4.3).
            self.refused = true;
            return SaslStep::Challenge(self.dialect.error.into());
        };
        SaslStep::Verify(Claim::Bearer {
            name: response.name.map(String::into_bytes),
            token,
            mechanism: self.dialect.mechanism,
        })
    }

    fn refused(&mut self) -> Option<Vec<u8>> {
        Some(self.dialect.error.into())
    }
}

/// The pairs of a response.
pub(crate) struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Pairs<'a> {
    /// Parses `*kvpair kvsep`; `None` if the text is anything else or a key comes twice.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.strip_suffix(SEPARATOR)?;
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        while !rest.is_empty() {
            let (pair, after) = rest.split_once(SEPARATOR)?;
            let (key, value) = pair.split_once('=')?;
            let is_key = !key.is_empty() && key.bytes().all(|octet| octet.is_ascii_alphabetic());
            if !is_key || value.contains('\0') || pairs.iter().any(|(earlier, _)| *earlier == key) {
                return None;
            }
            pairs.push((key, value));
            rest = after;
        }
        Some(Self(pairs))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }
}

/// The token of `Bearer <token>`; `None` if there is none, the scheme is another, or it is no b64token.
fn token(authorization: &str) -> Option<Secret<String>> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("Bearer") && token.len() <= TOKEN_OCTETS && is_b64token(token))
        .then(|| Secret::new(token.to_owned()))
}

fn is_b64token(token: &str) -> bool {
    let unpadded = token.trim_end_matches('=');
    !unpadded.is_empty()
        && unpadded
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet))
}
