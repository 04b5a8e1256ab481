//! The URL of a service, which may hold a password and never shows it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The URL of a service. `Debug` and `Display` leave the password out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Takes a text as it is; whoever uses it finds out whether it is a URL.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole URL, to connect with.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("***");
        };
        // What follows `?` may hold a password too.
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((_, place)) => write!(f, "{scheme}://{place}"),
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for url in [
            "postgres://ann:hunter2@db.example/mail",
            "postgres://ann@db.example/mail?password=hunter2",
            "redis://:hun@ter2@cache.example:6379/1",
            "hunter2",
        ] {
            let url = ServiceUrl::new(url);
            assert!(!format!("{url} {url:?}").contains("ter2"), "{url}");
        }
        let url = ServiceUrl::new("postgres://ann:hunter2@db.example/mail");
        assert_eq!(url.to_string(), "postgres://db.example/mail");
    }
}
