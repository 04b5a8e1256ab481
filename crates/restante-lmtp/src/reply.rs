//! Every reply that LMTP gives, in one table: code, enhanced code (RFC 2034, RFC 3463) and text.
//!
//! No octet from a client is ever part of a reply. Start at [`Reply::parts`].

use std::fmt::Display;

use restante_telemetry::DeliveryJudged;
use restante_types::Octets;

/// A reply of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// HELP.
    Help,
    /// QUIT.
    GoodBye,
    /// RSET, NOOP.
    Ok,
    /// MAIL.
    SenderOk,
    /// RCPT.
    RecipientOk,
    /// BDAT that is not the last.
    ChunkTaken,
    /// A recipient has the message, durably.
    Delivered,
    /// A recipient had the message already, durably.
    DeliveredBefore,
    /// VRFY.
    NotVerified,
    /// DATA.
    SendData,
    /// The server is going down.
    Draining,
    /// The client was silent for too long.
    IdleTooLong,
    /// The client cannot be followed any more.
    GivingUp,
    /// The account takes no mail now.
    Suspended,
    /// The directory or a storage cannot be asked, or failed.
    Trouble,
    /// A storage or the spool has no room.
    StorageFull,
    /// The maildrop has no room.
    OverQuota,
    /// One recipient more than a transaction may have.
    TooManyRecipients,
    /// Not a command, or not a line.
    Unrecognised,
    /// The line is longer than allowed.
    LineTooLong,
    /// The line does not end with CRLF.
    BareLf,
    /// HELO or EHLO.
    UseLhlo,
    /// A command of SMTP that is not offered here.
    NotImplemented,
    /// An argument that cannot be read.
    BadArguments,
    /// A reverse-path that cannot be read.
    BadReversePath,
    /// A forward-path that cannot be read.
    BadForwardPath,
    /// A command that has no place here.
    BadSequence,
    /// DATA or BDAT without a recipient.
    NoRecipients,
    /// A parameter that was not offered.
    UnknownParameter,
    /// No account receives mail for this address.
    NoSuchUser,
    /// The account is closed.
    Closed,
    /// More octets than a message may have.
    TooLarge,
    /// An address with octets above 0x7F without SMTPUTF8.
    NeedsSmtpUtf8,
}

impl Reply {
    /// The name in records and metrics of what became of a recipient.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Delivered => DeliveryJudged::DELIVERED,
            Self::DeliveredBefore => "repeated",
            Self::Suspended => "suspended",
            Self::Trouble => "trouble",
            Self::StorageFull => "storage_full",
            Self::OverQuota => "over_quota",
            Self::NoSuchUser => "no_such_user",
            Self::Closed => "closed",
            Self::TooLarge => "too_large",
            Self::NeedsSmtpUtf8 => "needs_smtputf8",
            _ => "refused",
        }
    }

    /// The table.
    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Help => (214, "2.0.0", "LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP"),
            Self::GoodBye => (221, "2.0.0", "closing connection"),
            Self::Ok => (250, "2.0.0", "OK"),
            Self::SenderOk => (250, "2.1.0", "sender OK"),
            Self::RecipientOk => (250, "2.1.5", "recipient OK"),
            Self::ChunkTaken => (250, "2.0.0", "octets taken"),
            Self::Delivered => (250, "2.0.0", "delivered"),
            Self::DeliveredBefore => (250, "2.0.0", "delivered before"),
            Self::NotVerified => (252, "2.0.0", "cannot verify, send the message"),
            Self::SendData => (354, "", "start mail input; end with <CRLF>.<CRLF>"),
            Self::Draining => (421, "4.3.2", "server shutting down, try again"),
            Self::IdleTooLong => (421, "4.4.2", "idle for too long"),
            Self::GivingUp => (421, "4.7.0", "closing connection"),
            Self::Suspended => (450, "4.2.1", "mailbox takes no mail now, try again later"),
            Self::Trouble => (451, "4.3.0", "temporary trouble, try again later"),
            Self::StorageFull => (452, "4.3.1", "storage is full, try again later"),
            Self::OverQuota => (452, "4.2.2", "mailbox is full"),
            Self::TooManyRecipients => (452, "4.5.3", "too many recipients"),
            Self::Unrecognised => (500, "5.5.2", "command not recognised"),
            Self::LineTooLong => (500, "5.5.2", "line too long"),
            Self::BareLf => (500, "5.5.2", "lines end with CR LF"),
            Self::UseLhlo => (500, "5.5.1", "this is LMTP, use LHLO"),
            Self::NotImplemented => (502, "5.5.1", "command not implemented"),
            Self::BadArguments => (501, "5.5.4", "syntax error in arguments"),
            Self::BadReversePath => (501, "5.1.7", "syntax error in sender address"),
            Self::BadForwardPath => (501, "5.1.3", "syntax error in recipient address"),
            Self::BadSequence => (503, "5.5.1", "bad sequence of commands"),
            Self::NoRecipients => (503, "5.5.1", "no valid recipients"),
            Self::UnknownParameter => (555, "5.5.4", "parameter not recognised"),
            Self::NoSuchUser => (550, "5.1.1", "no such user"),
            Self::Closed => (550, "5.2.1", "mailbox is closed"),
            Self::TooLarge => (552, "5.3.4", "message too large"),
            Self::NeedsSmtpUtf8 => (553, "5.6.7", "address needs SMTPUTF8"),
        }
    }

    /// The code, as logs name the result.
    pub(crate) const fn code(self) -> u16 {
        self.parts().0
    }

    /// Whether it says that the client does not speak the protocol; too many of these end the connection.
    ///
    /// A refused recipient is no such thing: a sender with a long list may have many.
    pub(crate) const fn is_protocol_error(self) -> bool {
        matches!(self.code(), 500..=503 | 555)
    }

    /// Appends the line.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (code, enhanced, text) = self.parts();
        let space = if enhanced.is_empty() { "" } else { " " };
        push_line(out, format_args!("{code} {enhanced}{space}{text}"));
    }
}

