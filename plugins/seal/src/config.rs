//! What the operator sets.

use serde::Deserialize;

use crate::restante::storage::types::Error;

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The secret that new blobs are sealed with.
    pub key: String,
    /// Secrets that blobs were sealed with before.
    #[serde(default)]
    pub old_keys: Vec<String>,
}

impl Config {
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| Error::Invalid(format!("config: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_keys_may_be_left_out() {
        let config = Config::parse(r#"{"key": "a"}"#).unwrap();
        assert_eq!((config.key.as_str(), config.old_keys.len()), ("a", 0));

        let config = Config::parse(r#"{"key": "a", "old_keys": ["b", "c"]}"#).unwrap();
        assert_eq!(config.old_keys, ["b", "c"]);
    }

    #[test]
    fn what_is_unknown_or_missing_is_refused() {
        for json in [
            "",
            "{}",
            r#"{"old_keys": []}"#,
            r#"{"key": 1}"#,
            r#"{"key": "a", "kee": "b"}"#,
        ] {
            assert!(matches!(Config::parse(json), Err(Error::Invalid(_))), "{json}");
        }
    }
}
