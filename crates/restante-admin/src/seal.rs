//! How private keys and client secrets are sealed: for which purpose, and bound to whom. The same wherever they are
//! sealed or opened.
//!
//! Knows no certificate and no issuer. Start at [`seal_private_key`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_auth::{Keyring, KeyringError};
use restante_types::{Secret, TenantId};

const PRIVATE_KEY: &str = "certificate";
const CLIENT_SECRET: &str = "oauth";

/// Seals a tenant's private key. Under another tenant it cannot be opened.
///
/// # Errors
/// [`KeyringError::Failed`].
pub fn seal_private_key(keyring: &Keyring, tenant: TenantId, key: &[u8]) -> Result<Vec<u8>, KeyringError> {
    keyring.seal(PRIVATE_KEY, &tenant.get().to_be_bytes(), key)
}

/// Opens what [`seal_private_key`] made for the same tenant.
///
/// # Errors
/// As [`Keyring::open`].
pub fn open_private_key(
    keyring: &Keyring,
    tenant: TenantId,
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, KeyringError> {
    keyring.open(PRIVATE_KEY, &tenant.get().to_be_bytes(), sealed)
}

/// Seals the secret by which the server asks an issuer of access tokens, in base64.
///
/// # Errors
/// [`KeyringError::Failed`].
pub fn seal_client_secret(keyring: &Keyring, issuer: &str, secret: &[u8]) -> Result<String, KeyringError> {
    let sealed = keyring.seal(CLIENT_SECRET, issuer.as_bytes(), secret)?;
    Ok(STANDARD.encode(sealed))
}

/// Opens what [`seal_client_secret`] made for the same issuer.
///
/// # Errors
/// As [`Keyring::open`]; [`KeyringError::Broken`] also for what is not base64.
pub fn open_client_secret(
    keyring: &Keyring,
    issuer: &str,
    sealed: &str,
) -> Result<Secret<Vec<u8>>, KeyringError> {
    let sealed = STANDARD.decode(sealed).map_err(|_| KeyringError::Broken)?;
    keyring.open(CLIENT_SECRET, issuer.as_bytes(), &sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone() {
        let keyring = Keyring::parse(&format!("1:{}", "ab".repeat(32))).unwrap();
        let (one, other) = (TenantId::new(1).unwrap(), TenantId::new(2).unwrap());
        let sealed = seal_private_key(&keyring, one, b"key").unwrap();
        assert_eq!(open_private_key(&keyring, one, &sealed).unwrap().expose(), b"key");
        assert!(open_private_key(&keyring, other, &sealed).is_err());
        let sealed = seal_client_secret(&keyring, "https://id.example", b"secret").unwrap();
        let opened = open_client_secret(&keyring, "https://id.example", &sealed).unwrap();
        assert_eq!(opened.expose(), b"secret");
        assert!(open_client_secret(&keyring, "https://id.other", &sealed).is_err());
    }
}
