//! Channel binding: what ties an exchange to the TLS connection that carries it (RFC 5056, RFC 9266).

use std::fmt;

/// What the TLS connection offers to bind an exchange to.
///
/// Offer it exactly where SCRAM-SHA-256-PLUS is announced: a client that can bind and is told of no `-PLUS` says so,
/// and where this is available its word proves that somebody shortened the list (RFC 5802 section 6). A connection on
/// which `-PLUS` is switched off gets [`ChannelBinding::none`].
///
/// A connection may be bound to by one exchange only (RFC 9266 section 4.1). The caller counts: this stays available
/// to the exchanges that follow, or a shortened list would go unnoticed the second time.
#[derive(Clone, Default)]
pub struct ChannelBinding {
    exporter: Option<[u8; 32]>,
}

impl ChannelBinding {
    /// Nothing to bind to: no TLS, TLS without unique secrets, or binding is switched off.
    pub const fn none() -> Self {
        Self { exporter: None }
    }

    /// `tls-exporter`: 32 octets of keying material under the label `EXPORTER-Channel-Binding` with an empty context
    /// (RFC 9266 section 2). Defined for TLS 1.3, and for TLS 1.2 with the extended master secret only.
    pub const fn exporter(octets: [u8; 32]) -> Self {
        Self {
            exporter: Some(octets),
        }
    }

    /// Whether there is something to bind to.
    pub const fn is_available(&self) -> bool {
        self.exporter.is_some()
    }

    pub(crate) const fn octets(&self) -> Option<&[u8; 32]> {
        self.exporter.as_ref()
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_available() {
            "tls-exporter"
        } else {
            "none"
        })
    }
}
