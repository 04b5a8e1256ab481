//! The grammar of the arguments, one function per row of the command table.
//!
//! The text that arrives here is what follows the verb and one space, or `None` if there was no space. It holds no
//! control character.

use restante_types::{MessageNumber, Secret};

use crate::{Command, ParseError, Verb};

/// Reads what follows the verb.
pub(crate) type Grammar = fn(Option<&[u8]>) -> Result<Command, ParseError>;

type Parsed = Result<Command, ParseError>;

/// The longest name of a SASL mechanism, RFC 4422 section 3.1.
const MECHANISM_OCTETS: usize = 20;

pub(crate) fn auth(text: Option<&[u8]>) -> Parsed {
    let (mechanism, initial) = match words(Verb::Auth, text)? {
        [None, ..] => (None, None),
        [Some(name), initial, None] => (
            Some(mechanism(name)?),
            initial.map(|text| Secret::new(text.to_vec())),
        ),
        [_, _, Some(_)] => return Err(ParseError::Syntax(Verb::Auth)),
    };
    Ok(Command::Auth { mechanism, initial })
}

pub(crate) fn capa(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Capa, text).map(|()| Command::Capa)
}

pub(crate) fn dele(text: Option<&[u8]>) -> Parsed {
    message(Verb::Dele, text).map(Command::Dele)
}

pub(crate) fn lang(text: Option<&[u8]>) -> Parsed {
    optional_word(Verb::Lang, text)?
        .map(language_range)
        .transpose()
        .map(Command::Lang)
}

pub(crate) fn list(text: Option<&[u8]>) -> Parsed {
    optional_message(Verb::List, text).map(Command::List)
}

pub(crate) fn noop(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Noop, text).map(|()| Command::Noop)
}

/// A password may hold spaces anywhere, RFC 1939 section 7, so nothing is trimmed.
pub(crate) fn pass(text: Option<&[u8]>) -> Parsed {
    let password = text.ok_or(ParseError::Syntax(Verb::Pass))?;
    Ok(Command::Pass(Secret::new(password.to_vec())))
}

pub(crate) fn quit(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Quit, text).map(|()| Command::Quit)
}

pub(crate) fn retr(text: Option<&[u8]>) -> Parsed {
    message(Verb::Retr, text).map(Command::Retr)
}

pub(crate) fn rset(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Rset, text).map(|()| Command::Rset)
}

pub(crate) fn stat(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Stat, text).map(|()| Command::Stat)
}

pub(crate) fn stls(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Stls, text).map(|()| Command::Stls)
}

pub(crate) fn top(text: Option<&[u8]>) -> Parsed {
    match words(Verb::Top, text)? {
        [Some(number), Some(lines), None] => Ok(Command::Top {
            message: message_number(Verb::Top, number)?,
            lines: line_count(lines)?,
        }),
        _ => Err(ParseError::Syntax(Verb::Top)),
    }
}

pub(crate) fn uidl(text: Option<&[u8]>) -> Parsed {
    optional_message(Verb::Uidl, text).map(Command::Uidl)
}

pub(crate) fn user(text: Option<&[u8]>) -> Parsed {
    match text.map(trimmed) {
        None | Some([] | [b' ', ..]) => Err(ParseError::Syntax(Verb::User)),
        Some(name) => Ok(Command::User(name.to_vec())),
    }
}

pub(crate) fn utf8(text: Option<&[u8]>) -> Parsed {
    nothing(Verb::Utf8, text).map(|()| Command::Utf8)
}

/// The text without the one trailing space that some clients send.
fn trimmed(text: &[u8]) -> &[u8] {
    text.strip_suffix(b" ").unwrap_or(text)
}

/// Up to three words with exactly one space between them. The third is there to be refused.
fn words(verb: Verb, text: Option<&[u8]>) -> Result<[Option<&[u8]>; 3], ParseError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok([None; 3]);
    };
    let mut parts = trimmed(text).splitn(3, |&octet| octet == b' ');
    let words = [parts.next(), parts.next(), parts.next()];
    if words.iter().flatten().any(|word| word.is_empty()) {
        return Err(ParseError::Syntax(verb));
    }
    Ok(words)
}

fn nothing(verb: Verb, text: Option<&[u8]>) -> Result<(), ParseError> {
    match optional_word(verb, text)? {
        None => Ok(()),
        Some(_) => Err(ParseError::Syntax(verb)),
    }
}

fn optional_word(verb: Verb, text: Option<&[u8]>) -> Result<Option<&[u8]>, ParseError> {
    match words(verb, text)? {
        [word, None, None] => Ok(word),
        _ => Err(ParseError::Syntax(verb)),
    }
}

fn optional_message(verb: Verb, text: Option<&[u8]>) -> Result<Option<MessageNumber>, ParseError> {
    optional_word(verb, text)?
        .map(|word| message_number(verb, word))
        .transpose()
}

fn message(verb: Verb, text: Option<&[u8]>) -> Result<MessageNumber, ParseError> {
    optional_message(verb, text)?.ok_or(ParseError::Syntax(verb))
}

fn message_number(verb: Verb, word: &[u8]) -> Result<MessageNumber, ParseError> {
    MessageNumber::parse(word).ok_or(ParseError::NoSuchMessage(verb))
}

/// A number of lines. No message has `u64::MAX` lines, so a larger number means the same: all of them.
fn line_count(word: &[u8]) -> Result<u64, ParseError> {
    word.iter().try_fold(0_u64, |count, octet| match octet {
        b'0'..=b'9' => Ok(count.saturating_mul(10).saturating_add(u64::from(octet - b'0'))),
        _ => Err(ParseError::Syntax(Verb::Top)),
    })
}

fn mechanism(word: &[u8]) -> Result<String, ParseError> {
    let known = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if word.len() > MECHANISM_OCTETS || !word.iter().all(known) {
        return Err(ParseError::Syntax(Verb::Auth));
    }
    Ok(word
        .iter()
        .map(|octet| char::from(octet.to_ascii_uppercase()))
        .collect())
}

fn language_range(word: &[u8]) -> Result<String, ParseError> {
    let known = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'*');
    if !word.iter().all(known) {
        return Err(ParseError::Syntax(Verb::Lang));
    }
    Ok(word.iter().copied().map(char::from).collect())
}
