//! The LMTP session as a state machine: octets in, replies and steps out.
//!
//! Performs no I/O, knows no time and no storage. Message octets pass through without being kept. Start at
//! [`Session::next`].

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use restante_auth::LoginName;
use restante_store::StorageId;
use restante_types::{AccountId, Octets};
use restante_wire::DotUnstuffer;

use crate::command::{Chunk, Command, CommandError, Mail};
use crate::line::{LineTaker, Taken};
use crate::path::Mailbox;
use crate::reply::{self, Reply};

/// What one client may do.
#[derive(Clone, Debug)]
pub(crate) struct SessionLimits {
    /// The longest command line in octets, CRLF included.
    pub(crate) line_octets: usize,
    /// Accepted recipients of one message.
    pub(crate) recipients: usize,
    /// Protocol errors before the connection is given up.
    pub(crate) errors: u32,
    /// The longest message.
    pub(crate) message_octets: Octets,
}

/// Where a message is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) account: AccountId,
    /// The account's own name, not the address that was asked for.
    pub(crate) name: Arc<str>,
    pub(crate) storage: StorageId,
}

/// What the session needs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the replies, then give more octets.
    NeedInput,
    /// Find out who receives mail for this address, then call [`Session::recipient`].
    LookUp(LoginName),
    /// Octets of the message stand in `body`: keep them, and empty it.
    Body,
    /// The message is whole: deliver it, then call [`Session::delivered`] for each recipient in order.
    Deliver,
    /// The message will never be whole: drop what was kept.
    Forget,
    /// Send the replies and close.
    Close(Closing),
}

/// Why the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// QUIT.
    Quit,
    /// The client does not speak the protocol.
    GaveUp,
}

/// One session, of any number of messages.
#[derive(Debug)]
pub(crate) struct Session {
    hostname: String,
    limits: SessionLimits,
    lines: LineTaker,
    phase: Phase,
    greeted: bool,
    transaction: Option<Transaction>,
    n_errors: u32,
}

#[derive(Debug)]
enum Phase {
    Command,
    LookUp,
    Data(DotUnstuffer),
    Chunk(ChunkToCome),
    /// All octets have been handed out.
    Whole,
    Delivering {
        n_answered: usize,
    },
    Closed(Closing),
}

#[derive(Clone, Copy, Debug)]
struct ChunkToCome {
    octets: u64,
    then: AfterChunk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterChunk {
    /// The octets are kept; more chunks follow.
    Continue,
    /// The octets are kept and end the message.
    Deliver,
    /// The octets are thrown away, and this is the answer.
    Refuse(Reply),
    /// The octets are thrown away without an answer.
    Silence,
}

/// From MAIL to the end of the message.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) mail: Mail,
    pub(crate) recipients: Vec<Recipient>,
    has_chunks: bool,
}

impl Session {
    pub(crate) fn new(hostname: String, limits: SessionLimits) -> Self {
        Self {
            hostname,
            lines: LineTaker::new(limits.line_octets),
            limits,
            phase: Phase::Command,
            greeted: false,
            transaction: None,
            n_errors: 0,
        }
    }

    /// Appends the greeting.
    pub(crate) fn greet(&self, out: &mut Vec<u8>) {
        reply::write_greeting(&self.hostname, out);
    }

