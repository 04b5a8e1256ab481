//! Certificates of tenants on their way from the directory to the handshake, and the seals of what is secret there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_auth::{Keyring, KeyringError, OauthProvider, Roster, StoredCertificate, TokenCheck};
use restante_net::HeldPair;
use restante_types::{Secret, TenantId};
use tracing::error;

const PRIVATE_KEY: &str = "certificate";
const CLIENT_SECRET: &str = "oauth";

/// Seals a tenant's private key. Under another tenant it cannot be opened.
pub(crate) fn seal(keyring: &Keyring, tenant: TenantId, key: &[u8]) -> Result<Vec<u8>, KeyringError> {
    keyring.seal(PRIVATE_KEY, &tenant.get().to_be_bytes(), key)
}

/// Seals the secret by which the server asks an issuer.
pub(crate) fn seal_client_secret(
    keyring: &Keyring,
    issuer: &str,
    secret: &[u8],
) -> Result<String, KeyringError> {
    let sealed = keyring.seal(CLIENT_SECRET, issuer.as_bytes(), secret)?;
    Ok(STANDARD.encode(sealed))
}

/// The secret by which the server asks an issuer; `None`, after a line in the log, if it cannot be opened.
pub(crate) fn client_secret(keyring: Option<&Keyring>, provider: &OauthProvider) -> Option<Secret<String>> {
    let TokenCheck::Introspection {
        sealed_client_secret, ..
    } = &provider.check
    else {
        return None;
    };
    let sealed = STANDARD.decode(sealed_client_secret).ok()?;
    let opened = keyring?.open(CLIENT_SECRET, provider.issuer.as_bytes(), &sealed);
    match opened {
        Ok(secret) => String::from_utf8(secret.expose().clone()).ok().map(Secret::new),
        Err(error) => {
            error!(%error, issuer = provider.issuer, "a client secret cannot be opened; set it anew");
            None
        }
    }
}

/// What the handshake needs of the tenants' certificates. One whose seal cannot be opened is left out, after a line in
/// the log.
pub(crate) fn held(roster: &Roster, keyring: Option<&Keyring>) -> Vec<HeldPair> {
    roster
        .certificates
        .iter()
        .filter_map(|certificate| held_pair(certificate, keyring))
        .collect()
}

fn held_pair(certificate: &StoredCertificate, keyring: Option<&Keyring>) -> Option<HeldPair> {
    let (id, tenant) = (certificate.id.0, certificate.tenant);
    let Some(keyring) = keyring else {
        error!(id, %tenant, "a tenant's certificate cannot be used without auth.keys_file");
        return None;
    };
    match keyring.open(PRIVATE_KEY, &tenant.get().to_be_bytes(), &certificate.sealed_key) {
        Ok(key) => Some(HeldPair {
            label: format!("certificate {id} of tenant {tenant}"),
            names: certificate.server_names.clone(),
            chain: certificate.chain.clone().into_bytes(),
            key,
        }),
        Err(error) => {
            error!(id, %tenant, %error, "a tenant's certificate cannot be used");
            None
        }
    }
}
