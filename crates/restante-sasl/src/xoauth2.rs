//! XOAUTH2, OAUTHBEARER's forerunner: never standardised, and all that Thunderbird knows. The name is a pair like the
//! token: `user=<name> %x01 auth=Bearer <token> %x01 %x01`.

use crate::LoginMechanism;
use crate::bearer::{Dialect, Pairs, Response};
use crate::mechanism::NAME_OCTETS;

pub(crate) const XOAUTH2: Dialect = Dialect {
    mechanism: LoginMechanism::Xoauth2,
    parse,
    error: r#"{"status":"401","schemes":"bearer","scope":""}"#,
};

fn parse(response: &str) -> Option<Response<'_>> {
    let pairs = Pairs::parse(response)?;
    let name = pairs
        .get("user")
        .filter(|name| (1..=NAME_OCTETS).contains(&name.len()))?;
    Some(Response {
        name: Some(name.to_owned()),
        authorization: pairs.get("auth")?,
    })
}
