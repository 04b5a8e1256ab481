//! The loop between the pure session and the world.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use restante_lock::MaildropLock;
use restante_net::{DrainSignal, MaybeTls, Permit};
use restante_session::{
    Answer, CloseReason, Cut, DeleteSet, Opened, Refusal, Request, Session, SessionSummary, Step,
};
use restante_store::{BlobKey, Body, BodyRef, StoreErrorKind};
use restante_types::{AccountId, MessageNumber, SessionId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, error, warn};
use zeroize::Zeroizing;

use crate::Ports;
use crate::body::{self, SendError};
use crate::fault;
use crate::ports::Proofs;
use crate::service::{Finished, Pop3Settings, Wire};
use crate::update;

/// Octets read at once. They live on the stack of one poll, and are wiped there, since a password may be among them:
/// an idle session holds no input buffer.
const READ_OCTETS: usize = 4096;
/// An output buffer larger than this is given back once it is sent.
const KEPT_OCTETS: usize = 4096;
/// How long, and how far, a client that still sends is listened to after the last reply, so that the reply is not
/// lost to a reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS: usize = 256 * 1024;

/// What outlives STLS.
pub(crate) struct Connection<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) settings: &'a Pop3Settings,
    pub(crate) session_id: SessionId,
    pub(crate) permit: Permit,
    pub(crate) drain: DrainSignal,
    pub(crate) begun: Instant,
}

/// How driving ended.
pub(crate) enum End<'a> {
    /// The connection is closed.
    Closed(Finished),
    /// The client is told to begin TLS; everything it said before is gone.
    StartTls {
        connection: Connection<'a>,
        wire: Wire,
        summary: SessionSummary,
    },
}

