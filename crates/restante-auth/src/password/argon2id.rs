//! argon2, as PHC strings: `$argon2id$v=19$m=19456,t=2,p=1,keyid=AQ$salt$hash`. `keyid` names the pepper, if any.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, KeyId, Params, ParamsBuilder, Version};
use restante_types::Secret;

use super::encoding::hmac_sha256;
use super::schemes::{Parsed, Stored};
use super::{HashError, Rule};
use crate::Keyring;

/// The most memory a stored hash may ask for: 64 MiB. A hostile import must not take the machine's memory.
pub const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// The most iterations a stored hash may ask for.
pub const MAX_ITERATIONS: u32 = 4;
/// The most lanes a stored hash may ask for.
pub const MAX_PARALLELISM: u32 = 4;

/// What our own hashes begin with.
pub(super) const PREFIX: &str = "$argon2id$";

const SALT_OCTETS: usize = 16;
const HASH_OCTETS: usize = 32;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParams {
    /// Memory in KiB, 8 to 65,536.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 4.
    pub iterations: u32,
    /// Lanes, 1 to 4.
    pub parallelism: u32,
}

impl Default for HashParams {
    /// OWASP's minimum: 19 MiB, 2 passes, 1 lane.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

pub(super) fn hash(password: &[u8], rule: &Rule) -> Result<Secret<String>, HashError> {
    let pepper = rule.keyring().map(Keyring::current);
    let params = params(rule.params, pepper)?;
    let mut salt = [0; SALT_OCTETS];
    getrandom::fill(&mut salt).map_err(|_| HashError::Failed)?;
    let mut hash = Argon2Hash {
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        pepper,
        salt: Salt::new(&salt).map_err(|_| HashError::Failed)?,
        expected: Output::new(&[0; HASH_OCTETS]).map_err(|_| HashError::Failed)?,
        params,
    };
    hash.expected = hash.compute_peppered(password, rule.keyring())?;
    hash.to_text()
}

/// An imported hash: over the octets of the password as they are, which nobody peppers.
pub(super) fn parse_imported(text: &[u8], algorithm: Algorithm) -> Parsed {
    let text = str::from_utf8(text).map_err(|_| HashError::Malformed)?;
    let hash = Argon2Hash::parse(text)?;
    if hash.algorithm != algorithm || hash.pepper.is_some() {
        return Err(HashError::Malformed);
    }
    Ok(Box::new(hash))
}

/// A stored hash within the limits.
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    pepper: Option<u8>,
    salt: Salt,
    expected: Output,
}

impl Argon2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let phc = PasswordHash::new(text).map_err(|_| HashError::Malformed)?;
        let algorithm = match phc.algorithm.as_str() {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            _ => return Err(HashError::Malformed),
        };
        let params = Params::try_from(&phc).map_err(|_| HashError::Malformed)?;
        check(costs(&params))?;
        // Without a version it is of the time before there was one.
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from);
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(HashError::Malformed);
        };
        if !params.data().is_empty() {
            return Err(HashError::Malformed);
        }
        Ok(Self {
            algorithm,
            version: version.map_err(|_| HashError::Malformed)?,
            pepper: pepper_id(params.keyid())?,
            params,
            salt,
            expected,
        })
    }

    /// Whether a password belongs to one of our own hashes.
    pub(super) fn matches_peppered(
        &self,
        password: &[u8],
        keyring: Option<&Keyring>,
    ) -> Result<bool, HashError> {
        // `Output` compares in constant time.
        Ok(self.compute_peppered(password, keyring)? == self.expected)
    }

    /// Whether a hash by the rule would be harder to guess from.
    pub(super) fn is_weaker_than(&self, rule: &Rule) -> bool {
        let have = costs(&self.params);
        have.memory_kib < rule.params.memory_kib
            || have.iterations < rule.params.iterations
            || have.parallelism < rule.params.parallelism
            || self.version != Version::V0x13
            || self.expected.len() < HASH_OCTETS
            || self.pepper != rule.keyring().map(Keyring::current)
    }

    fn compute_peppered(&self, password: &[u8], keyring: Option<&Keyring>) -> Result<Output, HashError> {
        let Some(id) = self.pepper else {
            return self.compute(password);
        };
        let (_, pepper) = keyring
            .and_then(|keyring| keyring.pepper(Some(id)))
            .ok_or(HashError::PepperMissing(id))?;
        self.compute(hmac_sha256(pepper.expose(), &[password]).expose())
    }

    fn compute(&self, password: &[u8]) -> Result<Output, HashError> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut blocks = SPARE.take(self.params.block_count());
        let mut out = vec![0; self.expected.len()];
        let result = argon2.hash_password_into_with_memory(password, &self.salt, &mut out, &mut blocks[..]);
        SPARE.give_back(blocks);
        result.map_err(|_| HashError::Failed)?;
        Output::new(&out).map_err(|_| HashError::Failed)
    }

    fn to_text(&self) -> Result<Secret<String>, HashError> {
        let phc = PasswordHash {
            algorithm: self.algorithm.ident(),
            version: Some(self.version.into()),
            params: (&self.params).try_into().map_err(|_| HashError::Failed)?,
            salt: Some(self.salt),
            hash: Some(self.expected),
        };
        Ok(Secret::new(phc.to_string()))
    }
}

impl Stored for Argon2Hash {
    fn matches(&self, raw: &[u8]) -> Result<bool, HashError> {
        Ok(self.compute(raw)? == self.expected)
    }
}

fn params(costs: HashParams, pepper: Option<u8>) -> Result<Params, HashError> {
    check(costs)?;
    let mut builder = ParamsBuilder::new();
    builder
        .m_cost(costs.memory_kib)
        .t_cost(costs.iterations)
        .p_cost(costs.parallelism);
    if let Some(id) = pepper {
        builder.keyid(KeyId::new(&[id]).map_err(|_| HashError::Failed)?);
    }
    builder.build().map_err(|_| HashError::Excessive)
}

const fn costs(params: &Params) -> HashParams {
    HashParams {
        memory_kib: params.m_cost(),
        iterations: params.t_cost(),
        parallelism: params.p_cost(),
    }
}

const fn check(params: HashParams) -> Result<(), HashError> {
    let within = params.memory_kib <= MAX_MEMORY_KIB
        && params.iterations <= MAX_ITERATIONS
        && params.parallelism <= MAX_PARALLELISM;
    if within { Ok(()) } else { Err(HashError::Excessive) }
}

const fn pepper_id(keyid: &[u8]) -> Result<Option<u8>, HashError> {
    match keyid {
        [] => Ok(None),
        &[id] if id != 0 => Ok(Some(id)),
        _ => Err(HashError::Malformed),
    }
}

/// Memory of earlier hashes, used again: as many pieces as were ever hashed with at once, which the gate bounds.
///
/// Left to the allocator, every thread that hashes in turn would keep its own 19 MiB.
static SPARE: Spare = Spare(Mutex::new(Vec::new()));

struct Spare(Mutex<Vec<Vec<Block>>>);

impl Spare {
    fn take(&self, blocks: usize) -> Vec<Block> {
        let mut spare = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default();
        spare.resize(blocks, Block::default());
        spare
    }

    fn give_back(&self, blocks: Vec<Block>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
    }
}
