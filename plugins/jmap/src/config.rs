//! What the operator wants.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Stands for the account's name in `user`.
const ACCOUNT: &str = "{account}";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the session resource is (RFC 8620 section 2).
    pub session_url: String,
    token: Option<String>,
    user: Option<String>,
    password: Option<String>,
    /// Ids of JMAP accounts, by the account's name here.
    #[serde(default)]
    pub accounts: BTreeMap<String, String>,
    #[serde(default = "inbox")]
    pub mailbox_role: String,
    #[serde(default)]
    pub delete: Delete,
    #[serde(default)]
    pub canonical: Canonical,
}

/// What becomes of a removed message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delete {
    #[default]
    Destroy,
    Trash,
}

/// Whether the server's messages have CRLF at the end of every line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Canonical {
    /// They do.
    #[default]
    Trust,
    /// They may not.
    Measure,
}

/// How requests are authorised; the secrets by their names.
#[derive(Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    Bearer { token: &'a str },
    Basic { user: &'a str, password: &'a str },
}

impl Config {
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    pub fn credential(&self) -> Result<Credential<'_>, String> {
        match (&self.token, &self.user, &self.password) {
            (Some(token), None, None) => Ok(Credential::Bearer { token }),
            (None, Some(user), Some(password)) => Ok(Credential::Basic { user, password }),
            _ => Err("either `token`, or `user` and `password`, must be set".to_owned()),
        }
    }

    /// Whether the server is asked in the name of each account.
    pub fn impersonates(&self) -> bool {
        self.user.as_deref().is_some_and(|user| user.contains(ACCOUNT))
    }

    fn check(&self) -> Result<(), String> {
        self.credential()?;
        let authority = self
            .session_url
            .strip_prefix("https://")
            .or_else(|| self.session_url.strip_prefix("http://"))
            .and_then(|rest| rest.split(['/', '?', '#']).next())
            .ok_or("`session_url` must begin with https://")?;
        if authority.is_empty() || authority.contains('@') {
            return Err("`session_url` must name a host, and nobody's password".to_owned());
        }
        if self.mailbox_role.is_empty() {
            return Err("`mailbox_role` must not be empty".to_owned());
        }
        if self.delete == Delete::Trash && self.mailbox_role == "trash" {
            return Err("what is in the trash can only be destroyed: set `delete` to \"destroy\"".to_owned());
        }
        Ok(())
    }
}

/// The user that asks for an account's mail.
pub fn user_for(template: &str, account: &str) -> String {
    template.replace(ACCOUNT, account)
}

fn inbox() -> String {
    "inbox".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_destroy_and_trust() {
        let config = Config::parse(r#"{"session_url":"https://h/.well-known/jmap","token":"t"}"#).unwrap();
        assert_eq!(config.credential(), Ok(Credential::Bearer { token: "t" }));
        assert_eq!(config.mailbox_role, "inbox");
        assert_eq!(config.delete, Delete::Destroy);
        assert_eq!(config.canonical, Canonical::Trust);
        assert!(!config.impersonates());
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"{"session_url":"https://h","user":"{account}%master","password":"p","mailbox_role":"archive",
            "delete":"trash","canonical":"measure","accounts":{"a@b":"u1"}}"#;
        let config = Config::parse(text).unwrap();
        assert!(config.impersonates());
        assert_eq!(user_for("{account}%master", "a@b"), "a@b%master");
        assert_eq!(config.delete, Delete::Trash);
        assert_eq!(config.canonical, Canonical::Measure);
        assert_eq!(config.accounts["a@b"], "u1");
    }

    #[test]
    fn mistakes_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"session_url":"https://h"}"#,
            r#"{"session_url":"https://h","token":"t","user":"u","password":"p"}"#,
            r#"{"session_url":"https://h","user":"u"}"#,
            r#"{"session_url":"ftp://h","token":"t"}"#,
            r#"{"session_url":"https://","token":"t"}"#,
            r#"{"session_url":"https://user:secret@h/","token":"t"}"#,
            r#"{"session_url":"https://h","token":"t","delete":"maybe"}"#,
            r#"{"session_url":"https://h","token":"t","mailbox_role":""}"#,
            r#"{"session_url":"https://h","token":"t","mailbox_role":"trash","delete":"trash"}"#,
            r#"{"session_url":"https://h","token":"t","colour":"red"}"#,
        ] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
