//! A TCP proxy on loopback that makes trouble on demand, in each direction apart.
//!
//! It knows no protocol: it sees octets, and patterns in them. Start at [`FaultProxy::to`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::PATIENCE;

/// Octets that are read, and judged, at once.
const CHUNK: usize = 64 * 1024;

/// Pieces a second that a throttled stream comes in.
const PIECES: u32 = 20;

/// What happens to octets on their way. [`Fault::CutAfterOctets`], [`Fault::CutBefore`] and [`Fault::CutAfter`] count
/// and look from the moment they are set, in each connection for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: they pass.
    #[default]
    Pass,
    /// Every chunk, of at most 64 KiB, waits so long.
    Delay(Duration),
    /// So many octets a second pass, at least 20.
    Throttle(u32),
    /// They come one by one.
    Split,
    /// They are held back, and nobody is told. Once the fault is lifted they arrive, as after a partition.
    BlackHole,
    /// They arrive with every bit turned.
    Garble,
    /// So many pass, then the connection is cut.
    CutAfterOctets(u64),
    /// The connection is cut instead of delivering a chunk that ends or holds this pattern.
    CutBefore(Vec<u8>),
    /// Everything up to the end of the pattern is delivered, then the connection is cut: towards the server, what
    /// was asked is done and the answer lost.
    CutAfter(Vec<u8>),
    /// Open connections are reset, and new ones at once.
    Reject,
}

/// Which way octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What has come through so far, over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections that were accepted, those of [`Fault::Reject`] included.
    pub connections: u64,
    /// Octets that clients sent.
    pub to_server_octets: u64,
    /// Octets that servers sent.
    pub to_client_octets: u64,
    /// How often a client spoke first or after its server: round trips.
    pub flights: u64,
    /// Connections that a fault has ended, except those refused at once.
    pub cuts: u64,
}

/// A proxy before one server. It stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// A proxy that leads to `target` and does no harm yet.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections lead to `target`; those that are open are cut.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
        self.set(&Fault::Reject);
        self.set(&Fault::Pass);
    }

    /// From now on `fault` happens in both directions, in open connections too.
    pub fn set(&self, fault: &Fault) {
        self.set_towards(Direction::ToServer, fault.clone());
        self.set_towards(Direction::ToClient, fault.clone());
    }

    /// From now on `fault` happens in one direction.
    pub fn set_towards(&self, direction: Direction, fault: Fault) {
        let script = Script { fault, once: false };
        self.shared.script(direction).send_replace(script);
    }

    /// As [`FaultProxy::set_towards`], until `fault` has cut one connection: whoever tries again gets through.
    pub fn set_once(&self, direction: Direction, fault: Fault) {
        let script = Script { fault, once: true };
        self.shared.script(direction).send_replace(script);
    }

    /// What has come through so far.
    pub fn counts(&self) -> ProxyCounts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        ProxyCounts {
            connections: read(&counters.connections),
            to_server_octets: read(&counters.to_server_octets),
            to_client_octets: read(&counters.to_client_octets),
            flights: read(&counters.flights),
            cuts: read(&counters.cuts),
        }
    }

    /// Round trips so far: see [`ProxyCounts::flights`].
    pub fn n_flights(&self) -> u64 {
        self.counts().flights
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // The set of its connections goes with it.
        self.accepting.abort();
    }
}

#[derive(Clone, Debug, Default)]
struct Script {
    fault: Fault,
    once: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Where new connections lead, if not where the first ones did.
    target: Mutex<Option<SocketAddr>>,
    to_server: watch::Sender<Script>,
    to_client: watch::Sender<Script>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    to_server_octets: AtomicU64,
    to_client_octets: AtomicU64,
    flights: AtomicU64,
    cuts: AtomicU64,
}

