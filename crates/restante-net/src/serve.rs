//! The accept loop of one listener: budget, PROXY header, then a task of its own for every connection.
//!
//! Speaks to nobody, except that it sends the caller's refusal text to a connection there is no room for. Start at
//! [`serve`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use restante_types::ClientAddr;
use tokio::time::{sleep, timeout};

use crate::budget::{ConnectionBudget, Permit, Refusal};
use crate::descriptors::Reserve;
use crate::drain::{Drain, DrainSignal};
use crate::listener::{Incoming, Listener};
use crate::proxy::{ProxyError, ProxyInfo, ProxyPolicy, read_proxy_header};
use crate::stream::Stream;

/// The pause after an accept that failed for a reason that will not go away by itself.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What happened to a connection before, or instead of, its session. For counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptEvent {
    /// A connection was handed to the handler.
    Accepted,
    /// There was no room for a connection; it was told so and closed.
    Refused(Refusal),
    /// A connection was closed because of its PROXY header.
    ProxyRejected(ProxyError),
    /// The process has no file descriptor left; a connection was told so and closed.
    DescriptorsExhausted,
    /// The system could not hand over a connection for another reason.
    AcceptFailed,
    /// A handler panicked. Its connection is closed, its permit freed; no other connection notices.
    HandlerPanicked,
}

impl AcceptEvent {
    /// The value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(Refusal::Total) => "full_total",
            Self::Refused(Refusal::PerClient) => "full_per_client",
            Self::Refused(Refusal::Unauthenticated) => "full_unauthenticated",
            Self::ProxyRejected(error) => error.label(),
            Self::DescriptorsExhausted => "descriptors",
            Self::AcceptFailed => "accept_failed",
            Self::HandlerPanicked => "panicked",
        }
    }
}

/// How connections of a listener are taken.
#[derive(Clone)]
pub struct AcceptRules {
    /// Whose PROXY header is taken.
    pub proxy: ProxyPolicy,
    /// The places there are. Shared by all listeners.
    pub budget: ConnectionBudget,
    /// What a connection without a place is told, in the listener's protocol. Leave it empty where TLS comes first.
    pub refusal: Arc<[u8]>,
    /// Is told every [`AcceptEvent`]; must not block.
    pub on_event: Arc<dyn Fn(AcceptEvent) + Send + Sync>,
}

impl fmt::Debug for AcceptRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptRules")
            .field("proxy", &self.proxy)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl AcceptRules {
    fn tell(&self, event: AcceptEvent) {
        (self.on_event)(event);
    }
}

/// A connection that has its place, and whose client is known.
#[derive(Debug)]
pub struct Accepted {
    /// The stream, up to nothing read but the PROXY header.
    pub stream: Stream,
    /// The client itself: from the PROXY header, else from the socket. A process behind a unix socket counts as the
    /// loopback address with port 0.
    pub client: ClientAddr,
    /// Our end of the socket; loopback with port 0 for a unix socket.
    pub local: SocketAddr,
    /// What the balancer said.
    pub proxy: ProxyInfo,
    /// The place. Drop it when the connection ends; call [`Permit::authenticated`] once the client has logged in.
    pub permit: Permit,
    /// Says when to finish.
    pub drain: DrainSignal,
}

