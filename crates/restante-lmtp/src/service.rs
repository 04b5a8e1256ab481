//! The service: who receives mail, and how the message reaches them.
//!
//! Decides recipients and results; the connection's course is in `connection`. Start at [`LmtpService::serve`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use restante_auth::{Account, AccountState, Directory, LoginName};
use restante_store::{Deliverer, Delivery, SpoolError, SpoolSettings, Spooled, StoreError, StoreErrorKind};
use restante_telemetry::Telemetry;
use restante_types::{Octets, TenantId};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{error, info, warn};

use crate::connection::{Connection, LmtpConnection, LmtpSummary};
use crate::reply::Reply;
use crate::session::{Recipient, SessionLimits};

/// What a connection without a place is told instead of a greeting (RFC 5321 section 3.8).
pub fn refusal_line() -> Arc<[u8]> {
    Arc::from(*b"421 4.3.2 Too many connections, try later\r\n")
}

/// How the service behaves, the same for every listener.
#[derive(Clone, Debug)]
pub struct LmtpSettings {
    /// How the server names itself.
    pub hostname: String,
    /// Where messages above 256 KiB wait for their delivery.
    pub spool_directory: PathBuf,
    /// The longest message, in octets of its canonical form; announced as SIZE.
    pub message_octets: Octets,
    /// How far a message may run past that before the connection is closed instead of read to the message's end.
    pub overrun_octets: Octets,
    /// Accepted recipients of one message.
    pub recipients: usize,
    /// The longest command line in octets, CRLF included (RFC 5321 section 4.5.3.1.4 asks for 512 and more for
    /// each extension).
    pub line_octets: usize,
    /// Protocol errors before the connection is closed.
    pub errors: u32,
    /// The longest wait for a whole command.
    pub command_timeout: Duration,
    /// The longest wait for the next octets of a message.
    pub data_timeout: Duration,
    /// The longest wait for the client to take replies.
    pub write_timeout: Duration,
    /// Deliveries of one message at the same time.
    pub concurrency: usize,
    /// Whether a `Return-Path` line is put before the message (RFC 5321 section 4.4). Off: what LMTP took is what
    /// RETR gives.
    pub return_path: bool,
    /// Whether a message that a sender hands over again within [`REPEAT_WINDOW`](restante_store::REPEAT_WINDOW),
    /// because our reply was lost, is answered `250` and not delivered a second time. Only where its newest
    /// `Received` field has the `id` of the sender's queue (RFC 5321 section 4.4) and every octet is the same.
    pub deduplicate: bool,
}

impl LmtpSettings {
    /// Ordinary limits: 50 MiB, 1000 recipients, 5 minutes for a command, 10 for a block of a message.
    pub fn new(hostname: impl Into<String>, spool_directory: impl Into<PathBuf>) -> Self {
        Self {
            hostname: hostname.into(),
            spool_directory: spool_directory.into(),
            message_octets: Octets(50 << 20),
            overrun_octets: Octets(1 << 30),
            recipients: 1000,
            line_octets: 2048,
            errors: 20,
            command_timeout: Duration::from_mins(5),
            data_timeout: Duration::from_mins(10),
            write_timeout: Duration::from_mins(5),
            concurrency: 4,
            return_path: false,
            deduplicate: false,
        }
    }
}

/// Takes mail by LMTP and delivers it. Clones share everything.
#[derive(Clone, Debug)]
pub struct LmtpService {
    directory: Arc<dyn Directory>,
    deliverer: Deliverer,
    settings: Arc<LmtpSettings>,
    telemetry: Telemetry,
}

impl LmtpService {
    /// Delivers through `deliverer` to the accounts of `directory`.
    pub fn new(
        directory: Arc<dyn Directory>,
        deliverer: Deliverer,
        settings: LmtpSettings,
        telemetry: Telemetry,
    ) -> Self {
        Self {
            directory,
            deliverer,
            settings: Arc::new(settings),
            telemetry,
        }
    }

