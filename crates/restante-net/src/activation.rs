//! Sockets that the service manager opened for us (`sd_listen_fds`): ports below 1024 without a privilege, and
//! connections that wait while the server is restarted.
//!
//! A socket serves the listener that is configured with its own address. Start at [`PassedSockets::take`].

use std::io;

use listenfd::ListenFd;

use crate::listener::{BindError, ListenAddress, Listener, ListenerSpec, bind};

/// The sockets that were passed to this process, until each has found its listener.
#[derive(Debug, Default)]
pub struct PassedSockets(Vec<Listener>);

impl PassedSockets {
    /// Takes what the environment names (`LISTEN_FDS`, `LISTEN_PID`); nothing where it names nothing. Must run inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// A descriptor that is no listening stream socket.
    pub fn take() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut listeners = Vec::new();
        for nth in 0..passed.len() {
            let listener = match passed.take_tcp_listener(nth) {
                Ok(Some(tcp)) => Listener::from_std(tcp)?,
                Ok(None) => continue,
                Err(_) => match passed.take_unix_listener(nth)? {
                    Some(unix) => Listener::from_std_unix(unix)?,
                    None => continue,
                },
            };
            listeners.push(listener);
        }
        Ok(Self(listeners))
    }

    /// The socket of that address, if it was passed, else one of our own.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn bind(&mut self, spec: &ListenerSpec) -> Result<Listener, BindError> {
        match self.0.iter().position(|passed| *passed.address() == spec.address) {
            Some(nth) => Ok(self.0.swap_remove(nth)),
            None => bind(spec),
        }
    }

    /// Where sockets listen that no listener is configured for.
    pub fn left_over(&self) -> impl Iterator<Item = &ListenAddress> {
        self.0.iter().map(Listener::address)
    }
}
