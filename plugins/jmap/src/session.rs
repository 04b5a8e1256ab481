//! The session resource (RFC 8620 section 2): what the server offers, and where.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::address::{expand, resolve};
use crate::config::Config;

pub const CORE: &str = "urn:ietf:params:jmap:core";
pub const MAIL: &str = "urn:ietf:params:jmap:mail";

/// What a server that does not say takes in one call: RFC 8620 suggests at least so many.
const OBJECTS: u32 = 500;

/// Largest body that the host sends.
pub const BODY: u64 = 16 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[serde(default)]
    capabilities: Capabilities,
    accounts: BTreeMap<String, Account>,
    #[serde(default)]
    primary_accounts: BTreeMap<String, Value>,
    pub api_url: String,
    download_url: String,
    upload_url: String,
    #[serde(default)]
    pub state: String,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Capabilities {
    #[serde(default, rename = "urn:ietf:params:jmap:core")]
    core: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_size_upload: Option<u64>,
    max_objects_in_get: Option<u32>,
    max_objects_in_set: Option<u32>,
}

impl Session {
    /// Reads what came from `url`.
    pub fn parse(json: &[u8], url: &str) -> Result<Self, String> {
        let mut session: Self =
            serde_json::from_slice(json).map_err(|error| format!("no session resource of JMAP: {error}"))?;
        for address in [
            &mut session.api_url,
            &mut session.download_url,
            &mut session.upload_url,
        ] {
            *address = resolve(url, address)
                .ok_or("the session resource names an address that is less safe than its own")?;
        }
        Ok(session)
    }

    /// The JMAP account of an account. None if there is none, or several that may be meant.
    pub fn account(&self, config: &Config, name: &str) -> Option<String> {
        if let Some(id) = config.accounts.get(name) {
            return Some(id.clone());
        }
        let mut named = (self.accounts.iter()).filter(|(_, account)| account.name.eq_ignore_ascii_case(name));
        match (named.next(), named.next()) {
            (Some((id, _)), None) => Some(id.clone()),
            (None, _) if config.impersonates() => {
                self.primary_accounts.get(MAIL)?.as_str().map(ToOwned::to_owned)
            }
            _ => None,
        }
    }

    pub fn download_url(&self, account: &str, blob: &str) -> String {
        let values = [
            ("accountId", account),
            ("blobId", blob),
            ("type", "message/rfc822"),
            ("name", "message.eml"),
        ];
        expand(&self.download_url, &values)
    }

    pub fn upload_url(&self, account: &str) -> String {
        expand(&self.upload_url, &[("accountId", account)])
    }

    /// Octets of a message that can be uploaded.
    pub fn max_upload(&self) -> u64 {
        self.capabilities.core.max_size_upload.unwrap_or(BODY).min(BODY)
    }

    pub fn max_get(&self) -> usize {
        objects(self.capabilities.core.max_objects_in_get)
    }

    pub fn max_set(&self) -> usize {
        objects(self.capabilities.core.max_objects_in_set)
    }
}

fn objects(said: Option<u32>) -> usize {
    said.unwrap_or(OBJECTS).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = r#"{
        "capabilities": {"urn:ietf:params:jmap:core": {"maxSizeUpload": 50000000, "maxObjectsInGet": 20,
            "maxSizeRequest": 1}, "x": {}},
        "accounts": {"u1": {"name": "Alice@example.org", "isPersonal": true}, "u2": {"name": "bob@example.org"},
            "u3": {"name": "bob@example.org"}},
        "primaryAccounts": {"urn:ietf:params:jmap:mail": "u2"},
        "username": "x",
        "apiUrl": "/jmap/", "downloadUrl": "/d/{accountId}/{blobId}/{name}?t={type}",
        "uploadUrl": "https://up.example/{accountId}/", "state": "s1"}"#;

    fn config(more: &str) -> Config {
        Config::parse(&format!(r#"{{"session_url":"https://h",{more}}}"#)).unwrap()
    }

    #[test]
    fn addresses_are_those_of_the_account() {
        let session = Session::parse(SESSION.as_bytes(), "https://h/.well-known/jmap").unwrap();
        assert_eq!(session.api_url, "https://h/jmap/");
        assert_eq!(
            session.download_url("u/1", "b"),
            "https://h/d/u%2F1/b/message.eml?t=message%2Frfc822"
        );
        assert_eq!(session.upload_url("u1"), "https://up.example/u1/");
    }

    #[test]
    fn limits_are_the_servers_and_the_hosts() {
        let session = Session::parse(SESSION.as_bytes(), "https://h/").unwrap();
        assert_eq!(session.max_get(), 20);
        assert_eq!(session.max_set(), 500);
        assert_eq!(session.max_upload(), BODY);
    }

    #[test]
    fn an_account_is_found_by_its_name_unless_another_is_named() {
        let session = Session::parse(SESSION.as_bytes(), "https://h/").unwrap();
        let bearer = config(r#""token":"t","accounts":{"carol@example.org":"u9"}"#);
        let found = |name| session.account(&bearer, name);
        assert_eq!(found("alice@example.org").as_deref(), Some("u1"));
        assert_eq!(found("carol@example.org").as_deref(), Some("u9"));
        assert_eq!(found("bob@example.org"), None);
        assert_eq!(found("dora@example.org"), None);

        let basic = config(r#""user":"{account}%m","password":"p""#);
        assert_eq!(session.account(&basic, "dora@example.org").as_deref(), Some("u2"));
        assert_eq!(session.account(&basic, "bob@example.org"), None);
    }

    #[test]
    fn what_is_no_session_is_refused() {
        for json in ["", "[]", "{}", "<html>"] {
            assert!(Session::parse(json.as_bytes(), "https://h/").is_err());
        }
        let unsafe_address = SESSION.replace("https://up", "http://up");
        assert!(Session::parse(unsafe_address.as_bytes(), "https://h/").is_err());
    }
}