    /// Serves one connection to its end, after TLS and PROXY headers.
    ///
    /// # Cancel safety
    /// A cancelled call delivers nothing it has not begun to deliver; a sender without its `250` sends again.
    pub async fn serve<S>(&self, stream: S, connection: LmtpConnection) -> LmtpSummary
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        Box::pin(Connection::new(self, stream, connection).run()).await
    }

    pub(crate) fn settings(&self) -> &LmtpSettings {
        &self.settings
    }

    pub(crate) const fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            line_octets: self.settings.line_octets,
            recipients: self.settings.recipients,
            errors: self.settings.errors,
            message_octets: self.settings.message_octets,
        }
    }

    /// A spool for a message of up to `message_octets` behind `prefix` octets of our own.
    pub(crate) fn spool_settings(&self, prefix: Octets) -> SpoolSettings {
        SpoolSettings {
            directory: self.settings.spool_directory.clone(),
            max_octets: self.settings.message_octets + prefix,
        }
    }

    /// Decides a RCPT. `tenant` is the only one whose users this listener knows; `declared` is what MAIL said.
    pub(crate) async fn recipient(
        &self,
        address: &LoginName,
        tenant: Option<TenantId>,
        declared: Option<Octets>,
    ) -> Result<Recipient, Reply> {
        let account = self.account(address).await?;
        if tenant.is_some_and(|tenant| tenant != account.id.tenant()) {
            return Err(Reply::NoSuchUser);
        }
        may_receive(account.state)?;
        may_receive(account.tenant_state)?;
        let storage = self
            .deliverer
            .stores()
            .id(&account.storage)
            .map_err(|error| refusal(&error, "recipient refused"))?;
        // A maildrop that is full to the last octet has no room for any message.
        let octets = declared.unwrap_or_default().max(Octets(1));
        self.deliverer
            .check_room(account.id.maildrop(), storage, octets)
            .await
            .map_err(|error| refusal(&error, "recipient refused"))?;
        Ok(Recipient {
            account: account.id,
            name: account.name.to_string().into(),
            storage,
        })
    }

    async fn account(&self, address: &LoginName) -> Result<Account, Reply> {
        match self.directory.recipient(address).await {
            Ok(Some(found)) if found.asked == *address => Ok(found.account),
            Ok(Some(found)) => {
                error!(account = %found.account.id, "the directory answered for another address than was asked");
                Err(Reply::Trouble)
            }
            Ok(None) => Err(Reply::NoSuchUser),
            Err(error) => {
                warn!(%error, "recipient refused");
                Err(Reply::Trouble)
            }
        }
    }

    /// Delivers to one recipient.
    pub(crate) async fn deliver(&self, delivery: Delivery, message: &Spooled) -> Reply {
        let maildrop = delivery.maildrop;
        match self.deliverer.deliver(delivery, message).await {
            Ok(delivered) if delivered.is_repeat => {
                info!(%maildrop, unique_id = %delivered.unique_id, "a message that was delivered before came again");
                Reply::DeliveredBefore
            }
            Ok(_) => Reply::Delivered,
            Err(error) => refusal(&error, "message not delivered"),
        }
    }
}

fn may_receive(state: AccountState) -> Result<(), Reply> {
    match state {
        AccountState::Active | AccountState::LoginSuspended => Ok(()),
        AccountState::ReceiveSuspended | AccountState::ReadOnly => Err(Reply::Suspended),
        AccountState::Closed => Err(Reply::Closed),
    }
}

/// The one table from storage trouble to replies. No trouble of ours is permanent for a sender: mail that waits in
/// its queue is not lost.
fn refusal(error: &StoreError, what: &'static str) -> Reply {
    match error.kind {
        StoreErrorKind::OverQuota => return Reply::OverQuota,
        StoreErrorKind::Full => {
            warn!(%error, "{what}");
            return Reply::StorageFull;
        }
        StoreErrorKind::Throttled
        | StoreErrorKind::Timeout
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Unknown => warn!(%error, "{what}"),
        StoreErrorKind::Conflict
        | StoreErrorKind::Damaged
        | StoreErrorKind::Denied
        | StoreErrorKind::Fenced
        | StoreErrorKind::Invalid
        | StoreErrorKind::NoSuchMaildrop
        | StoreErrorKind::NotFound
        | StoreErrorKind::Unsupported => error!(%error, "{what}"),
    }
    Reply::Trouble
}

/// What a sender reads when its message could not be kept.
pub(crate) fn spool_refusal(error: &SpoolError) -> Reply {
    match error {
        SpoolError::TooLarge => Reply::TooLarge,
        SpoolError::Store(error) => refusal(error, "message not spooled"),
    }
}
