//! One client line as a typed command.
//!
//! Checks form only; the session decides what is allowed. Start at [`Command::parse`]; the table is in `verb.rs`, the
//! grammar of the arguments in `arguments.rs`.

use restante_types::{MessageNumber, Secret};

use crate::Verb;

/// A command that is well formed. `Debug` shows neither passwords nor SASL responses.
#[derive(Debug)]
pub enum Command {
    /// AUTH, RFC 5034; without a mechanism it asks for the list of mechanisms, as older clients do.
    Auth {
        /// Name of the mechanism in upper case, 1 to 20 octets of `A-Z 0-9 - _`.
        mechanism: Option<String>,
        /// The initial response as sent: base64 that is not decoded yet, or `=` for an empty response.
        initial: Option<Secret<Vec<u8>>>,
    },
    /// CAPA, RFC 2449.
    Capa,
    /// DELE.
    Dele(MessageNumber),
    /// LANG, RFC 6856: a language range to select, or nothing to list the languages.
    Lang(Option<String>),
    /// LIST, of one message or of all.
    List(Option<MessageNumber>),
    /// NOOP.
    Noop,
    /// PASS: the rest of the line with every space it has. May be empty.
    Pass(Secret<Vec<u8>>),
    /// QUIT.
    Quit,
    /// RETR.
    Retr(MessageNumber),
    /// RSET.
    Rset,
    /// STAT.
    Stat,
    /// STLS, RFC 2595.
    Stls,
    /// TOP.
    Top {
        /// The message.
        message: MessageNumber,
        /// Lines of the body wanted; a larger number than `u64::MAX` has become `u64::MAX`.
        lines: u64,
    },
    /// UIDL, of one message or of all.
    Uidl(Option<MessageNumber>),
    /// USER: at least one octet, not checked for UTF-8.
    User(Vec<u8>),
    /// UTF8, RFC 6856.
    Utf8,
}

/// Why a line is no command. Holds nothing that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The line has no octets.
    #[error("empty line")]
    Empty,
    /// The first word is no verb.
    #[error("unknown command")]
    Unknown,
    /// The arguments are not what the verb takes, or the line has a control character.
    #[error("syntax error in arguments of {0}")]
    Syntax(Verb),
    /// The message number is no plain decimal from 1 to `u32::MAX`, so it can name no message.
    #[error("no such message for {0}")]
    NoSuchMessage(Verb),
}

impl ParseError {
    /// The command that the line was meant to be, where its first word names one.
    pub const fn verb(self) -> Option<Verb> {
        match self {
            Self::Empty | Self::Unknown => None,
            Self::Syntax(verb) | Self::NoSuchMessage(verb) => Some(verb),
        }
    }
}

impl Command {
    /// Reads one line, without its line end.
    ///
    /// The verb is read without regard to case; exactly one space stands before each argument; one space at the end
    /// of the line is tolerated. Control characters are refused, never removed: `PASS foo\rbar` is not `foobar`.
    ///
    /// # Errors
    /// [`ParseError`] says which rule the line breaks.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        if line.is_empty() {
            return Err(ParseError::Empty);
        }
        let (word, text) = match memchr::memchr(b' ', line) {
            Some(space) => (&line[..space], Some(&line[space + 1..])),
            None => (line, None),
        };
        let verb = Verb::named(word).ok_or(ParseError::Unknown)?;
        if text.is_some_and(|text| text.iter().any(u8::is_ascii_control)) {
            return Err(ParseError::Syntax(verb));
        }
        verb.grammar()(text)
    }

    /// The row of the command table that this command belongs to.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Auth { .. } => Verb::Auth,
            Self::Capa => Verb::Capa,
            Self::Dele(_) => Verb::Dele,
            Self::Lang(_) => Verb::Lang,
            Self::List(_) => Verb::List,
            Self::Noop => Verb::Noop,
            Self::Pass(_) => Verb::Pass,
            Self::Quit => Verb::Quit,
            Self::Retr(_) => Verb::Retr,
            Self::Rset => Verb::Rset,
            Self::Stat => Verb::Stat,
            Self::Stls => Verb::Stls,
            Self::Top { .. } => Verb::Top,
            Self::Uidl(_) => Verb::Uidl,
            Self::User(_) => Verb::User,
            Self::Utf8 => Verb::Utf8,
        }
    }
}