    /// Takes what it can off `input`, appends replies to `out` and octets of the message to `body`, and says what
    /// it needs. `body` holds at most what one call found in `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>, body: &mut Vec<u8>) -> Step {
        loop {
            let step = match &mut self.phase {
                Phase::Command => match self.lines.take(input) {
                    Taken::More => Some(Step::NeedInput),
                    taken => self.line(taken, out),
                },
                Phase::Data(unstuffer) => {
                    let taken = unstuffer.push(input, body);
                    input.advance(taken.consumed);
                    if taken.finished {
                        self.phase = Phase::Whole;
                    }
                    body_or(body, (!taken.finished).then_some(Step::NeedInput))
                }
                Phase::Chunk(chunk) => {
                    let more = chunk.take(input, body);
                    let finished = chunk.octets == 0;
                    if finished {
                        let then = chunk.then;
                        self.end_of_chunk(then, out);
                    }
                    body_or(body, more)
                }
                Phase::Whole => {
                    self.phase = Phase::Delivering { n_answered: 0 };
                    Some(Step::Deliver)
                }
                Phase::Closed(closing) => Some(Step::Close(*closing)),
                // The answer is due; there is nothing to do before it.
                Phase::LookUp | Phase::Delivering { .. } => Some(Step::NeedInput),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Whether the session may end here without cutting anything in two: no command and no message has begun.
    pub(crate) fn is_at_boundary(&self) -> bool {
        matches!(self.phase, Phase::Command) && !self.lines.is_skipping()
    }

    /// Whether octets of a message are awaited.
    pub(crate) const fn is_in_message(&self) -> bool {
        matches!(self.phase, Phase::Data(_) | Phase::Chunk(_))
    }

    /// The transaction, from MAIL to its end.
    pub(crate) const fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_ref()
    }

    /// Answers [`Step::LookUp`].
    pub(crate) fn recipient(&mut self, found: Result<Recipient, Reply>, out: &mut Vec<u8>) {
        self.phase = Phase::Command;
        match (found, &mut self.transaction) {
            (Ok(recipient), Some(transaction)) => {
                transaction.recipients.push(recipient);
                Reply::RecipientOk.write(out);
            }
            (Ok(_), None) => Reply::BadSequence.write(out),
            (Err(refusal), _) => refusal.write(out),
        }
    }

    /// Answers [`Step::Deliver`], once for each recipient, in order.
    pub(crate) fn delivered(&mut self, result: Reply, out: &mut Vec<u8>) {
        let Phase::Delivering { n_answered } = &mut self.phase else {
            return;
        };
        result.write(out);
        *n_answered += 1;
        if self
            .transaction
            .as_ref()
            .is_none_or(|transaction| *n_answered >= transaction.recipients.len())
        {
            self.transaction = None;
            self.phase = Phase::Command;
        }
    }

    fn line(&mut self, taken: Taken, out: &mut Vec<u8>) -> Option<Step> {
        let line = match taken {
            Taken::Line(line) => line,
            Taken::TooLong => return self.refuse(Reply::LineTooLong, out),
            Taken::BareLf => return self.give_up(Reply::BareLf, out),
            Taken::More => return Some(Step::NeedInput),
        };
        let smtputf8 = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.mail.smtputf8);
        match Command::parse(&line, smtputf8) {
            Ok(command) => self.command(command, out),
            Err(CommandError::Refused(reply)) => self.refuse(reply, out),
            Err(CommandError::LostStep) => self.give_up(Reply::BadArguments, out),
        }
    }

    fn command(&mut self, command: Command, out: &mut Vec<u8>) -> Option<Step> {
        match command {
            Command::Lhlo => {
                self.greeted = true;
                reply::write_extensions(&self.hostname, self.limits.message_octets, out);
                return self.reset();
            }
            Command::Rset => {
                Reply::Ok.write(out);
                return self.reset();
            }
            Command::Mail(mail) => return self.mail(mail, out),
            Command::Rcpt(mailbox) => return self.rcpt(&mailbox, out),
            Command::Data => return self.data(out),
            Command::Bdat(chunk) => self.bdat(chunk),
            Command::Noop => Reply::Ok.write(out),
            Command::Vrfy => Reply::NotVerified.write(out),
            Command::Help => Reply::Help.write(out),
            Command::Quit => {
                Reply::GoodBye.write(out);
                self.phase = Phase::Closed(Closing::Quit);
            }
        }
        None
    }

    fn mail(&mut self, mail: Mail, out: &mut Vec<u8>) -> Option<Step> {
        if !self.greeted || self.transaction.is_some() {
            return self.refuse(Reply::BadSequence, out);
        }
        if mail.size.is_some_and(|size| size > self.limits.message_octets) {
            Reply::TooLarge.write(out);
            return None;
        }
        self.transaction = Some(Transaction {
            mail,
            recipients: Vec::new(),
            has_chunks: false,
        });
        Reply::SenderOk.write(out);
        None
    }

