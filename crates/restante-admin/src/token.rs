//! Tokens: who may use the API, for which tenant, and whether only for reading.
//!
//! What is kept of a token is a keyed digest under a key that only this process has. A token that comes is digested
//! too, and the digests are compared over all tokens, so that the time taken says nothing about how much of a token was
//! right. Start at [`Tokens`].

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use restante_types::Secret;
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Octets of the shortest token: as hexadecimal digits, 64 bits.
const SHORTEST: usize = 16;
/// Octets of the longest one.
const LONGEST: usize = 1024;
/// Octets of the longest name: it stands in the audit.
const LONGEST_NAME: usize = 100;

type Digest = [u8; 32];

/// A token that cannot be one, in words that do not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The name is empty, too long or of other characters.
    #[error("a token's name has 1 to 100 of a-z, A-Z, 0-9, `.`, `_` and `-`: choose such a name")]
    Name,
    /// The token is too short, too long, or not of printable ASCII.
    #[error(
        "token {0}: it has 16 to 1024 printable ASCII characters and no space; make one with `openssl rand -hex 32`"
    )]
    Form(String),
    /// Two tokens have the same name.
    #[error("there are two tokens of the name {0}: give each its own, so that the audit tells them apart")]
    SameName(String),
    /// Two names have the same token.
    #[error("{0} and {1} are the same token: make one for each")]
    SameToken(String, String),
    /// No random octets.
    #[error("the system gives no random octets")]
    Random,
}

/// A token of the configuration.
#[derive(Debug)]
pub struct AdminToken {
    name: String,
    token: Secret<String>,
    tenant: Option<String>,
    read_only: bool,
}

impl AdminToken {
    /// Takes a token: its name for the audit, what is sent, the one tenant that exists for it, and whether it only
    /// reads.
    ///
    /// # Errors
    /// [`TokenFault::Name`], [`TokenFault::Form`].
    pub fn new(
        name: &str,
        token: Secret<String>,
        tenant: Option<String>,
        read_only: bool,
    ) -> Result<Self, TokenFault> {
        let is_admitted = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(is_admitted) {
            return Err(TokenFault::Name);
        }
        let octets = token.expose().as_bytes();
        if !(SHORTEST..=LONGEST).contains(&octets.len()) || !octets.iter().all(u8::is_ascii_graphic) {
            return Err(TokenFault::Form(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            token,
            tenant,
            read_only,
        })
    }
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) tenant: Option<String>,
    pub(crate) read_only: bool,
}

/// The tokens in force. Clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    key: Secret<Digest>,
    held: ArcSwap<Vec<Held>>,
}

struct Held {
    digest: Digest,
    holder: Holder,
}

impl Tokens {
    /// Puts tokens in force. None at all: nobody may use the API.
    ///
    /// # Errors
    /// [`TokenFault`]: two are the same, or there are no random octets.
    pub fn new(tokens: Vec<AdminToken>) -> Result<Self, TokenFault> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| TokenFault::Random)?;
        let new = Self(Arc::new(Inner {
            key: Secret::new(key),
            held: ArcSwap::default(),
        }));
        new.replace(tokens)?;
        Ok(new)
    }

    /// Puts others in force instead. Requests that have begun go on.
    ///
    /// # Errors
    /// [`TokenFault`]: two are the same. Those before stay in force.
    pub fn replace(&self, tokens: Vec<AdminToken>) -> Result<(), TokenFault> {
        let mut held: Vec<Held> = Vec::with_capacity(tokens.len());
        for token in tokens {
            let digest = self.digest(token.token.expose().as_bytes());
            let name = token.name;
            for other in &held {
                if other.holder.name == name {
                    return Err(TokenFault::SameName(name));
                }
                if bool::from(other.digest.ct_eq(&digest)) {
                    return Err(TokenFault::SameToken(other.holder.name.clone(), name));
                }
            }
            held.push(Held {
                digest,
                holder: Holder {
                    name,
                    tenant: token.tenant,
                    read_only: token.read_only,
                },
            });
        }
        self.0.held.store(Arc::new(held));
        Ok(())
    }

    /// Whose token these octets are.
    pub(crate) fn find(&self, offered: &[u8]) -> Option<Holder> {
        let offered = self.digest(offered);
        let held = self.0.held.load();
        let digests = held.iter().map(|held| &held.digest);
        let place = place(digests, &offered)?;
        held.get(place).map(|held| held.holder.clone())
    }

    fn digest(&self, octets: &[u8]) -> Digest {
        let key = self.0.key.expose();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
        mac.update(octets);
        mac.finalize().into_bytes().into()
    }
}

