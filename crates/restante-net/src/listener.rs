//! Listening sockets: binding with an error that says what to do, and the options every connection gets.
//!
//! Does not decide who is admitted; that is [`crate::serve`]. Start at [`bind`].

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::stream::Stream;

/// Connections that the kernel keeps for us while we are busy; the system may cap it (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;
/// Quiet time before the kernel asks whether the client is still there, the gap between questions, and how many.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);
/// How long sent octets may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address. Port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket, for processes of this host.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What [`bind`] needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Where to listen.
    pub address: ListenAddress,
    /// Whether `[::]` leaves IPv4 to another listener. Always said to the kernel, whose default varies by host.
    pub v6_only: bool,
    /// Permission bits of a unix socket, such as `0o660`.
    pub unix_mode: u32,
}

impl ListenerSpec {
    /// A TCP listener; `[::]` takes IPv4 too.
    pub fn tcp(address: SocketAddr) -> Self {
        Self {
            address: ListenAddress::Tcp(address),
            v6_only: false,
            unix_mode: 0o660,
        }
    }

    /// A unix socket for the owner and the group of this process.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            address: ListenAddress::Unix(path.into()),
            v6_only: false,
            unix_mode: 0o660,
        }
    }
}

/// Listening failed. The text names the address and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", self.remedy())]
pub struct BindError {
    /// Where.
    pub address: ListenAddress,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl BindError {
    fn remedy(&self) -> String {
        match (self.source.kind(), &self.address) {
            (io::ErrorKind::AddrInUse, ListenAddress::Tcp(address)) => format!(
                "another process listens there; stop it or choose another port (`ss -ltnp 'sport = :{}'` names it)",
                address.port()
            ),
            (io::ErrorKind::AddrInUse, ListenAddress::Unix(_)) => {
                "another process listens there; stop it or choose another path".to_owned()
            }
            (io::ErrorKind::AlreadyExists, _) => {
                "there is a file that is not a socket; remove it or choose another path".to_owned()
            }
            (io::ErrorKind::PermissionDenied, ListenAddress::Tcp(address)) if address.port() < 1024 => {
                "not permitted; ports below 1024 need the capability CAP_NET_BIND_SERVICE \
                 (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a higher port"
                    .to_owned()
            }
            (io::ErrorKind::PermissionDenied, _) => {
                "not permitted; give the server's user write access to the directory".to_owned()
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                "this host does not have that address; use one that `ip address` shows".to_owned()
            }
            (io::ErrorKind::NotFound, ListenAddress::Unix(_)) => "create the directory first".to_owned(),
            _ => self.source.to_string(),
        }
    }
}

/// A socket that listens. Dropping it closes it, and removes the path of a unix socket.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: ListenAddress,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    /// The path goes before the socket closes: who finds it then finds a listener.
    Unix {
        /// None where somebody else opened it.
        _path: Option<OwnedPath>,
        listener: UnixListener,
    },
}

/// A connection as the system handed it over.
pub(crate) struct Incoming {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Opens the listener that `spec` describes. Must run inside a tokio runtime.
///
/// A unix socket left behind by a process that died is replaced; one on which somebody listens, or a file that is
/// not a socket, is not touched.
///
/// # Errors
/// [`BindError`] when the address is taken, not permitted or not of this host.
pub fn bind(spec: &ListenerSpec) -> Result<Listener, BindError> {
    let listener = match &spec.address {
        ListenAddress::Tcp(address) => bind_tcp(*address, spec.v6_only),
        ListenAddress::Unix(path) => bind_unix(path, spec.unix_mode),
    };
    listener.map_err(|source| BindError {
        address: spec.address.clone(),
        source,
    })
}

impl Listener {
    /// Takes a listening TCP socket that was opened elsewhere, such as by socket activation.
    ///
    /// # Errors
    /// When the socket cannot be used by the runtime.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = ListenAddress::Tcp(listener.local_addr()?);
        Ok(Self {
            kind: Kind::Tcp(listener),
            address,
        })
    }

