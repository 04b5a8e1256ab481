//! How much a caller of the admin interface may take. Start at [`AdminLimits`].

use std::time::Duration;

/// The limits of the admin interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminLimits {
    /// Octets of a request's body.
    pub body_octets: usize,
    /// Octets of a request's line and header.
    pub header_octets: usize,
    /// Time for a request's line and header, and for a connection to stay without one.
    pub header_timeout: Duration,
    /// Time for a request, from its header to its answer.
    pub request_timeout: Duration,
    /// Connections.
    pub connections: u32,
    /// Connections of one address.
    pub connections_per_address: u32,
    /// How long a wrong token waits for its answer.
    pub refusal_delay: Duration,
    /// How many wrong tokens wait beside each other; the others wait until it is their turn.
    pub refusals_at_once: usize,
    /// Passwords that are hashed beside each other.
    pub hashes_at_once: usize,
}

impl Default for AdminLimits {
    fn default() -> Self {
        Self {
            body_octets: 256 * 1024,
            header_octets: 32 * 1024,
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            connections: 256,
            connections_per_address: 128,
            refusal_delay: Duration::from_secs(1),
            refusals_at_once: 16,
            hashes_at_once: 2,
        }
    }
}
