//! One connection: moves octets between the stream, the session and the spool.
//!
//! Knows no grammar and no reply beyond those that time and drain call for. Start at [`Connection::run`].

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::StreamExt;
use futures_util::stream;
use restante_net::DrainSignal;
use restante_store::{Delivery, Spool, Spooled};
use restante_telemetry::{DeliveryJudged, RecipientRefused};
use restante_types::{ClientAddr, Octets, SessionId, TenantId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::info;

use crate::path::Path;
use crate::reply::Reply;
use crate::service::{LmtpService, spool_refusal};
use crate::session::{Closing, Recipient, Session, Step, Transaction};
use crate::trace;

/// Octets that are read at once, and the most that wait unread by the session besides one line.
const READ: usize = 64 * 1024;
/// Replies that are sent although the client has pipelined more commands.
const HIGH_WATER: usize = 16 * 1024;

/// What the service must know of a connection besides its octets.
#[derive(Clone, Debug)]
pub struct LmtpConnection {
    /// Names the connection in logs.
    pub session: SessionId,
    /// The client; `None` on a unix socket.
    pub peer: Option<ClientAddr>,
    /// The tenant to which the listener is bound; users of others are unknown to it.
    pub tenant: Option<TenantId>,
    /// Tells of the server's end.
    pub drain: DrainSignal,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LmtpEnd {
    /// The client said QUIT.
    Quit,
    /// The client closed the stream, or it failed.
    Disconnected,
    /// The client was silent for too long.
    TimedOut,
    /// The server is going down.
    Drained,
    /// The client does not speak the protocol, or would not stop sending.
    GaveUp,
}

/// What one connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LmtpSummary {
    /// Messages that came whole.
    pub n_messages: u64,
    /// Recipients that were answered `250` after a message.
    pub n_delivered: u64,
    /// Recipients that were refused after a message.
    pub n_refused: u64,
    /// Octets of the messages that could be kept, in canonical form.
    pub octets: Octets,
    /// How it ended.
    pub end: LmtpEnd,
}

/// A connection being served.
pub(crate) struct Connection<'a, S> {
    service: &'a LmtpService,
    stream: S,
    about: LmtpConnection,
    session: Session,
    input: BytesMut,
    out: Vec<u8>,
    body: Vec<u8>,
    spool: Option<Spool>,
    deadline: Instant,
    summary: LmtpSummary,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'a, S> {
    pub(crate) fn new(service: &'a LmtpService, stream: S, about: LmtpConnection) -> Self {
        let session = Session::new(service.settings().hostname.clone(), service.session_limits());
        Self {
            service,
            stream,
            about,
            session,
            input: BytesMut::new(),
            out: Vec::new(),
            body: Vec::new(),
            spool: None,
            deadline: Instant::now() + service.settings().command_timeout,
            summary: LmtpSummary {
                n_messages: 0,
                n_delivered: 0,
                n_refused: 0,
                octets: Octets::ZERO,
                end: LmtpEnd::Disconnected,
            },
        }
    }

    /// Serves to the end.
    pub(crate) async fn run(mut self) -> LmtpSummary {
        self.session.greet(&mut self.out);
        self.summary.end = loop {
            if let ControlFlow::Break(end) = self.step().await {
                break end;
            }
        };
        let LmtpSummary {
            n_messages,
            n_delivered,
            n_refused,
            octets,
            end,
        } = self.summary;
        let peer = self.about.peer.map(tracing::field::display);
        info!(session = %self.about.session, peer, n_messages, n_delivered, n_refused, octets = octets.get(), ?end, "LMTP session");
        self.summary
    }

    async fn step(&mut self) -> ControlFlow<LmtpEnd> {
        let step = self.session.next(&mut self.input, &mut self.out, &mut self.body);
        match step {
            Step::NeedInput => {
                self.flush().await?;
                self.read().await
            }
            Step::LookUp(address) => {
                let declared = self
                    .session
                    .transaction()
                    .and_then(|transaction| transaction.mail.size);
                let found = self
                    .service
                    .recipient(&address, self.about.tenant, declared)
                    .await;
                if let Err(reply) = &found {
                    let result = reply.label();
                    self.service.telemetry().emit(RecipientRefused { result });
                }
                self.session.recipient(found, &mut self.out);
                self.flush_above(HIGH_WATER).await
            }
            Step::Body => self.keep_body().await,
            Step::Deliver => self.deliver().await,
            Step::Forget => {
                self.spool = None;
                ControlFlow::Continue(())
            }
            Step::Close(Closing::Quit) => self.close(LmtpEnd::Quit).await,
            Step::Close(Closing::GaveUp) => self.close(LmtpEnd::GaveUp).await,
        }
    }

    async fn read(&mut self) -> ControlFlow<LmtpEnd> {
        if self.session.is_in_message() {
            self.deadline = Instant::now() + self.service.settings().data_timeout;
        }
        let may_drain = self.session.is_at_boundary() && self.input.is_empty();
        self.input.reserve(READ);
        tokio::select! {
            biased;
            () = self.about.drain.draining(), if may_drain => self.say_and_close(Reply::Draining, LmtpEnd::Drained).await,
            read = self.stream.read_buf(&mut self.input) => match read {
                Ok(0) | Err(_) => ControlFlow::Break(LmtpEnd::Disconnected),
                Ok(_) => ControlFlow::Continue(()),
            },
            () = sleep_until(self.deadline) => self.say_and_close(Reply::IdleTooLong, LmtpEnd::TimedOut).await,
        }
    }

    /// Sends the replies. A command has ended whenever there is one, so the clock for the next starts.
    async fn flush(&mut self) -> ControlFlow<LmtpEnd> {
        if self.out.is_empty() {
            return ControlFlow::Continue(());
        }
        let send = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.service.settings().write_timeout, send).await;
        self.out.clear();
        self.deadline = Instant::now() + self.service.settings().command_timeout;
        match sent {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) => ControlFlow::Break(LmtpEnd::Disconnected),
            Err(_) => ControlFlow::Break(LmtpEnd::TimedOut),
        }
    }

    async fn flush_above(&mut self, high_water: usize) -> ControlFlow<LmtpEnd> {
        if self.out.len() >= high_water {
            self.flush().await
        } else {
            ControlFlow::Continue(())
        }
    }

    async fn say_and_close(&mut self, reply: Reply, end: LmtpEnd) -> ControlFlow<LmtpEnd> {
        reply.write(&mut self.out);
        self.close(end).await
    }

    async fn close(&mut self, end: LmtpEnd) -> ControlFlow<LmtpEnd> {
        self.flush().await?;
        // Failure to say good-bye changes nothing: every reply is out.
        let _closed = timeout(self.service.settings().write_timeout, self.stream.shutdown()).await;
        ControlFlow::Break(end)
    }

    async fn keep_body(&mut self) -> ControlFlow<LmtpEnd> {
        let mut spool = match self.spool.take() {
            Some(spool) => spool,
            None => self.fresh_spool().await,
        };
        spool.write(&self.body).await;
        self.body.clear();
        let discarded = spool.discarded();
        self.spool = Some(spool);
        if discarded > self.service.settings().overrun_octets {
            return self.say_and_close(Reply::GivingUp, LmtpEnd::GaveUp).await;
        }
        ControlFlow::Continue(())
    }

    /// A spool that has what we put before the message.
    async fn fresh_spool(&self) -> Spool {
        let prefix = match self.session.transaction() {
            Some(transaction) if self.service.settings().return_path => return_path(transaction),
            _ => String::new(),
        };
        let mut spool = Spool::new(self.service.spool_settings(Octets::of(prefix.as_bytes())));
        spool.write(prefix.as_bytes()).await;
        spool
    }

    /// Delivers the message and sends each reply as soon as it and those before it are known (RFC 2033 section 5).
    async fn deliver(&mut self) -> ControlFlow<LmtpEnd> {
        let started = Instant::now();
        let Some(transaction) = self.session.transaction() else {
            return ControlFlow::Continue(());
        };
        let recipients = transaction.recipients.clone();
        let smtputf8 = transaction.mail.smtputf8;
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => self.fresh_spool().await,
        };
        self.summary.n_messages += 1;
        let message = match spool.finish().await {
            Ok(message) => message,
            Err(error) => return self.refuse_all(&recipients, spool_refusal(&error), started).await,
        };
        let measured = message.measured();
        self.summary.octets += measured.octets;
        let needs_utf8 = smtputf8 && measured.header_is_8bit;
        let deduplicate = self.service.settings().deduplicate && trace::has_queue_id(&message).await;
        let deliveries = recipients.iter().map(|recipient| Delivery {
            needs_utf8,
            deduplicate,
            ..Delivery::new(
                recipient.account.maildrop(),
                Arc::clone(&recipient.name),
                recipient.storage,
            )
        });
        self.deliver_to(&recipients, deliveries.collect(), &message, started)
            .await
    }

    async fn deliver_to(
        &mut self,
        recipients: &[Recipient],
        deliveries: Vec<Delivery>,
        message: &Spooled,
        started: Instant,
    ) -> ControlFlow<LmtpEnd> {
        let service = self.service;
        let deliveries: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| service.deliver(delivery, message))
            .collect();
        let mut results = stream::iter(deliveries).buffered(service.settings().concurrency.max(1));
        // A client that goes away does not stop the deliveries to the rest.
        let mut course = ControlFlow::Continue(());
        for recipient in recipients {
            let Some(result) = results.next().await else { break };
            self.answer(recipient, result, Some(message.measured().octets), started);
            if course.is_continue() {
                course = self.flush().await;
            }
        }
        course
    }

    async fn refuse_all(
        &mut self,
        recipients: &[Recipient],
        reply: Reply,
        started: Instant,
    ) -> ControlFlow<LmtpEnd> {
        for recipient in recipients {
            self.answer(recipient, reply, None, started);
        }
        self.flush_above(HIGH_WATER).await
    }

    fn answer(&mut self, recipient: &Recipient, result: Reply, octets: Option<Octets>, started: Instant) {
        self.session.delivered(result, &mut self.out);
        if matches!(result, Reply::Delivered | Reply::DeliveredBefore) {
            self.summary.n_delivered += 1;
        } else {
            self.summary.n_refused += 1;
        }
        self.service.telemetry().emit(DeliveryJudged {
            session: self.about.session,
            account: recipient.account,
            result: result.label(),
            code: result.code(),
            octets: octets.map(Octets::get),
            elapsed: started.elapsed(),
        });
    }
}

/// RFC 5321 section 4.4.
fn return_path(transaction: &Transaction) -> String {
    let address = match &transaction.mail.reverse_path {
        Path::Null => "",
        Path::Mailbox(mailbox) => &mailbox.text,
    };
    format!("Return-Path: <{address}>\r\n")
}