/// Takes connections from `listener` until `drain` starts, then closes the listener and returns.
///
/// Every connection runs `handler` in a task of its own, which [`Drain::finished`] waits for. A handler that panics
/// ends its own connection only.
pub async fn serve<H, F>(listener: Listener, rules: AcceptRules, drain: Drain, handler: H)
where
    H: Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let signal = drain.signal();
    let mut reserve = Reserve::new();
    let mut is_starved = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = signal.draining() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(incoming) => {
                is_starved = false;
                admit(incoming, &rules, &drain, &handler);
            }
            Err(error) if is_exhausted(&error) => {
                // Once per shortage: a log line per turned-away connection would be a flood of its own.
                if !std::mem::replace(&mut is_starved, true) {
                    tracing::warn!(listener = %listener.address(), %error, "no file descriptor left, turning connections away");
                }
                rules.tell(AcceptEvent::DescriptorsExhausted);
                turn_one_away(&listener, &rules.refusal, &mut reserve).await;
            }
            Err(error) if is_of_one_connection(&error) => {
                rules.tell(AcceptEvent::AcceptFailed);
                tracing::debug!(listener = %listener.address(), %error, "connection was gone before it was accepted");
            }
            Err(error) => {
                rules.tell(AcceptEvent::AcceptFailed);
                tracing::warn!(listener = %listener.address(), %error, "cannot accept");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Gives the connection a place and a task, or turns it away.
fn admit<H, F>(incoming: Incoming, rules: &AcceptRules, drain: &Drain, handler: &H)
where
    H: Fn(Accepted) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    match rules.budget.admit() {
        Ok(permit) => {
            let rules = rules.clone();
            let handler = handler.clone();
            let signal = drain.signal();
            drain.spawn(async move {
                let _watch = PanicWatch(&rules);
                if let Some(accepted) = identify(incoming, &rules, permit, signal).await {
                    rules.tell(AcceptEvent::Accepted);
                    handler(accepted).await;
                }
            });
        }
        Err(refusal) => refuse(&incoming.stream, rules, refusal),
    }
}

/// Finds out who the client is and counts the connection for it.
async fn identify(
    incoming: Incoming,
    rules: &AcceptRules,
    mut permit: Permit,
    drain: DrainSignal,
) -> Option<Accepted> {
    let Incoming {
        mut stream,
        peer,
        local,
    } = incoming;
    let proxy = match read_proxy_header(&mut stream, peer.ip(), &rules.proxy).await {
        Ok(proxy) => proxy,
        Err(error) => {
            rules.tell(AcceptEvent::ProxyRejected(error));
            tracing::debug!(%peer, %error, "closed");
            return None;
        }
    };
    let client = match &proxy {
        ProxyInfo::Client { source, .. } => ClientAddr::new(*source),
        ProxyInfo::Direct | ProxyInfo::HealthCheck => ClientAddr::new(peer),
    };
    // A balancer's own probes and local processes are not clients that could crowd others out.
    if matches!(stream, Stream::Tcp(_))
        && proxy != ProxyInfo::HealthCheck
        && let Err(refusal) = permit.count_for(client)
    {
        refuse(&stream, rules, refusal);
        return None;
    }
    Some(Accepted {
        stream,
        client,
        local,
        proxy,
        permit,
        drain,
    })
}

fn refuse(stream: &Stream, rules: &AcceptRules, refusal: Refusal) {
    rules.tell(AcceptEvent::Refused(refusal));
    send_refusal(stream, &rules.refusal);
}

/// A fresh connection takes a line at once or not at all; nobody waits for it.
fn send_refusal(stream: &Stream, text: &[u8]) {
    if !text.is_empty()
        && let Err(error) = stream.send_now(text)
    {
        tracing::debug!(%error, "refusal not sent");
    }
}

/// Uses the descriptor in reserve to tell one waiting connection that there is no room.
async fn turn_one_away(listener: &Listener, refusal: &[u8], reserve: &mut Reserve) {
    // A connection waits, or there would have been no error; but it may be gone by now, so do not wait for another.
    let turned_away = reserve.release()
        && match timeout(BACK_OFF, listener.accept()).await {
            Ok(Ok(incoming)) => {
                send_refusal(&incoming.stream, refusal);
                true
            }
            Ok(Err(_)) | Err(_) => false,
        };
    if !(reserve.refill() && turned_away) {
        sleep(BACK_OFF).await;
    }
}

/// Out of descriptors or of memory for sockets: EMFILE, ENFILE, ENOBUFS, ENOMEM.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// The connection died while it waited; the next one may be well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
    )
}

/// Notices, on its drop, that its task is unwinding.
struct PanicWatch<'a>(&'a AcceptRules);

impl Drop for PanicWatch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.tell(AcceptEvent::HandlerPanicked);
            tracing::error!("a connection's handler panicked; the connection is closed");
        }
    }
}