impl Shared {
    const fn script(&self, direction: Direction) -> &watch::Sender<Script> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn rejects(&self) -> bool {
        [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .any(|direction| self.script(direction).borrow().fault == Fault::Reject)
    }

    /// Whether `fault` is still to strike; a fault that strikes once is over then.
    fn claim(&self, direction: Direction, fault: &Fault) -> bool {
        let mut claimed = false;
        self.script(direction).send_if_modified(|script| {
            claimed = script.fault == *fault;
            let over = claimed && script.once;
            if over {
                *script = Script::default();
            }
            over
        });
        claimed
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.counters.connections.fetch_add(1, Ordering::SeqCst);
        if shared.rejects() {
            reset(client);
        } else {
            let target = shared
                .target
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .unwrap_or(target);
            connections.spawn(connect(client, target, Arc::clone(&shared)));
        }
    }
}

async fn connect(mut client: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return reset(client);
    };
    let is_prompt = [&client, &server].map(|stream| stream.set_nodelay(true).is_ok());
    assert_eq!(is_prompt, [true; 2], "a TCP socket has this option");
    let client_spoke = AtomicBool::new(false);
    let end = {
        let (from_client, to_server) = (client.split(), server.split());
        let ((client_read, client_write), (server_read, server_write)) = (from_client, to_server);
        let pump = |direction| Pump {
            shared: &shared,
            client_spoke: &client_spoke,
            direction,
            seen: Seen::default(),
        };
        tokio::try_join!(
            pump(Direction::ToServer).run(client_read, server_write),
            pump(Direction::ToClient).run(server_read, client_write),
        )
    };
    if matches!(end, Err(End::Cut)) {
        shared.counters.cuts.fetch_add(1, Ordering::SeqCst);
        reset(client);
        finish(server).await;
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a TCP socket has this option");
    drop(stream);
}

/// Ends our side and reads on until the server ends its own: a reset could overtake what was delivered.
async fn finish(mut server: TcpStream) {
    let end = async {
        server.shutdown().await?;
        tokio::io::copy(&mut server, &mut tokio::io::sink()).await
    };
    // A server that is gone has finished, too.
    drop(timeout(PATIENCE, end).await);
}

enum End {
    /// By a fault.
    Cut,
    /// By one of the two sides, without FIN.
    Broken,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// What a pump has seen since the fault was set.
#[derive(Default)]
struct Seen {
    octets: u64,
    /// The last octets, shorter than the pattern that is looked for.
    tail: Vec<u8>,
}

impl Seen {
    /// Where in `octets` the first `pattern` ends, that may have begun earlier.
    fn find(&mut self, pattern: &[u8], octets: &[u8]) -> Option<usize> {
        let before = self.tail.len();
        self.tail.extend_from_slice(octets);
        let found = self
            .tail
            .windows(pattern.len().max(1))
            .position(|seen| seen == pattern);
        let end = found.map(|start| start + pattern.len() - before);
        let keep = self.tail.len().saturating_sub(pattern.len().saturating_sub(1));
        self.tail.drain(..keep);
        end
    }
}

struct Pump<'p> {
    shared: &'p Shared,
    client_spoke: &'p AtomicBool,
    direction: Direction,
    seen: Seen,
}

impl Pump<'_> {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), End> {
        let mut script = self.shared.script(self.direction).subscribe();
        let mut buffer = vec![0; CHUNK];
        loop {
            let fault = script.borrow_and_update().fault.clone();
            if fault == Fault::Reject {
                return Err(End::Cut);
            }
            let read = tokio::select! {
                biased;
                _ = script.changed() => {
                    self.seen = Seen::default();
                    continue;
                }
                read = from.read(&mut buffer), if fault != Fault::BlackHole => read?,
            };
            if read == 0 {
                return Ok(to.shutdown().await?);
            }
            self.count(read);
            self.forward(&fault, &mut buffer[..read], &mut to).await?;
        }
    }

    fn count(&self, read: usize) {
        let counters = &self.shared.counters;
        let octets = match self.direction {
            Direction::ToServer => {
                if !self.client_spoke.swap(true, Ordering::SeqCst) {
                    counters.flights.fetch_add(1, Ordering::SeqCst);
                }
                &counters.to_server_octets
            }
            Direction::ToClient => {
                self.client_spoke.store(false, Ordering::SeqCst);
                &counters.to_client_octets
            }
        };
        octets.fetch_add(read as u64, Ordering::SeqCst);
    }

    async fn forward(&mut self, fault: &Fault, octets: &mut [u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
        match fault {
            Fault::Pass | Fault::BlackHole | Fault::Reject => {}
            Fault::Delay(delay) => sleep(*delay).await,
            Fault::Throttle(rate) => return throttled(*rate, octets, to).await,
            Fault::Split => return split(octets, to).await,
            Fault::Garble => octets.iter_mut().for_each(|octet| *octet = !*octet),
            Fault::CutAfterOctets(_) | Fault::CutBefore(_) | Fault::CutAfter(_) => {
                if let Some(passes) = self.strike(fault, octets)
                    && self.shared.claim(self.direction, fault)
                {
                    to.write_all(&octets[..passes]).await?;
                    return Err(End::Cut);
                }
            }
        }
        Ok(to.write_all(octets).await?)
    }

    /// How many of these octets still pass before the cut, if they bring it.
    fn strike(&mut self, fault: &Fault, octets: &[u8]) -> Option<usize> {
        match fault {
            Fault::CutAfterOctets(limit) => {
                let left = limit.saturating_sub(self.seen.octets);
                self.seen.octets += octets.len() as u64;
                usize::try_from(left).ok().filter(|left| *left <= octets.len())
            }
            Fault::CutBefore(pattern) => self.seen.find(pattern, octets).map(|_| 0),
            Fault::CutAfter(pattern) => self.seen.find(pattern, octets),
            _ => None,
        }
    }
}

async fn throttled(rate: u32, octets: &[u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
    let piece = usize::try_from((rate / PIECES).max(1)).expect("a piece is small");
    for piece in octets.chunks(piece) {
        to.write_all(piece).await?;
        sleep(Duration::from_secs(1) / PIECES).await;
    }
    Ok(())
}

async fn split(octets: &[u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
    for octet in octets {
        to.write_all(&[*octet]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
