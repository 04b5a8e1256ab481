//! argon2id, as PHC strings: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use restante_types::Secret;

use super::HashError;

/// The most memory a stored hash may ask for: 64 MiB. A hostile import must not take the machine's memory.
pub const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// The most iterations a stored hash may ask for.
pub const MAX_ITERATIONS: u32 = 4;
/// The most lanes a stored hash may ask for.
pub const MAX_PARALLELISM: u32 = 4;

const SALT_OCTETS: usize = 16;

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

pub(super) fn hash(password: &[u8], params: HashParams) -> Result<Secret<String>, HashError> {
    check(params)?;
    let params = Params::new(params.memory_kib, params.iterations, params.parallelism, None)
        .map_err(|_| HashError::Excessive)?;
    let mut salt = [0; SALT_OCTETS];
    getrandom::fill(&mut salt).map_err(|_| HashError::Failed)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password, &salt)
        .map(|hash: PasswordHash| Secret::new(hash.to_string()))
        .map_err(|_| HashError::Failed)
}

pub(super) fn verify(stored: &str, password: &[u8]) -> Result<bool, HashError> {
    if !stored.starts_with("$argon2id$") {
        return Err(HashError::Malformed);
    }
    let hash = PasswordHash::new(stored).map_err(|_| HashError::Malformed)?;
    let params = Params::try_from(&hash).map_err(|_| HashError::Malformed)?;
    check(HashParams {
        memory_kib: params.m_cost(),
        iterations: params.t_cost(),
        parallelism: params.p_cost(),
    })?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(HashError::Malformed);
    };
    let version = hash
        .version
        .map_or(Ok(Version::V0x13), Version::try_from)
        .map_err(|_| HashError::Malformed)?;
    let computed = compute(version, params, password, salt, expected.len())?;
    // Compared in constant time, as `Output` does.
    Ok(computed == *expected)
}

fn compute(
    version: Version,
    params: Params,
    password: &[u8],
    salt: &[u8],
    octets: usize,
) -> Result<Output, HashError> {
    let mut blocks = SPARE.take(params.block_count());
    let mut out = vec![0; octets];
    let result = Argon2::new(Algorithm::Argon2id, version, params).hash_password_into_with_memory(
        password,
        salt,
        &mut out,
        &mut blocks[..],
    );
    SPARE.give_back(blocks);
    result.map_err(|_| HashError::Malformed)?;
    Output::new(&out).map_err(|_| HashError::Malformed)
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

const fn check(params: HashParams) -> Result<(), HashError> {
    let within = params.memory_kib <= MAX_MEMORY_KIB
        && params.iterations <= MAX_ITERATIONS
        && params.parallelism <= MAX_PARALLELISM;
    if within { Ok(()) } else { Err(HashError::Excessive) }
}
