//! Values as they stand in JSON: times, secrets, settings that can be taken away, pages of lists.
//!
//! The service and the client read and write the same types. Start at [`Listing`].

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod app_password;
pub(crate) mod audit;
pub(crate) mod certificate;
pub(crate) mod domain;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod tenant;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use ipnet::IpNet;
use restante_auth::{AccountState, AppScope, AuditAction};
use restante_sasl::LoginMechanism;
use restante_types::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Things on one page if nobody says how many.
const USUAL: u32 = 100;
/// Things on one page at most.
pub(crate) const MOST: u32 = 1_000;

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Listing<T> {
    /// What is on this page, in the order of the list.
    pub(crate) items: Vec<T>,
    /// What to give as `after` for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

impl<T> Listing<T> {
    /// The first `limit` of one thing more than that, if there are so many.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(key);
        Self { items, next }
    }

    /// The page of a list that is at hand as a whole, in the order of its keys.
    pub(crate) fn of_whole<K: Ord>(
        items: Vec<T>,
        order: impl Fn(&T) -> K,
        after: Option<&K>,
        limit: usize,
        key: impl Fn(&T) -> String,
    ) -> Self {
        let is_later = |item: &T| after.is_none_or(|after| order(item) > *after);
        let items = items.into_iter().filter(is_later).take(limit + 1).collect();
        Self::cut(items, limit, key)
    }
}

/// Which part of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Only what comes after this in the list: `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// At most so many things.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: Option<u32>,
}

/// How many things a page may have, within what is permitted.
pub(crate) fn page_limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(USUAL).clamp(1, MOST)
}

/// A point in time as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = OffsetDateTime::from(self.0).format(&Rfc3339);
        serializer.serialize_str(&text.map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339);
        let at = at.map_err(|_| serde::de::Error::custom(NO_TIME))?;
        // Databases keep times from 1970 to far beyond every certificate.
        if (0..=253_402_300_799).contains(&at.unix_timestamp()) {
            Ok(Self(at.into()))
        } else {
            Err(serde::de::Error::custom(NO_TIME))
        }
    }
}

pub(crate) const NO_TIME: &str = "a time is written as RFC 3339 does: 2027-01-31T12:00:00Z";

/// A word of a closed set, by the name that the command line has for it.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($of:ty), $schema:literal, $to:path, $from:path, $unknown:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $of);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($to(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                $from(&name).map(Self).ok_or_else(|| serde::de::Error::custom($unknown))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let names = <$of>::ALL.iter().map(|word| $to(*word));
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($schema)
            }
        }
    )+};
}

words! {
    /// What an account, or every account of a tenant, may do.
    State(AccountState), "State", AccountState::as_str, AccountState::from_name,
        "no such state: active, login-suspended, receive-suspended, read-only or closed";
    /// What an application password opens.
    Opens(AppScope), "Scope", AppScope::as_str, AppScope::from_name, "no such scope: full or read-only";
    /// What was done.
    Action(AuditAction), "Action", AuditAction::as_str, AuditAction::from_name,
        "no such action: /openapi.json lists them";
    /// A way to log in.
    Mechanism(LoginMechanism), "Mechanism", LoginMechanism::name, LoginMechanism::from_name,
        "no such way to log in: /openapi.json lists them";
}

/// A network, such as `192.0.2.0/24`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) IpNet);

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = text.parse().ok();
        let single = || {
            text.parse()
                .ok()
                .map(|address| IpNet::new_assert(address, full(address)))
        };
        network.or_else(single).map(Self).ok_or_else(|| {
            serde::de::Error::custom("a network is an address or ADDRESS/LENGTH: 192.0.2.0/24")
        })
    }
}

const fn full(address: std::net::IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A part of an answer that this release cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer has an unfit {0}: use the release of the server")]
pub(crate) struct Unfit(pub(crate) &'static str);

impl From<std::convert::Infallible> for Unfit {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<restante_auth::NameError> for Unfit {
    fn from(_: restante_auth::NameError) -> Self {
        Self("name")
    }
}

/// A secret in a request: read, never printed.
pub(crate) struct Hidden(pub(crate) Secret<String>);

impl Hidden {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(crate) fn copy_of(secret: &Secret<String>) -> Self {
        Self(Secret::new(secret.expose().clone()))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// Reads a setting of a patch that may be null: left out it stays, null takes it away.
#[expect(
    clippy::option_option,
    reason = "left out, taken away and given are three things"
)]
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_come_back_to_the_microsecond() {
        let at = Time(SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456));
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, "\"2023-11-14T22:13:20.123456Z\"");
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), at);
        for wrong in ["\"\"", "\"tomorrow\"", "\"1969-12-31T23:59:59Z\"", "7"] {
            assert!(serde_json::from_str::<Time>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_says_whether_there_is_another() {
        let cut = |n: u32, limit| Listing::cut((0..n).collect(), limit, ToString::to_string);
        assert_eq!(cut(3, 2).next.as_deref(), Some("1"));
        assert_eq!(cut(2, 2).next, None);
        assert_eq!(cut(0, 2).next, None);
    }

    #[test]
    fn a_hidden_value_is_not_printed() {
        let hidden: Hidden = serde_json::from_str("\"correct horse\"").unwrap();
        assert_eq!(hidden.expose(), "correct horse");
        assert_eq!(format!("{hidden:?}"), "***");
    }
}