/// Appends the greeting. It has no enhanced code (RFC 2034 section 4).
pub(crate) fn write_greeting(hostname: &str, out: &mut Vec<u8>) {
    push_line(out, format_args!("220 {hostname} LMTP ready"));
}

/// Appends the reply to LHLO: what is offered.
pub(crate) fn write_extensions(hostname: &str, max_octets: Octets, out: &mut Vec<u8>) {
    push_line(out, format_args!("250-{hostname}"));
    for extension in [
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "SMTPUTF8",
        "CHUNKING",
    ] {
        push_line(out, format_args!("250-{extension}"));
    }
    push_line(out, format_args!("250 SIZE {max_octets}"));
}

fn push_line(out: &mut Vec<u8>, text: impl Display) {
    out.extend_from_slice(text.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_its_enhanced_code_has_the_class_of_its_code() {
        let replies = [
            Reply::Help,
            Reply::GoodBye,
            Reply::Ok,
            Reply::SenderOk,
            Reply::RecipientOk,
            Reply::ChunkTaken,
            Reply::Delivered,
            Reply::DeliveredBefore,
            Reply::NotVerified,
            Reply::Draining,
            Reply::IdleTooLong,
            Reply::GivingUp,
            Reply::Suspended,
            Reply::Trouble,
            Reply::StorageFull,
            Reply::OverQuota,
            Reply::TooManyRecipients,
            Reply::Unrecognised,
            Reply::LineTooLong,
            Reply::BareLf,
            Reply::UseLhlo,
            Reply::NotImplemented,
            Reply::BadArguments,
            Reply::BadReversePath,
            Reply::BadForwardPath,
            Reply::BadSequence,
            Reply::NoRecipients,
            Reply::UnknownParameter,
            Reply::NoSuchUser,
            Reply::Closed,
            Reply::TooLarge,
            Reply::NeedsSmtpUtf8,
        ];
        for reply in replies {
            let mut line = Vec::new();
            reply.write(&mut line);
            assert!(
                line.len() <= 512 && line.is_ascii() && line.ends_with(b"\r\n"),
                "{reply:?}"
            );
            assert_eq!(line[0], line[4], "{reply:?}");
        }
    }

    #[test]
    fn the_intermediate_reply_has_no_enhanced_code() {
        let mut line = Vec::new();
        Reply::SendData.write(&mut line);
        assert!(line.starts_with(b"354 start"));
    }
}
