//! The keys at hand.

use zeroize::Zeroizing;

use crate::config::Config;
use crate::key::{ID, Key};
use crate::restante::storage::types::Error;
use crate::secret;

pub struct Ring {
    /// Seals new blobs.
    pub newest: Key,
    old: Vec<Key>,
}

impl Ring {
    /// The keys that `config` names, from the secrets that `get` knows. Errors name a secret, never its octets.
    pub fn load(config: &Config, get: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, Error> {
        let key = |name: &String| {
            let octets = get(name).map(Zeroizing::new);
            let octets =
                octets.ok_or_else(|| Error::Denied(format!("the secret {name:?} is not granted")))?;
            let secret = secret::parse(&octets);
            let secret =
                secret.ok_or_else(|| Error::Invalid(format!("the secret {name:?} {}", secret::FORMS)))?;
            Ok(Key::new(&secret))
        };
        Ok(Self {
            newest: key(&config.key)?,
            old: config.old_keys.iter().map(key).collect::<Result<_, Error>>()?,
        })
    }

    pub fn find(&self, id: [u8; ID]) -> Option<&Key> {
        std::iter::once(&self.newest)
            .chain(&self.old)
            .find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(json: &str) -> Result<Ring, Error> {
        Ring::load(&Config::parse(json)?, |name| match name {
            "a" => Some(vec![1; 32]),
            "b" => Some("02".repeat(32).into_bytes()),
            "bad" => Some(b"hunter2".to_vec()),
            _ => None,
        })
    }

    #[test]
    fn old_keys_are_found_too() {
        let ring = ring(r#"{"key": "a", "old_keys": ["b"]}"#).unwrap();
        let (a, b) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        assert_eq!(ring.newest.id, a.id);
        assert!(ring.find(a.id).is_some());
        assert!(ring.find(b.id).is_some());
        assert!(ring.find(Key::new(&[3; 32]).id).is_none());
    }

    #[test]
    fn an_error_names_the_secret_but_not_its_octets() {
        let Err(Error::Denied(text)) = ring(r#"{"key": "none"}"#) else {
            panic!("a secret that is not granted");
        };
        assert!(text.contains("none"));
        let Err(Error::Invalid(text)) = ring(r#"{"key": "a", "old_keys": ["bad"]}"#) else {
            panic!("a secret of a wrong form");
        };
        assert!(text.contains("bad") && !text.contains("hunter2"), "{text}");
    }
}