/// Where the digest stands: every one is compared whole, also after one that fits.
fn place<'d>(digests: impl Iterator<Item = &'d Digest>, offered: &Digest) -> Option<usize> {
    let mut found = 0_u64;
    let mut is_there = Choice::from(0);
    for (digest, number) in digests.zip(0_u64..) {
        let fits = digest.ct_eq(offered);
        found.conditional_assign(&number, fits);
        is_there |= fits;
    }
    bool::from(is_there)
        .then(|| usize::try_from(found).ok())
        .flatten()
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.0.held.load();
        f.debug_list()
            .entries(held.iter().map(|held| &held.holder))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, text: &str) -> AdminToken {
        AdminToken::new(name, Secret::new(text.to_owned()), None, false).unwrap()
    }

    #[test]
    fn every_token_finds_its_holder_and_nothing_else_finds_any() {
        let texts = ["0123456789abcdef", "0123456789abcdeg", "x123456789abcdef"];
        let tokens = Tokens::new((0..3).map(|n| token(&format!("t{n}"), texts[n])).collect()).unwrap();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(tokens.find(text.as_bytes()).unwrap().name, format!("t{n}"));
        }
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            " 0123456789abcdef",
        ] {
            assert_eq!(tokens.find(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(Tokens::new(Vec::new()).unwrap().find(b"0123456789abcdef"), None);
    }

    #[test]
    fn all_digests_are_looked_at_wherever_the_right_one_stands() {
        let digests: Vec<Digest> = (0..7).map(|n| [n; 32]).collect();
        for wanted in [[0; 32], [3; 32], [6; 32], [9; 32]] {
            let mut n_looked_at = 0;
            let counted = digests.iter().inspect(|_| n_looked_at += 1);
            let found = place(counted, &wanted);
            assert_eq!(found, digests.iter().position(|digest| *digest == wanted));
            assert_eq!(n_looked_at, digests.len());
        }
    }

    #[test]
    fn digests_say_nothing_about_tokens_and_differ_by_process() {
        let (one, other) = (Tokens::new(Vec::new()).unwrap(), Tokens::new(Vec::new()).unwrap());
        assert_ne!(one.digest(b"0123456789abcdef"), other.digest(b"0123456789abcdef"));
        // Tokens that share all but their last octet have digests that share about as much as any two have.
        let (a, b) = (one.digest(b"0123456789abcdef"), one.digest(b"0123456789abcdeg"));
        let n_shared: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_zeros()).sum();
        assert!((64..192).contains(&n_shared), "{n_shared} of 256 bits");
    }

    #[test]
    fn a_token_is_never_shown() {
        let tokens = Tokens::new(vec![token("portal", "0123456789abcdef")]).unwrap();
        let text = format!("{tokens:?} {:?}", token("other", "0123456789abcdef"));
        assert!(text.contains("portal") && !text.contains("0123456789"), "{text}");
        let fault = AdminToken::new("short", Secret::new("0123456789".to_owned()), None, false).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("0123456789"));
    }

    #[test]
    fn tokens_that_cannot_be_told_apart_are_refused_and_those_before_stay() {
        let tokens = Tokens::new(vec![token("portal", "0123456789abcdef")]).unwrap();
        let twice = vec![token("a", "0000000000000000"), token("a", "1111111111111111")];
        assert_eq!(tokens.replace(twice), Err(TokenFault::SameName("a".to_owned())));
        let same = vec![token("a", "0000000000000000"), token("b", "0000000000000000")];
        let fault = TokenFault::SameToken("a".to_owned(), "b".to_owned());
        assert_eq!(tokens.replace(same), Err(fault));
        assert!(tokens.find(b"0123456789abcdef").is_some());
        tokens.replace(Vec::new()).unwrap();
        assert!(tokens.find(b"0123456789abcdef").is_none());
    }

    #[test]
    fn names_and_tokens_have_a_form() {
        let make = |name: &str, text: &str| AdminToken::new(name, Secret::new(text.to_owned()), None, false);
        for name in ["", "with space", "é", "a/b", &"n".repeat(101)] {
            assert_eq!(
                make(name, "0123456789abcdef").unwrap_err(),
                TokenFault::Name,
                "{name}"
            );
        }
        for text in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdé",
            &"x".repeat(1025),
        ] {
            assert!(matches!(make("n", text), Err(TokenFault::Form(_))), "{text}");
        }
    }
}
