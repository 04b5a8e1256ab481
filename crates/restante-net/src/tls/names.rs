//! Which certificate belongs to which server name.
//!
//! Pure look-up: exact names first, then one-label wildcards. Nothing about a name that a client sends is kept.
//! Start at [`NameTable::find`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

/// The form in which names are compared: lower case, without the dot of the root.
pub(crate) fn normalise_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Certificates by the names they serve, and the one for everybody else.
#[derive(Debug)]
pub(super) struct NameTable {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the star: `example.org` for `*.example.org`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl NameTable {
    pub(super) fn new(default: Arc<CertifiedKey>) -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default,
        }
    }

    /// Gives `name` (normalised, perhaps with a leading `*.`) to `key`. False when another certificate has it.
    pub(super) fn insert(&mut self, name: &str, key: &Arc<CertifiedKey>) -> bool {
        let (map, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        match map.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(Arc::clone(key));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    pub(super) fn default_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.default)
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = normalise_name(name);
        let found = self.exact.get(&name).or_else(|| {
            let (label, parent) = name.split_once('.')?;
            if label.is_empty() {
                None
            } else {
                self.wildcard.get(parent)
            }
        });
        found.map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    fn key() -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let der = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(vec![made.cert.der().clone()], der, &provider).unwrap())
    }

    #[test]
    fn names_are_found_exactly_then_by_one_wildcard_label() {
        let (default, exact, wildcard) = (key(), key(), key());
        let mut table = NameTable::new(default);
        assert!(table.insert("pop.example.org", &exact));
        assert!(table.insert("*.example.org", &wildcard));
        assert!(!table.insert("pop.example.org", &wildcard));
        let is = |name: &str, key: &Arc<CertifiedKey>| table.find(name).is_some_and(|k| Arc::ptr_eq(&k, key));
        assert!(is("pop.example.org", &exact));
        assert!(is("POP.Example.ORG.", &exact));
        assert!(is("other.example.org", &wildcard));
        for unknown in [
            "example.org",
            "a.b.example.org",
            ".example.org",
            "",
            ".",
            "*.example.net",
            "\0",
        ] {
            assert!(table.find(unknown).is_none(), "{unknown:?}");
        }
        assert!(table.find(&"x".repeat(300)).is_none());
    }

    #[test]
    fn unknown_names_leave_nothing_behind() {
        let mut table = NameTable::new(key());
        table.insert("pop.example.org", &key());
        for n in 0..100_000 {
            assert!(table.find(&format!("{n}.example.net")).is_none());
        }
        assert_eq!((table.exact.len(), table.wildcard.len()), (1, 0));
    }
}
