//! What sessions stand on: authenticator, limits, locks, stores; and what keeps it in step with the directory.

use std::sync::Arc;
use std::time::Duration;

use restante_auth::{
    AuditLog, AuthLimits, AuthPorts, Authenticator, Directory, GateLimits, Keyring, Limiter, Roster,
    TenantTable,
};
use restante_config::Config;
use restante_net::CertificateStore;
use restante_oauth::{OauthLimits, OauthOptions, OauthVerifier};
use restante_server::{LastSeen, Oversight, Ports};
use restante_store::ListingCache;
use restante_telemetry::{Gauge, Telemetry};
use restante_types::{Clock as _, SystemClock};

use super::tls::{self, Source};
use crate::backends::{Backends, limiter};
use crate::certificates;
use crate::output::Failure;
use crate::password;

pub(super) async fn ports(
    config: &Config,
    backends: &Backends,
    telemetry: &Telemetry,
) -> Result<Ports, Failure> {
    let auth = &config.auth;
    let mut gate = GateLimits::default();
    if auth.verify_permits > 0 {
        gate.permits = auth.verify_permits as usize;
    }
    gate.queue = auth.verify_queue as usize;
    gate.wait = Duration::from_secs(auth.verify_wait_secs);
    let limits = AuthLimits {
        gate,
        ..AuthLimits::default()
    };
    let directory: Arc<dyn Directory> = backends.directory.clone();
    let rule = password::rule(auth).map_err(Failure::setup)?;
    let limiter: Arc<dyn Limiter> = limiter(config, telemetry)?;
    let auth = AuthPorts {
        audit: AuditLog::start(Arc::clone(&directory), telemetry.clone()),
        limiter: limiter.clone(),
        tokens: Some(Arc::new(tokens(config, rule.keyring.clone())?)),
        rule,
        clock: Arc::new(SystemClock),
        telemetry: telemetry.clone(),
        directory,
    };
    let authenticator = Authenticator::open(auth, limits).await.map_err(Failure::setup)?;
    let locks = backends.locks.clone();
    let locks = locks.ok_or_else(|| Failure::setup_text("the database was not opened to serve"))?;
    let (index, blobs) = (Arc::clone(&backends.index), Arc::clone(&backends.blobs));
    let tenants = Arc::new(TenantTable::new());
    let mut ports = Ports::new(
        Arc::new(authenticator),
        locks,
        index,
        blobs,
        limiter,
        tenants,
        telemetry.clone(),
    );
    ports.listings = Arc::new(ListingCache::new(
        u64::from(config.limits.listing_cache_mib) << 20,
    ));
    Ok(ports)
}

/// What checks access tokens.
fn tokens(config: &Config, keyring: Option<Arc<Keyring>>) -> Result<OauthVerifier, Failure> {
    let extra_roots = match &config.auth.token_authority_file {
        Some(file) => vec![std::fs::read(file).map_err(Failure::setup)?],
        None => Vec::new(),
    };
    let options = OauthOptions {
        open_secret: Arc::new(move |provider| certificates::client_secret(keyring.as_deref(), provider)),
        extra_roots,
        clock: Arc::new(SystemClock),
        limits: OauthLimits::default(),
    };
    OauthVerifier::new(options).map_err(Failure::setup)
}

/// What keeps the server in step with its directory.
pub(super) fn oversight(
    config: &Config,
    backends: &Backends,
    ports: &Ports,
    certificates: Option<Arc<CertificateStore>>,
) -> Result<Oversight, Failure> {
    let keyring = password::rule(&config.auth).map_err(Failure::setup)?.keyring;
    let telemetry = ports.telemetry.clone();
    let on_roster = move |roster: &Roster| {
        if let Some(store) = &certificates {
            let held = certificates::held(roster, keyring.as_deref());
            tls::note(
                &store.hold(&held, SystemClock.wall()),
                Source::Tenants,
                &telemetry,
            );
        }
    };
    let seen = LastSeen::default();
    let watched = seen.clone();
    ports.telemetry.before_scrape(move |metrics| {
        let age = watched.age().unwrap_or_default();
        metrics.set(Gauge::DirectoryAge, &[], age.as_secs_f64());
    });
    Ok(Oversight {
        directory: backends.directory.clone(),
        tenants: Arc::clone(&ports.tenants),
        sessions: ports.sessions.clone(),
        locks: Arc::clone(&ports.locks),
        usage: Arc::clone(&ports.usage),
        authenticator: Arc::clone(&ports.authenticator),
        clock: Arc::new(SystemClock),
        on_roster: Box::new(on_roster),
        seen,
    })
}