/// One session on one stream.
pub(crate) struct Driver<'a> {
    connection: Connection<'a>,
    session: Session<Proofs>,
    stream: MaybeTls<Wire>,
    /// Octets that the session had no room for yet.
    left_over: Zeroizing<Vec<u8>>,
    out: Vec<u8>,
    /// The connection cannot be written to any more, or must not be.
    broken: bool,
    /// When an open maildrop has to end because the server drains.
    drain_by: Option<Instant>,
    account: Option<AccountId>,
    lock: Option<MaildropLock>,
    bodies: Vec<BodyRef>,
    body: Option<(BlobKey, Body)>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(connection: Connection<'a>, session: Session<Proofs>, stream: MaybeTls<Wire>) -> Self {
        Self {
            connection,
            session,
            stream,
            left_over: Zeroizing::new(Vec::new()),
            out: Vec::new(),
            broken: false,
            drain_by: None,
            account: None,
            lock: None,
            bodies: Vec::new(),
            body: None,
        }
    }

    /// Drives the session to its end.
    pub(crate) async fn run(mut self) -> End<'a> {
        loop {
            match self.session.next(&mut self.out) {
                Step::NeedInput => {
                    self.flush().await;
                    if !self.broken {
                        self.wait().await;
                    }
                }
                Step::Flush => self.flush().await,
                Step::Ask(Request::StartTls) => return self.start_tls().await,
                // Boxed, so that an idle session does not keep room for what it may ask for.
                Step::Ask(request) => Box::pin(self.fulfil(request)).await,
                Step::Close(reason) => return End::Closed(Box::pin(self.close(reason)).await),
            }
        }
    }

    /// Sends what has gathered. A client that cannot be written to ends its session.
    async fn flush(&mut self) {
        if self.broken {
            self.out.clear();
        } else if !self.out.is_empty() {
            let sent = async {
                self.stream.write_all(&self.out).await?;
                self.stream.flush().await
            };
            if let Err(error) = sent.await {
                debug!(session = %self.connection.session_id, %error, "client gone while writing");
                self.break_off(CloseReason::SlowReader);
            }
            self.session.flushed(Instant::now().into_std());
            self.out.clear();
        }
        if self.out.capacity() > KEPT_OCTETS {
            self.out = Vec::new();
        }
    }

    fn break_off(&mut self, reason: CloseReason) {
        self.broken = true;
        self.session.abandon(reason);
    }

    /// Waits for octets, for the session's deadline, or for the drain.
    async fn wait(&mut self) {
        if self.hand_in_left_over() {
            return;
        }
        let draining = self.connection.drain.is_draining();
        if draining && !self.session.in_transaction() {
            return self
                .session
                .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
        }
        if draining {
            let now = Instant::now();
            let grace = self.connection.settings.drain_grace;
            // Asked before reading: a client that sends without a pause must not outlast its grace.
            if *self.drain_by.get_or_insert(now + grace) <= now {
                return self
                    .session
                    .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
            }
        }
        let deadline = self.session.deadline().map(Instant::from_std);
        let drain_by = self.drain_by;
        let drain = self.connection.drain.clone();
        tokio::select! {
            biased;
            () = self.read() => {}
            () = until(drain_by) => {
                self.session.interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
            }
            () = until(deadline) => self.session.expire(Instant::now().into_std()),
            () = drain.draining(), if !draining => {}
        }
    }

    /// Gives the session what it had no room for before. `true` if it took some.
    fn hand_in_left_over(&mut self) -> bool {
        if self.left_over.is_empty() {
            return false;
        }
        let taken = self.session.receive(&self.left_over, Instant::now().into_std());
        self.left_over.drain(..taken);
        if self.left_over.is_empty() {
            self.left_over = Zeroizing::new(Vec::new());
        }
        taken > 0
    }

    /// Reads once, straight into the session.
    async fn read(&mut self) {
        let Self {
            stream,
            session,
            left_over,
            ..
        } = self;
        let failed = poll_fn(|cx| {
            let mut buffer = Zeroizing::new([0; READ_OCTETS]);
            let mut octets = ReadBuf::new(&mut buffer[..]);
            match Pin::new(&mut *stream).poll_read(cx, &mut octets) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Some(error)),
                Poll::Ready(Ok(())) if octets.filled().is_empty() => {
                    session.end_of_input();
                    Poll::Ready(None)
                }
                Poll::Ready(Ok(())) => {
                    let taken = session.receive(octets.filled(), Instant::now().into_std());
                    left_over.extend_from_slice(&octets.filled()[taken..]);
                    Poll::Ready(None)
                }
            }
        })
        .await;
        if let Some(error) = failed {
            // A TLS client that goes without close_notify is gone like any other.
            debug!(session = %self.connection.session_id, %error, "client gone while reading");
            self.session.end_of_input();
        }
    }

    /// Consumes this session for a new one inside TLS. Octets that came in the clear behind STLS end the connection.
    async fn start_tls(mut self) -> End<'a> {
        if self.left_over.is_empty() {
            self.flush().await;
        }
        let summary = *self.session.summary();
        match self.stream {
            MaybeTls::Plain(wire) if self.left_over.is_empty() && !self.broken => End::StartTls {
                connection: self.connection,
                wire,
                summary,
            },
            _ => End::Closed(Finished {
                reason: CloseReason::PipelinedBehindStls,
                summary,
                account: None,
                tls: "none",
            }),
        }
    }

    async fn fulfil(&mut self, request: Request<Proofs>) {
        let answer = match request {
            // Taken care of in `run`, which it ends.
            Request::StartTls => return,
            Request::Verify(claim) => {
                self.flush().await;
                let tenant = self.connection.settings.tenant;
                let verdict = self.connection.ports.authenticator.verify(claim, tenant).await;
                Answer::Verdict(fault::verdict(verdict))
            }
            Request::Open(authenticated) => {
                self.flush().await;
                Answer::Opened(self.open(&authenticated).await)
            }
            Request::Body { message, cut } => Answer::Body(self.open_body(message, cut).await),
            Request::Send => match self.send_body().await {
                Some(verified) => Answer::Sent(verified),
                None => return,
            },
            Request::Commit(deletes) => {
                self.flush().await;
                Answer::Committed(self.commit(deletes).await)
            }
            Request::Release => {
                self.release().await;
                Answer::Released
            }
        };
        if self
            .session
            .answer(answer, &mut self.out, Instant::now().into_std())
            .is_err()
        {
            error!(session = %self.connection.session_id, "the session did not ask for this answer");
            self.break_off(CloseReason::Disconnected);
        }
    }

    /// Locks the maildrop and takes its snapshot.
    async fn open(&mut self, authenticated: &restante_auth::Authenticated) -> Result<Opened, Refusal> {
        let account = authenticated.account();
        let (ports, session) = (self.connection.ports, self.connection.session_id);
        let maildrop = account.id.maildrop();
        let lock = MaildropLock::open(Arc::clone(&ports.locks), maildrop, session)
            .await
            .map_err(|error| {
                debug!(%session, %maildrop, %error, "maildrop not opened");
                fault::open(&error)
            })?;
        let listing = ports.index.snapshot(lock.fence()).await.map_err(|error| {
            error!(%session, %maildrop, %error, "maildrop cannot be listed");
            Refusal::Unavailable
        });
        let listing = match listing {
            Ok(listing) => listing,
            Err(refusal) => {
                self.lock = Some(lock);
                self.release().await;
                return Err(refusal);
            }
        };
        self.lock = Some(lock);
        self.account = Some(account.id);
        self.bodies = listing.bodies;
        ports.authenticator.logged_in(authenticated);
        self.connection.permit.authenticated();
        Ok(Opened {
            snapshot: Arc::new(listing.snapshot),
            may_delete: account.state.may_delete(),
            expire: None,
        })
    }

    async fn open_body(&mut self, message: MessageNumber, cut: Cut) -> Result<(), Refusal> {
        let Some(reference) = self.bodies.get(message.index()) else {
            return Err(Refusal::NoSuchMessage);
        };
        let blobs = &self.connection.ports.blobs;
        let opened = match self.connection.ports.suspects.clear(blobs, reference).await {
            Ok(()) => body::open(blobs, reference, cut).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(body) => {
                self.body = Some((reference.blob, body));
                Ok(())
            }
            Err(error) => {
                warn!(session = %self.connection.session_id, blob = %reference.blob, %error, "body not opened");
                Err(fault::body(&error))
            }
        }
    }

    /// Sends the open body. `None` if it broke off: then the connection ends without the terminator.
    async fn send_body(&mut self) -> Option<restante_store::Verified> {
        let (blob, body) = self.body.take()?;
        match body::send(body, &mut self.stream, &mut self.out).await {
            Ok(verified) => Some(verified),
            Err(error) => {
                match &error {
                    SendError::Store(error) => {
                        error!(session = %self.connection.session_id, %blob, %error, "body broke off; connection dropped");
                        if error.kind == StoreErrorKind::Damaged {
                            self.connection.ports.suspects.add(blob);
                        }
                    }
                    SendError::Client(error) => {
                        debug!(session = %self.connection.session_id, %error, "client gone while reading a body");
                    }
                }
                self.out.clear();
                self.break_off(error.reason());
                None
            }
        }
    }

    async fn commit(&mut self, deletes: DeleteSet) -> Result<restante_store::Committed, Refusal> {
        let Some(lock) = self.lock.take() else {
            return Err(Refusal::NotDeleted);
        };
        let index = Arc::clone(&self.connection.ports.index);
        let (result, lock) = update::commit(index, lock, self.connection.session_id, deletes).await;
        self.lock = lock;
        result
    }

    async fn release(&mut self) {
        self.bodies = Vec::new();
        if let Some(lock) = self.lock.take()
            && let Err(error) = lock.release().await
        {
            warn!(session = %self.connection.session_id, %error, "maildrop not released; it is free when the lease ends");
        }
    }

    /// Sends the last words and closes.
    async fn close(mut self, reason: CloseReason) -> Finished {
        self.flush().await;
        if !self.broken && timeout(LINGER, self.linger()).await.is_err() {
            debug!(session = %self.connection.session_id, "client goes on sending; cut");
        }
        let tls = self
            .stream
            .handshake()
            .map_or("none", |handshake| handshake.version.label());
        Finished {
            reason,
            summary: *self.session.summary(),
            account: self.account,
            tls,
        }
    }

    /// Closes our side and listens until the client has closed its own.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut discarded = 0;
        let mut buffer = [0; 512];
        while let Ok(n @ 1..) = self.stream.read(&mut buffer).await {
            discarded += n;
            if discarded > LINGER_OCTETS {
                return;
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
