//! The loop between the pure session and the world.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use restante_auth::{Authenticated, LoginContext, ScramTicket, Standing};
use restante_lock::MaildropLock;
use restante_net::{DrainSignal, MaybeTls, Permit};
use restante_session::{
    Answer, CloseReason, Cut, DeleteSet, Opened, Refusal, Request, Session, SessionSummary, Snapshot, Step,
};
use restante_store::{Body, BodyRef, ForeignMaildrop, Owner, StoreError, StoreErrorKind, VERIFY, failpoint};
use restante_telemetry::{
    BodyBroken, BodySent, BodyVerified, LoginStage, MaildropOpened, OpenResult, OpenSession, SPAN_TARGET,
    SessionState, Stage, in_session,
};
use restante_types::{AccountId, MessageNumber, SessionId};
use restante_wire::Verb;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument as _, Span, debug, error, info_span, warn};
use zeroize::{Zeroize as _, Zeroizing};

use crate::Ports;
use crate::body::{self, SendError};
use crate::fault;
use crate::hold::{self, Hold, Messages, Place, Reading};
use crate::ports::Proofs;
use crate::service::{Finished, Pop3Settings, Wire, version};
use crate::sessions::News;
use crate::update::{self, Truth};
use crate::window;

/// Octets read at once. They live on the stack of one poll, and are wiped there, since a password may be among them:
/// an idle session holds no input buffer.
const READ_OCTETS: usize = 4096;
/// An output buffer larger than this is given back once it is sent: replies to most commands are shorter.
const KEPT_OCTETS: usize = 256;
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
    pub(crate) open: OpenSession,
    pub(crate) begun: Instant,
}

/// How driving ended.
pub(crate) enum End<'a> {
    /// The connection is closed.
    Closed(Finished),
    /// The client is told to begin TLS; everything it said before is gone.
    StartTls {
        connection: Box<Connection<'a>>,
        wire: Wire,
        summary: SessionSummary,
    },
}

/// A body about to be sent.
struct OpenBody {
    body: Body,
    /// Where it comes from; none if it was fetched and checked before.
    source: Option<BodyRef>,
    /// What it is sent for.
    verb: Verb,
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
    /// On what conditions somebody logs in here.
    login: LoginContext,
    /// What was looked up for the SCRAM exchange that is going on.
    ticket: Option<Box<ScramTicket>>,
    account: Option<AccountId>,
    /// When the claim was made that is being verified.
    login_begun: Instant,
    hold: Option<Hold>,
    /// Boxed: it is large, and an idle session has none.
    body: Option<Box<OpenBody>>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(
        connection: Connection<'a>,
        session: Session<Proofs>,
        stream: MaybeTls<Wire>,
        login: LoginContext,
    ) -> Self {
        Self {
            connection,
            session,
            stream,
            left_over: Zeroizing::new(Vec::new()),
            out: Vec::new(),
            broken: false,
            drain_by: None,
            login,
            ticket: None,
            account: None,
            login_begun: Instant::now(),
            hold: None,
            body: None,
        }
    }

