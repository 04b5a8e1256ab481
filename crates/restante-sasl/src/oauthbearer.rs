//! OAUTHBEARER (RFC 7628): a GS2 header with the name, then pairs, among them the token.
//!
//! The pairs `host` and `port` are not held against anything: frontends answer by any number of names, behind load
//! balancers with ports of their own.

use crate::LoginMechanism;
use crate::bearer::{Dialect, Pairs, Response};
use crate::gs2::{BindingFlag, Gs2Header};

pub(crate) const OAUTHBEARER: Dialect = Dialect {
    mechanism: LoginMechanism::OauthBearer,
    parse,
    // RFC 7628 section 3.2.2. No scope: which one a token needs is between the tenant and its issuer.
    error: r#"{"status":"invalid_token","schemes":"bearer"}"#,
};

fn parse(response: &str) -> Option<Response<'_>> {
    let (header, rest) = Gs2Header::split(response)?;
    // A bearer token is bound to no channel; a client that asks for it must not believe to have it.
    if !matches!(header.flag, BindingFlag::Unsupported | BindingFlag::NotOffered) {
        return None;
    }
    let pairs = Pairs::parse(rest.strip_prefix('\x01')?)?;
    Some(Response {
        name: header.authzid,
        authorization: pairs.get("auth")?,
    })
}
