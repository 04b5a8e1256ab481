//! TRANSACTION state (RFC 1939 section 5). Pure: asks for bodies and commits, never fetches them.

use std::sync::Arc;

use restante_types::{MessageNumber, Octets};
use restante_wire::{Command, response};

use crate::command::{capa, lang, list};
use crate::leaving::Farewell;
use crate::session::{Context, State};
use crate::{Channel, CloseReason, Cut, DeleteSet, Entry, Opened, Receipts, Refusal, Request, Snapshot};

/// An open maildrop.
#[derive(Debug)]
pub(crate) struct Transaction {
    snapshot: Arc<Snapshot>,
    deletes: DeleteSet,
    may_delete: bool,
    own: capa::Own,
    channel: Channel,
    utf8: bool,
    /// A listing that is not finished yet.
    pub(crate) listing: Option<list::Listing>,
    /// The body that is being opened or sent.
    sending: Option<(MessageNumber, Cut)>,
}

impl Transaction {
    pub(crate) fn new(opened: Opened, channel: Channel, utf8: bool) -> Self {
        Self {
            deletes: DeleteSet::new(Arc::clone(&opened.snapshot)),
            snapshot: opened.snapshot,
            may_delete: opened.may_delete,
            own: capa::Own {
                expire: opened.expire,
                login_delay: opened.login_delay,
            },
            channel,
            utf8,
            listing: None,
            sending: None,
        }
    }

    pub(crate) fn command<R: Receipts>(mut self, command: Command, ctx: &mut Context<'_, R>) -> State {
        match command {
            Command::Stat => response::ok_stat(ctx.out, self.live_messages(), self.live_octets()),
            Command::List(None) => self.begin_listing(list::Listing::scan(), ctx),
            Command::Uidl(None) => self.begin_listing(list::Listing::unique_ids(), ctx),
            Command::List(Some(number)) => match self.live(number) {
                Some(entry) => response::ok_scan(ctx.out, number, entry.octets),
                None => ctx.refuse(Refusal::NoSuchMessage),
            },
            Command::Uidl(Some(number)) => match self.live(number) {
                Some(entry) => response::ok_unique_id(ctx.out, number, entry.unique_id),
                None => ctx.refuse(Refusal::NoSuchMessage),
            },
            Command::Retr(number) => self.begin_body(number, Cut::Whole, ctx),
            Command::Top { message, lines } => self.begin_body(message, Cut::Top { lines }, ctx),
            Command::Dele(number) => self.dele(number, ctx),
            Command::Rset => {
                self.deletes.clear();
                response::ok(ctx.out, "No message is marked as deleted");
            }
            Command::Noop => response::ok(ctx.out, ""),
            Command::Capa => capa::write(ctx, self.channel, self.own),
            Command::Lang(range) if ctx.policy.utf8 => lang::handle(range.as_deref(), ctx),
            Command::Quit => return self.quit(ctx),
            other => ctx.wrong_state(&other),
        }
        State::Transaction(self)
    }

    /// The only way to UPDATE (RFC 1939 section 6): a drop, a timeout or a drain is a release, never a commit.
    fn quit<R: Receipts>(self, ctx: &mut Context<'_, R>) -> State {
        if let Some(farewell) = Farewell::unchanged(&self.deletes) {
            return State::Releasing(ctx.release(farewell));
        }
        if !self.may_delete {
            let farewell = Farewell::refused(CloseReason::Quit, Refusal::ReadOnly);
            return State::Releasing(ctx.release(farewell));
        }
        ctx.ask(Request::Commit(self.deletes));
        State::Update
    }

    /// From now on nothing is deleted, not even what is marked already.
    pub(crate) const fn restrict(&mut self) {
        self.may_delete = false;
    }

    fn dele<R: Receipts>(&mut self, number: MessageNumber, ctx: &mut Context<'_, R>) {
        if !self.may_delete {
            ctx.refuse(Refusal::ReadOnly);
        } else if self.deletes.mark(number) {
            response::ok(ctx.out, "Message deleted");
        } else {
            ctx.refuse(Refusal::NoSuchMessage);
        }
    }

    fn begin_listing<R: Receipts>(&mut self, listing: list::Listing, ctx: &mut Context<'_, R>) {
        response::ok_stat(ctx.out, self.live_messages(), self.live_octets());
        self.listing = Some(listing);
    }

    /// Writes more of the unfinished listing, up to the high-water mark.
    pub(crate) fn go_on_listing(&mut self, out: &mut Vec<u8>, high_water: usize) {
        if let Some(listing) = self.listing.take() {
            self.listing = listing.write(&self.snapshot, &self.deletes, out, high_water);
        }
    }

    fn begin_body<R: Receipts>(&mut self, number: MessageNumber, cut: Cut, ctx: &mut Context<'_, R>) {
        match self.live(number) {
            None => ctx.refuse(Refusal::NoSuchMessage),
            Some(entry) if entry.needs_utf8 && ctx.policy.utf8 && !self.utf8 => {
                ctx.refuse(Refusal::NeedsUtf8);
            }
            Some(_) => {
                self.sending = Some((number, cut));
                ctx.ask(Request::Body { message: number, cut });
            }
        }
    }

    /// The body is open: announces it and asks for it to be sent.
    pub(crate) fn body_opened<R: Receipts>(&mut self, ctx: &mut Context<'_, R>) {
        let Some((number, cut)) = self.sending else {
            return;
        };
        match (cut, self.live(number)) {
            (Cut::Whole, Some(entry)) => response::ok_body(ctx.out, entry.octets),
            _ => response::ok(ctx.out, "Top of message follows"),
        }
        ctx.ask(Request::Send);
    }

    pub(crate) fn body_refused<R: Receipts>(&mut self, refusal: Refusal, ctx: &mut Context<'_, R>) {
        ctx.refuse(refusal);
        self.sending = None;
    }

    /// Ends a body. Only a verified one has an end (RFC 1939 section 3).
    pub(crate) fn body_sent<R: Receipts>(&mut self, _verified: R::Verified, ctx: &mut Context<'_, R>) {
        let Some((number, cut)) = self.sending.take() else {
            return;
        };
        response::terminator(ctx.out);
        match cut {
            Cut::Whole => {
                ctx.summary.n_retrieved += 1;
                ctx.summary.retrieved += self.live(number).map_or(Octets::ZERO, |entry| entry.octets);
            }
            Cut::Top { .. } => ctx.summary.n_tops += 1,
        }
    }

    fn live(&self, number: MessageNumber) -> Option<Entry<'_>> {
        self.snapshot
            .entry(number)
            .filter(|_| !self.deletes.contains(number))
    }

    fn live_messages(&self) -> usize {
        self.snapshot.len() - self.deletes.len()
    }

    fn live_octets(&self) -> Octets {
        self.snapshot.octets() - self.deletes.octets()
    }
}
