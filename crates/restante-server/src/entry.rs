//! How a connection of a listener begins.

use std::sync::Arc;

use restante_net::TlsStack;
use restante_session::Channel;

/// Whether and when TLS begins.
#[derive(Clone, Debug)]
pub enum Entry {
    /// At once (POP3S, RFC 8314 section 3.2).
    Tls(Arc<TlsStack>),
    /// In the clear.
    Clear {
        /// What STLS upgrades to; `None` refuses it.
        stls: Option<Arc<TlsStack>>,
        /// Whether the configuration declares the network trusted, so that credentials may cross it without TLS.
        trusted: bool,
    },
}

impl Entry {
    /// What a connection may carry that enters in the clear.
    pub(crate) const fn clear_channel(trusted: bool, tls_by_proxy: bool) -> Channel {
        if tls_by_proxy {
            Channel::Tls
        } else if trusted {
            Channel::Trusted
        } else {
            Channel::Clear
        }
    }
}