    fn rcpt(&mut self, mailbox: &Mailbox, out: &mut Vec<u8>) -> Option<Step> {
        let Some(transaction) = self
            .transaction
            .as_ref()
            .filter(|transaction| !transaction.has_chunks)
        else {
            return self.refuse(Reply::BadSequence, out);
        };
        if transaction.recipients.len() >= self.limits.recipients {
            Reply::TooManyRecipients.write(out);
            return None;
        }
        // An address that no account can have, `""@d` or one with a literal, is like one that no account has.
        if let Ok(name) = LoginName::parse(&format!("{}@{}", mailbox.local_part, mailbox.domain)) {
            self.phase = Phase::LookUp;
            Some(Step::LookUp(name))
        } else {
            Reply::NoSuchUser.write(out);
            None
        }
    }

    fn data(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        match &self.transaction {
            Some(transaction) if !transaction.has_chunks && !transaction.recipients.is_empty() => {
                Reply::SendData.write(out);
                self.phase = Phase::Data(DotUnstuffer::new());
                None
            }
            // RFC 2033 section 4.2. A sender that pipelines meets this when all its recipients are refused.
            Some(transaction) if !transaction.has_chunks => {
                Reply::NoRecipients.write(out);
                None
            }
            _ => self.refuse(Reply::BadSequence, out),
        }
    }

    /// The octets follow the line whatever is answered, so they are taken in every case.
    fn bdat(&mut self, chunk: Chunk) {
        let then = match &mut self.transaction {
            None => AfterChunk::Refuse(Reply::BadSequence),
            // RFC 2033 section 4.3: the last chunk has as many replies as there are recipients.
            Some(transaction) if transaction.recipients.is_empty() && chunk.is_last => AfterChunk::Silence,
            Some(transaction) if transaction.recipients.is_empty() => AfterChunk::Refuse(Reply::NoRecipients),
            Some(transaction) => {
                transaction.has_chunks = true;
                if chunk.is_last {
                    AfterChunk::Deliver
                } else {
                    AfterChunk::Continue
                }
            }
        };
        self.phase = Phase::Chunk(ChunkToCome {
            octets: chunk.octets,
            then,
        });
    }

    fn end_of_chunk(&mut self, then: AfterChunk, out: &mut Vec<u8>) {
        self.phase = Phase::Command;
        match then {
            AfterChunk::Continue => Reply::ChunkTaken.write(out),
            AfterChunk::Deliver => self.phase = Phase::Whole,
            AfterChunk::Silence => self.transaction = None,
            // Counted like any other, though its octets had to be read first.
            AfterChunk::Refuse(Reply::BadSequence) => {
                self.refuse(Reply::BadSequence, out);
            }
            AfterChunk::Refuse(reply) => reply.write(out),
        }
    }

    /// Ends the transaction. What was kept of its message is forgotten.
    fn reset(&mut self) -> Option<Step> {
        self.transaction
            .take()
            .filter(|transaction| transaction.has_chunks)
            .map(|_| Step::Forget)
    }

    fn refuse(&mut self, reply: Reply, out: &mut Vec<u8>) -> Option<Step> {
        reply.write(out);
        if reply.is_protocol_error() {
            self.n_errors += 1;
        }
        if self.n_errors >= self.limits.errors {
            Reply::GivingUp.write(out);
            self.phase = Phase::Closed(Closing::GaveUp);
        }
        None
    }

    /// For what makes it impossible to say where the next command begins.
    fn give_up(&mut self, reply: Reply, out: &mut Vec<u8>) -> Option<Step> {
        reply.write(out);
        Reply::GivingUp.write(out);
        self.phase = Phase::Closed(Closing::GaveUp);
        None
    }
}

impl ChunkToCome {
    /// Takes octets of the chunk, and says whether more are needed.
    fn take(&mut self, input: &mut BytesMut, body: &mut Vec<u8>) -> Option<Step> {
        let n = usize::try_from(self.octets)
            .unwrap_or(usize::MAX)
            .min(input.len());
        if matches!(self.then, AfterChunk::Continue | AfterChunk::Deliver) {
            body.extend_from_slice(&input[..n]);
        }
        input.advance(n);
        self.octets -= n as u64;
        (self.octets > 0).then_some(Step::NeedInput)
    }
}

/// Octets that were taken go first.
fn body_or(body: &[u8], step: Option<Step>) -> Option<Step> {
    if body.is_empty() { step } else { Some(Step::Body) }
}

#[cfg(test)]
mod tests;
