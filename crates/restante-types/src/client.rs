//! Where a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of the client itself, after a trusted PROXY header has been applied.
///
/// An IPv4 address that arrived mapped into IPv6 is kept as IPv4, so that limits and logs see one client once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr(SocketAddr);

impl ClientAddr {
    /// Takes the address that the operating system or the PROXY header named.
    pub fn new(addr: SocketAddr) -> Self {
        Self(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }

    /// The address without the port.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The network that stands for one customer in limits: the /24 of an IPv4 address, the /64 of an IPv6 one.
    pub fn prefix(self) -> IpAddr {
        match self.0.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_ipv4_is_the_same_client_as_plain_ipv4() {
        let plain = ClientAddr::new("192.0.2.7:110".parse().unwrap());
        let mapped = ClientAddr::new("[::ffff:192.0.2.7]:110".parse().unwrap());
        assert_eq!(plain, mapped);
    }

    #[test]
    fn prefix_is_a_24_or_a_64() {
        let v4 = ClientAddr::new("192.0.2.7:1".parse().unwrap());
        let v6 = ClientAddr::new("[2001:db8:1:2:3:4:5:6]:1".parse().unwrap());
        assert_eq!(v4.prefix().to_string(), "192.0.2.0");
        assert_eq!(v6.prefix().to_string(), "2001:db8:1:2::");
    }
}
