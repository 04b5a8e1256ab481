//! The last line of a session, and what it takes to say it.

use restante_wire::response;

use crate::{CloseReason, DeleteSet, Receipts, Refusal, Removed};

/// The last words to a client, already decided.
#[derive(Debug)]
pub(crate) struct Farewell {
    words: Words,
    pub(crate) reason: CloseReason,
}

#[derive(Debug)]
enum Words {
    Deleted(usize),
    Goodbye,
    Refused(Refusal),
    Silence,
}

impl Farewell {
    /// `+OK` to a QUIT that deletes. There is no other way to say it than with the receipt.
    pub(crate) fn committed<R: Receipts>(receipt: &R::Committed) -> Self {
        Self {
            words: Words::Deleted(receipt.n_deleted()),
            reason: CloseReason::Quit,
        }
    }

    /// `+OK` to a QUIT with nothing to delete; `None` if there is something.
    pub(crate) fn unchanged(deletes: &DeleteSet) -> Option<Self> {
        deletes.is_empty().then_some(Self {
            words: Words::Goodbye,
            reason: CloseReason::Quit,
        })
    }

    /// `+OK` to a QUIT before a maildrop was opened.
    pub(crate) const fn before_login() -> Self {
        Self {
            words: Words::Goodbye,
            reason: CloseReason::Quit,
        }
    }

    /// `-ERR`.
    pub(crate) const fn refused(reason: CloseReason, refusal: Refusal) -> Self {
        Self {
            words: Words::Refused(refusal),
            reason,
        }
    }

    /// Not a word.
    pub(crate) const fn silent(reason: CloseReason) -> Self {
        Self {
            words: Words::Silence,
            reason,
        }
    }

    /// Why the session ends with `-ERR`, if it does.
    pub(crate) const fn refusal(&self) -> Option<Refusal> {
        match self.words {
            Words::Refused(refusal) => Some(refusal),
            Words::Deleted(_) | Words::Goodbye | Words::Silence => None,
        }
    }

    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.words, Words::Silence)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self.words {
            Words::Deleted(1) => response::ok(out, "1 message deleted"),
            Words::Deleted(n) => response::ok(out, &format!("{n} messages deleted")),
            Words::Goodbye => response::ok(out, "Goodbye"),
            Words::Refused(refusal) => refusal.write(out),
            Words::Silence => {}
        }
    }
}