    /// Drives the session to its end. Boxed, because futures keep what they are given twice.
    pub(crate) async fn run(mut self: Box<Self>) -> End<'a> {
        loop {
            self.hear();
            let step = self.session.next(&mut self.out);
            for line in self.session.served() {
                self.connection.ports.telemetry.emit(line);
            }
            match step {
                Step::NeedInput => {
                    self.flush().await;
                    if !self.broken {
                        self.wait().await;
                    }
                }
                Step::Flush => self.flush().await,
                Step::Ask(Request::StartTls) => return Box::pin(self.start_tls()).await,
                // Boxed, so that an idle session does not keep room for what it may ask for.
                Step::Ask(request) => Box::pin(self.fulfil(request)).await,
                Step::Close(reason) => return End::Closed(Box::pin(self.close(reason)).await),
            }
        }
    }

    /// Acts on what became of the account and the maildrop meanwhile. Asked before every command.
    fn hear(&mut self) {
        match self.hold.as_mut().and_then(|hold| hold.seat.news()) {
            Some(News::Superseded) => self
                .session
                .interrupt(CloseReason::Superseded, Refusal::Superseded),
            Some(News::Standing(Standing::Ended)) => self
                .session
                .interrupt(CloseReason::AccountDisabled, Refusal::AccountDisabled),
            Some(News::Standing(Standing::ReadOnly)) => self.session.restrict(),
            // A session that was restricted stays so.
            Some(News::Standing(Standing::Good)) | None => {}
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
        // Taken out for the wait, since reading needs the rest of the driver.
        let mut hold = self.hold.take();
        tokio::select! {
            biased;
            () = self.read() => {}
            () = news(hold.as_mut()) => {}
            () = until(drain_by) => {
                self.session.interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
            }
            () = until(deadline) => self.session.expire(Instant::now().into_std()),
            () = drain.draining(), if !draining => {}
        }
        self.hold = hold;
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
            let mut buffer = [0; READ_OCTETS];
            let mut octets = ReadBuf::new(&mut buffer);
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
                    // Only what was read: octet for octet, wiping costs more than all else of a command.
                    octets.filled_mut().zeroize();
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
    async fn start_tls(mut self: Box<Self>) -> End<'a> {
        if self.left_over.is_empty() {
            self.flush().await;
        }
        let summary = *self.session.summary();
        match self.stream {
            MaybeTls::Plain(wire) if self.left_over.is_empty() && !self.broken => End::StartTls {
                connection: Box::new(self.connection),
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
            Request::Salt(name) => {
                self.flush().await;
                let salted = self.connection.ports.authenticator.salt(&name, &self.login).await;
                Answer::Salt(match salted {
                    Ok((salting, ticket)) => {
                        self.ticket = Some(Box::new(ticket));
                        Ok(salting)
                    }
                    Err(verdict) => Err(fault::no_salt(&verdict)),
                })
            }
            Request::Verify(claim) => {
                self.flush().await;
                let (authenticator, ticket) = (
                    &self.connection.ports.authenticator,
                    self.ticket.take().map(|ticket| *ticket),
                );
                let span = in_session(|| info_span!(target: SPAN_TARGET, "login"));
                self.login_begun = Instant::now();
                let verdict = authenticator
                    .verify(claim, ticket, &self.login)
                    .instrument(span)
                    .await;
                Answer::Verdict(fault::verdict(verdict))
            }
            Request::Open(authenticated) => {
                self.flush().await;
                let opened = self.open(&authenticated).await;
                self.note_opening(&opened);
                Answer::Opened(opened)
            }
            Request::Body { message, cut } => Answer::Body(self.open_body(message, cut).await),
            Request::Send => match self.send_body().await {
                Some(verified) => Answer::Sent(verified),
                None => return,
            },
            Request::Commit(deletes) => {
                self.flush().await;
                self.connection.open.enter(SessionState::Update);
                let span =
                    in_session(|| info_span!(target: SPAN_TARGET, "update", n_deletes = deletes.len()));
                Answer::Committed(self.commit(deletes).instrument(span).await)
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

    fn note_opening(&mut self, opened: &Result<Opened, Refusal>) {
        let telemetry = &self.connection.ports.telemetry;
        let result = match opened {
            Ok(opened) => OpenResult::Opened(opened.snapshot.len()),
            Err(Refusal::InUse) => OpenResult::InUse,
            Err(Refusal::LoginDelay) => OpenResult::LoginDelay,
            Err(Refusal::TooManySessions) => OpenResult::TooManySessions,
            Err(_) => OpenResult::Unavailable,
        };
        telemetry.emit(MaildropOpened { result });
        if let (Ok(_), Some(account)) = (opened, self.account) {
            telemetry.emit(LoginStage {
                stage: Stage::Total,
                elapsed: self.login_begun.elapsed(),
            });
            self.connection.open.logged_in(account.tenant());
            let span = Span::current();
            span.record("tenant", account.tenant().get());
            span.record("account", account.number());
        }
    }

    /// Takes a place, locks the maildrop, notes the login and takes the snapshot. What was taken is given back if a
    /// later step fails.
    async fn open(&mut self, authenticated: &Authenticated) -> Result<Opened, Refusal> {
        let (ports, session) = (self.connection.ports, self.connection.session_id);
        let place = Place::take(ports, authenticated, session).await?;
        let (lock, snapshot, messages) = match lock(ports, session, authenticated).await {
            Ok(opened) => opened,
            Err(refusal) => {
                if let Some(place) = place {
                    place.give_back().await;
                }
                return Err(refusal);
            }
        };
        let (account, policy) = (authenticated.account(), authenticated.policy());
        let fence = *lock.fence();
        self.hold = Some(Hold {
            lock: Some(lock),
            messages,
            seat: ports.sessions.enter(
                session,
                hold::live_login(authenticated),
                account.name.clone(),
                fence,
                place.as_ref().map(|place| place.tenant),
            ),
            reading: Reading::begin(ports, account.id, policy),
            place,
        });
        self.account = Some(account.id);
        self.connection.permit.authenticated();
        Ok(Opened {
            snapshot,
            may_delete: authenticated.may_delete(),
            expire: Some(hold::expire(policy.expire_days)),
            login_delay: Some(policy.login_delay()),
        })
    }

    async fn open_body(&mut self, message: MessageNumber, cut: Cut) -> Result<(), Refusal> {
        let Some(hold) = &mut self.hold else {
            return Err(Refusal::NoSuchMessage);
        };
        if let Some(reading) = &mut hold.reading
            && !reading.may_read().await
        {
            return Err(Refusal::ReadLimit);
        }
        let (ports, settings) = (self.connection.ports, self.connection.settings);
        let (opened, source) = match &hold.messages {
            Messages::Own(listing) => {
                let Some(reference) = listing.body(message) else {
                    return Err(Refusal::NoSuchMessage);
                };
                let opened = match ports.suspects.clear(&ports.blobs, reference).await {
                    Ok(()) => body::open(&ports.blobs, reference, cut).await,
                    Err(error) => Err(error),
                };
                (opened, Some(*reference))
            }
            Messages::Foreign(maildrop) => {
                let opened = body::fetch(maildrop, message, cut, &settings.spool_directory).await;
                (opened, None)
            }
        };
        match opened {
            Ok(body) => {
                let verb = match cut {
                    Cut::Whole => Verb::Retr,
                    Cut::Top { .. } => Verb::Top,
                };
                self.body = Some(Box::new(OpenBody { body, source, verb }));
                Ok(())
            }
            Err(error) => {
                let blob = source.map(|source| source.blob);
                warn!(session = %self.connection.session_id, ?blob, %message, %error, "body not opened");
                Err(fault::body(&error))
            }
        }
    }

    /// Sends the open body. `None` if it broke off: then the connection ends without the terminator.
    async fn send_body(&mut self) -> Option<restante_store::Verified> {
        let OpenBody { body, source, verb } = *self.body.take()?;
        let mut octets = 0;
        let span = in_session(|| info_span!(target: SPAN_TARGET, "send", verb = verb.as_str()));
        let sent = body::send(body, &mut self.stream, &mut self.out, &mut octets)
            .instrument(span)
            .await;
        if let Some(reading) = self.hold.as_mut().and_then(|hold| hold.reading.as_mut()) {
            reading.count(octets).await;
        }
        match sent {
            Ok(verified) => {
                self.tell_verified(source, true);
                if let Some(account) = self.account {
                    self.connection.ports.telemetry.emit(BodySent {
                        verb,
                        octets,
                        tenant: account.tenant(),
                    });
                }
                Some(verified)
            }
            Err(error) => {
                let session = self.connection.session_id;
                let (cause, source): (_, &dyn std::error::Error) = match &error {
                    SendError::Store(error) => {
                        if error.op == VERIFY {
                            self.tell_verified(source, false);
                        }
                        if let (StoreErrorKind::Damaged, Some(BodyRef { blob, .. })) = (error.kind, source) {
                            warn!(%session, %blob, "a damaged blob; it is not sent again");
                            self.connection.ports.suspects.add(blob);
                        }
                        (error.kind.as_str(), error)
                    }
                    SendError::Client(error) => (BodyBroken::CLIENT, error),
                };
                self.connection.ports.telemetry.emit(BodyBroken {
                    session,
                    cause,
                    error: source,
                });
                self.out.clear();
                self.break_off(error.reason());
                None
            }
        }
    }

    /// Counts whether a storage gave what was delivered.
    fn tell_verified(&self, source: Option<BodyRef>, is_whole: bool) {
        let ports = self.connection.ports;
        if let Some(storage) = source.and_then(|source| ports.blobs.name(source.storage)) {
            ports.telemetry.emit(BodyVerified { storage, is_whole });
        }
    }

    async fn commit(&mut self, deletes: DeleteSet) -> Result<restante_store::Committed, Refusal> {
        let ports = self.connection.ports;
        let Some((lock, truth)) = self.hold.as_mut().and_then(|hold| {
            let truth = Truth::of(&hold.messages, ports);
            hold.lock.take().map(|lock| (lock, truth))
        }) else {
            return Err(Refusal::NotDeleted);
        };
        let session = self.connection.session_id;
        let (result, lock) = update::commit(truth, lock, session, deletes, ports.telemetry.clone()).await;
        failpoint("update.unanswered");
        if let Some(hold) = &mut self.hold {
            hold.lock = lock;
        }
        result
    }

    async fn release(&mut self) {
        let Some(hold) = self.hold.take() else {
            return;
        };
        if let Some(lock) = hold.lock {
            give_back(lock, self.connection.session_id).await;
        }
        if let Some(place) = hold.place {
            place.give_back().await;
        }
    }

    /// Sends the last words and closes.
    async fn close(mut self: Box<Self>, reason: CloseReason) -> Finished {
        self.flush().await;
        if !self.broken && timeout(LINGER, self.linger()).await.is_err() {
            debug!(session = %self.connection.session_id, "client goes on sending; cut");
        }
        Finished {
            reason,
            summary: *self.session.summary(),
            account: self.account,
            tls: version(&self.stream),
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

/// The maildrop, this session's alone, with what is in it.
async fn lock(
    ports: &Ports,
    session: SessionId,
    authenticated: &Authenticated,
) -> Result<(MaildropLock, Arc<Snapshot>, Messages), Refusal> {
    let maildrop = authenticated.account().id.maildrop();
    let span = in_session(|| info_span!(target: SPAN_TARGET, "lock"));
    let asked = Instant::now();
    let lock = MaildropLock::open(Arc::clone(&ports.locks), maildrop, session)
        .instrument(span)
        .await
        .inspect(|_| stage(ports, Stage::Lock, asked))
        .map_err(|error| {
            debug!(%session, %maildrop, %error, "maildrop not opened");
            fault::open(&error)
        })?;
    match list(ports, session, authenticated, &lock).await {
        Ok((snapshot, messages)) => Ok((lock, snapshot, messages)),
        Err(refusal) => {
            give_back(lock, session).await;
            Err(refusal)
        }
    }
}

/// Notes the login, whose delay holds over all frontends, and lists the maildrop.
async fn list(
    ports: &Ports,
    session: SessionId,
    authenticated: &Authenticated,
    lock: &MaildropLock,
) -> Result<(Arc<Snapshot>, Messages), Refusal> {
    let maildrop = authenticated.account().id.maildrop();
    match ports.authenticator.logged_in(authenticated).await {
        Ok(true) => {}
        Ok(false) => return Err(Refusal::LoginDelay),
        Err(error) => {
            error!(%session, %maildrop, %error, "login cannot be noted");
            return Err(Refusal::Unavailable);
        }
    }
    let span = in_session(|| info_span!(target: SPAN_TARGET, "listing"));
    let asked = Instant::now();
    let listed = messages_of(ports, authenticated, lock).instrument(span).await;
    stage(ports, Stage::Listing, asked);
    listed.map_err(|error| {
        error!(%session, %maildrop, %error, "maildrop cannot be listed");
        Refusal::Unavailable
    })
}

fn stage(ports: &Ports, stage: Stage, begun: Instant) {
    let elapsed = begun.elapsed();
    ports.telemetry.emit(LoginStage { stage, elapsed });
}

/// The messages in the window of the tenant's rules, from where the tenant's mail is.
async fn messages_of(
    ports: &Ports,
    authenticated: &Authenticated,
    lock: &MaildropLock,
) -> Result<(Arc<Snapshot>, Messages), StoreError> {
    let (account, policy) = (authenticated.account(), authenticated.policy());
    // A storage that is no longer configured keeps nobody from what other storages have.
    let storage = ports.blobs.id(&account.storage).ok();
    if let Some(system) = storage.and_then(|storage| ports.blobs.foreign(storage)) {
        let owner = Owner {
            maildrop: account.id.maildrop(),
            name: account.name.to_string(),
        };
        let newest = policy.listing_messages.map_or(usize::MAX, |n| n as usize);
        let (maildrop, snapshot) = ForeignMaildrop::open(Arc::clone(system), owner, newest).await?;
        return Ok((Arc::new(snapshot), Messages::Foreign(Arc::new(maildrop))));
    }
    let listing = ports.listings.listing(&*ports.index, lock.fence()).await?;
    let listing = window::apply(listing, policy, ports.clock.wall())?;
    Ok((Arc::clone(&listing.snapshot), Messages::Own(listing)))
}

async fn give_back(lock: MaildropLock, session: SessionId) {
    if let Err(error) = lock.release().await {
        warn!(%session, %error, "maildrop not released yet");
    }
}

/// Waits until the session stands otherwise; for ever without an open maildrop.
async fn news(hold: Option<&mut Hold>) {
    match hold {
        Some(hold) => hold.seat.changed().await,
        None => std::future::pending().await,
    }
}
