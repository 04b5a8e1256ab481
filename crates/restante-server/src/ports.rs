//! What a session needs from the floors below.

use std::sync::Arc;

use restante_auth::{Authenticator, TenantTable, UsageLimiter};
use restante_lock::LockManager;
use restante_session::Receipts;
use restante_store::{BlobStores, ListingCache, MailIndex};
use restante_telemetry::Telemetry;
use restante_types::{Clock, SystemClock};

use crate::SessionRegistry;
use crate::suspects::Suspects;

/// How much of memory listings take that were read lately, unless somebody says otherwise: those of a thousand
/// maildrops with 500 messages each.
const LISTING_OCTETS: u64 = 64 << 20;

/// The contracts behind which the technologies stand. Shared by all sessions.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Verifies logins.
    pub authenticator: Arc<Authenticator>,
    /// Grants maildrops.
    pub locks: Arc<dyn LockManager>,
    /// Knows the messages.
    pub index: Arc<dyn MailIndex>,
    /// Listings that were read lately.
    pub listings: Arc<ListingCache>,
    /// Keep their octets.
    pub blobs: Arc<BlobStores>,
    /// Counts what accounts and tenants use.
    pub usage: Arc<dyn UsageLimiter>,
    /// What is known of tenants before a login.
    pub tenants: Arc<TenantTable>,
    /// The sessions that have a maildrop open.
    pub sessions: SessionRegistry,
    /// Civil time, for the window of a listing.
    pub clock: Arc<dyn Clock>,
    /// Where sessions are counted.
    pub telemetry: Telemetry,
    /// The bodies that were found damaged, whichever listener sent them.
    pub(crate) suspects: Arc<Suspects>,
}

impl Ports {
    /// Puts the contracts together, over the system's clock and without sessions. 64 MiB of listings are kept.
    pub fn new(
        authenticator: Arc<Authenticator>,
        locks: Arc<dyn LockManager>,
        index: Arc<dyn MailIndex>,
        blobs: Arc<BlobStores>,
        usage: Arc<dyn UsageLimiter>,
        tenants: Arc<TenantTable>,
        telemetry: Telemetry,
    ) -> Self {
        Self {
            authenticator,
            locks,
            index,
            listings: Arc::new(ListingCache::new(LISTING_OCTETS)),
            blobs,
            usage,
            tenants,
            sessions: SessionRegistry::new(),
            clock: Arc::new(SystemClock),
            telemetry,
            suspects: Arc::default(),
        }
    }
}

/// The proofs that a session is handed: each made by one floor below, none by this one.
#[derive(Debug)]
pub(crate) enum Proofs {}

impl Receipts for Proofs {
    type Authenticated = Box<restante_auth::Authenticated>;
    type Verified = restante_store::Verified;
    type Committed = restante_store::Committed;
}
