//! The PROXY protocol, versions 1 and 2: the client's address as a trusted balancer tells it.
//!
//! Reads exactly the header and not one octet of what follows. Start at [`read_proxy_header`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use proxy_header::{ParseConfig, Protocol, ProxiedAddress, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

const V1_START: &[u8] = b"PROXY ";
/// `PROXY UNKNOWN` and the line end: no header of version 1 is shorter, and the fixed part of version 2 is longer.
const V1_SHORTEST: usize = 15;
const V1_LONGEST: usize = 107;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length.
const V2_FIXED: usize = 16;
/// Longest version 2 header that is read. The format allows 64 KiB; balancers send a few hundred octets.
const V2_LONGEST: usize = 4096;

/// From whom a PROXY header is taken.
#[derive(Clone, Debug)]
pub struct ProxyPolicy {
    /// Networks of the balancers. Empty: no header is expected from anybody. Otherwise the header is mandatory, and
    /// a connection from elsewhere is closed.
    pub trusted: Vec<IpNet>,
    /// Time for the whole header.
    pub timeout: Duration,
}

impl Default for ProxyPolicy {
    /// No balancer; 5 seconds.
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// What a PROXY header said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyInfo {
    /// The listener has no balancer before it.
    Direct,
    /// The balancer speaks for itself (version 1 `UNKNOWN`, version 2 `LOCAL`): a health check.
    HealthCheck,
    /// The balancer passes a client on.
    Client {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
        /// The client's connection to the balancer is TLS. Believed because the balancer is trusted.
        tls_by_proxy: bool,
        /// The name that the client asked for in TLS, lower case and without a trailing dot.
        sni: Option<String>,
    },
}

impl ProxyInfo {
    /// Whether the client's own connection is TLS that ends at the balancer.
    pub fn tls_by_proxy(&self) -> bool {
        matches!(
            self,
            Self::Client {
                tls_by_proxy: true,
                ..
            }
        )
    }
}

/// Why a connection is closed before its first octet was answered. Closed: metrics label by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyError {
    /// The peer is not in a trusted network.
    #[error("connection from outside the trusted networks")]
    Untrusted,
    /// What came is not a PROXY header.
    #[error("no PROXY header")]
    Missing,
    /// The header breaks the format, or its addresses are not of TCP over IP.
    #[error("malformed PROXY header")]
    Malformed,
    /// The header is longer than is read.
    #[error("PROXY header too long")]
    TooLong,
    /// The header was not complete in time.
    #[error("PROXY header took too long")]
    TimedOut,
    /// The peer closed before the header was complete.
    #[error("closed before the PROXY header was complete")]
    Closed,
}

impl ProxyError {
    /// The value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Untrusted => "proxy_untrusted",
            Self::Missing => "proxy_missing",
            Self::Malformed => "proxy_malformed",
            Self::TooLong => "proxy_too_long",
            Self::TimedOut => "proxy_timed_out",
            Self::Closed => "proxy_closed",
        }
    }
}

/// Takes the PROXY header off `stream` as `policy` wants it. What follows stays unread in the stream.
///
/// # Errors
/// [`ProxyError`]; the connection must then be closed without an answer.
///
/// # Cancel safety
/// Not cancel safe: part of the header may have been read.
pub async fn read_proxy_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    peer: IpAddr,
    policy: &ProxyPolicy,
) -> Result<ProxyInfo, ProxyError> {
    if policy.trusted.is_empty() {
        return Ok(ProxyInfo::Direct);
    }
    let peer = peer.to_canonical();
    if !policy.trusted.iter().any(|net| net.contains(&peer)) {
        return Err(ProxyError::Untrusted);
    }
    let header = timeout(policy.timeout, read_header(stream))
        .await
        .map_err(|_| ProxyError::TimedOut)??;
    understand(&header)
}

async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, ProxyError> {
    let mut header = Vec::with_capacity(V1_LONGEST);
    loop {
        let wanted = octets_wanted(&header)?;
        if wanted == 0 {
            return Ok(header);
        }
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        match (&mut *stream).take(limit).read_buf(&mut header).await {
            Ok(0) | Err(_) => return Err(ProxyError::Closed),
            Ok(_) => {}
        }
    }
}

/// How many octets may be read without passing the end of the header that begins with `header`. 0: it is complete.
fn octets_wanted(header: &[u8]) -> Result<usize, ProxyError> {
    if begins_like(header, V2_START) {
        octets_wanted_v2(header)
    } else if begins_like(header, V1_START) {
        octets_wanted_v1(header)
    } else {
        Err(ProxyError::Missing)
    }
}

fn begins_like(header: &[u8], start: &[u8]) -> bool {
    let n = header.len().min(start.len());
    header.get(..n) == start.get(..n)
}

fn octets_wanted_v1(header: &[u8]) -> Result<usize, ProxyError> {
    match header {
        [.., b'\r', b'\n'] => Ok(0),
        [.., b'\n'] => Err(ProxyError::Malformed),
        _ if header.len() < V1_SHORTEST => Ok(V1_SHORTEST - header.len()),
        _ if header.len() >= V1_LONGEST => Err(ProxyError::TooLong),
        _ => Ok(1),
    }
}

fn octets_wanted_v2(header: &[u8]) -> Result<usize, ProxyError> {
    // Before the first octet both versions are possible; the shorter one decides how much may be read.
    if header.is_empty() {
        return Ok(V1_SHORTEST);
    }
    let Some(&[high, low]) = header.get(14..V2_FIXED) else {
        return Ok(V2_FIXED - header.len());
    };
    let whole = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if whole > V2_LONGEST {
        Err(ProxyError::TooLong)
    } else {
        Ok(whole - header.len())
    }
}

/// Reads the meaning of a complete header.
fn understand(header: &[u8]) -> Result<ProxyInfo, ProxyError> {
    if is_v2_local(header) {
        // "The receiver must accept this connection as valid and must use the real connection endpoints and discard
        // the protocol block" (section 2.2): also the addresses, whatever family they claim.
        return Ok(ProxyInfo::HealthCheck);
    }
    let is_v1 = header.starts_with(V1_START);
    let (parsed, length) =
        ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| ProxyError::Malformed)?;
    if length != header.len() {
        return Err(ProxyError::Malformed);
    }
    match parsed.proxied_address() {
        Some(ProxiedAddress {
            protocol: Protocol::Stream,
            source,
            destination,
        }) => Ok(ProxyInfo::Client {
            source: *source,
            destination: *destination,
            tls_by_proxy: parsed.ssl().is_some_and(|tls| tls.client_ssl()),
            sni: parsed.authority().map(crate::tls::normalise_name),
        }),
        None if is_v1 => Ok(ProxyInfo::HealthCheck),
        // Datagrams, unix sockets and "unspecified" under the PROXY command: no client that could be limited or logged.
        _ => Err(ProxyError::Malformed),
    }
}

fn is_v2_local(header: &[u8]) -> bool {
    header.starts_with(V2_START) && header.get(V2_START.len()) == Some(&0x20)
}

#[cfg(test)]
mod tests;