    /// The same for a unix socket. Its path stays when it is dropped: it belongs to whoever opened it.
    ///
    /// # Errors
    /// When the socket cannot be used by the runtime, or has no path.
    pub fn from_std_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        let path = path.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            kind: Kind::Unix {
                _path: None,
                listener,
            },
            address: ListenAddress::Unix(path),
        })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The TCP address; `None` for a unix socket.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self.address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        }
    }

    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub(crate) async fn accept(&self) -> io::Result<Incoming> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                tune(&stream)?;
                let local = stream.local_addr()?;
                Ok(Incoming {
                    stream: Stream::Tcp(stream),
                    peer,
                    local,
                })
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                Ok(Incoming {
                    stream: Stream::Unix(stream),
                    peer: here,
                    local: here,
                })
            }
        }
    }
}

fn bind_tcp(address: SocketAddr, v6_only: bool) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    // A restart must not wait for the connections of the last run to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Listener::from_std(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let path = OwnedPath(path.to_owned());
    // Before `listen`: nobody can connect with looser permissions in between.
    std::fs::set_permissions(&path.0, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket.into())?;
    let address = ListenAddress::Unix(path.0.clone());
    Ok(Listener {
        kind: Kind::Unix {
            _path: Some(path),
            listener,
        },
        address,
    })
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Answers leave at once, and a client that has vanished is noticed within a minute or so.
fn tune(stream: &TcpStream) -> io::Result<()> {
    let (idle, gap, n_probes) = KEEPALIVE;
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(idle)
            .with_interval(gap)
            .with_retries(n_probes),
    )?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// The path of a unix socket that this process made.
#[derive(Debug)]
struct OwnedPath(PathBuf);

impl Drop for OwnedPath {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "unix socket was already gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> ListenerSpec {
        ListenerSpec::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    #[tokio::test]
    async fn taken_port_is_named_with_a_remedy() {
        let first = bind(&loopback()).unwrap();
        let address = first.tcp_address().unwrap();
        let text = bind(&ListenerSpec::tcp(address)).unwrap_err().to_string();
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains("choose another port"), "{text}");
    }

    #[tokio::test]
    async fn foreign_address_is_named_with_a_remedy() {
        let spec = ListenerSpec::tcp("192.0.2.1:0".parse().unwrap());
        let text = bind(&spec).unwrap_err().to_string();
        assert!(
            text.contains("192.0.2.1:0: this host does not have that address"),
            "{text}"
        );
    }

    #[test]
    fn forbidden_port_is_named_with_a_remedy() {
        let error = BindError {
            address: ListenAddress::Tcp("127.0.0.1:995".parse().unwrap()),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"));
    }

    #[tokio::test]
    async fn accepted_connection_has_nodelay_keepalive_and_user_timeout() {
        let listener = bind(&loopback()).unwrap();
        let _client = TcpStream::connect(listener.tcp_address().unwrap()).await.unwrap();
        let Stream::Tcp(stream) = listener.accept().await.unwrap().stream else {
            panic!("not tcp")
        };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }

    #[tokio::test]
    async fn unix_socket_has_its_mode_and_goes_with_the_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lmtp.sock");
        let listener = bind(&ListenerSpec::unix(&path)).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        let _client = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert!(matches!(listener.accept().await.unwrap().stream, Stream::Unix(_)));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lmtp.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead listener leaves its path");
        let listener = bind(&ListenerSpec::unix(&path)).unwrap();
        let text = bind(&ListenerSpec::unix(&path)).unwrap_err().to_string();
        assert!(text.contains("another process listens there"), "{text}");
        assert!(path.exists());
        drop(listener);
    }

    #[tokio::test]
    async fn file_that_is_not_a_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "mail").unwrap();
        let text = bind(&ListenerSpec::unix(&path)).unwrap_err().to_string();
        assert!(text.contains("not a socket"), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mail");
    }
}
