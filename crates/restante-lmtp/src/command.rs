//! The grammar of LMTP's commands (RFC 2033 over RFC 5321, with RFC 1870, 3030, 6152 and 6531).
//!
//! Reads one line; whether a command has its place now is the session's matter. Start at [`Command::parse`].

use restante_types::Octets;

use crate::path::{self, Mailbox, Path, PathError};
use crate::reply::Reply;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Lhlo,
    Mail(Mail),
    Rcpt(Mailbox),
    Data,
    Bdat(Chunk),
    Rset,
    Noop,
    Quit,
    Vrfy,
    Help,
}

/// What MAIL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Where bounces go.
    pub(crate) reverse_path: Path,
    /// SIZE: how long the message will be, to the sender's knowledge (RFC 1870).
    pub(crate) size: Option<Octets>,
    /// SMTPUTF8: addresses and header may be UTF-8 (RFC 6531).
    pub(crate) smtputf8: bool,
}

/// What BDAT says (RFC 3030 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// How many octets follow the line.
    pub(crate) octets: u64,
    /// Whether they are the last ones of the message.
    pub(crate) is_last: bool,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// Answer so and go on.
    Refused(Reply),
    /// BDAT without a readable size: nobody knows where the next command begins.
    LostStep,
}

impl From<Reply> for CommandError {
    fn from(reply: Reply) -> Self {
        Self::Refused(reply)
    }
}

impl Command {
    /// Reads a line without its CRLF. `smtputf8` says whether the transaction's MAIL had SMTPUTF8.
    pub(crate) fn parse(line: &[u8], smtputf8: bool) -> Result<Self, CommandError> {
        let line = trim_end(line);
        let (verb, arguments) = match line.iter().position(|&octet| octet == b' ') {
            Some(place) => (&line[..place], &line[place + 1..]),
            None => (line, &line[line.len()..]),
        };
        let verb = verb.to_ascii_uppercase();
        if verb == b"BDAT" {
            return Chunk::parse(arguments)
                .map(Self::Bdat)
                .ok_or(CommandError::LostStep);
        }
        if line.iter().any(u8::is_ascii_control) {
            return Err(Reply::Unrecognised.into());
        }
        let command = match verb.as_slice() {
            b"LHLO" if arguments.is_empty() => Err(Reply::BadArguments),
            b"LHLO" => Ok(Self::Lhlo),
            b"MAIL" => Mail::parse(arguments).map(Self::Mail),
            b"RCPT" => forward_path(arguments, smtputf8).map(Self::Rcpt),
            b"DATA" => alone(arguments, Self::Data),
            b"RSET" => alone(arguments, Self::Rset),
            b"QUIT" => alone(arguments, Self::Quit),
            b"NOOP" => Ok(Self::Noop),
            b"VRFY" => Ok(Self::Vrfy),
            b"HELP" => Ok(Self::Help),
            b"HELO" | b"EHLO" => Err(Reply::UseLhlo),
            b"STARTTLS" | b"AUTH" | b"EXPN" | b"ETRN" | b"TURN" => Err(Reply::NotImplemented),
            _ => Err(Reply::Unrecognised),
        };
        command.map_err(CommandError::Refused)
    }
}

/// RFC 5321 section 4.1.1: blanks at the end of a line are tolerated.
fn trim_end(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|&octet| octet != b' ')
        .map_or(0, |last| last + 1);
    &line[..end]
}

fn alone(arguments: &[u8], command: Command) -> Result<Command, Reply> {
    if arguments.is_empty() {
        Ok(command)
    } else {
        Err(Reply::BadArguments)
    }
}

/// Takes `keyword` off the front, whatever its case.
fn after_keyword<'a>(arguments: &'a [u8], keyword: &[u8]) -> Result<&'a [u8], Reply> {
    match arguments.split_at_checked(keyword.len()) {
        Some((found, rest)) if found.eq_ignore_ascii_case(keyword) => Ok(rest),
        _ => Err(Reply::BadArguments),
    }
}

/// The parameters behind a path.
fn parameters(rest: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Reply> {
    if !rest.is_empty() && !rest.starts_with(b" ") {
        return Err(Reply::BadArguments);
    }
    Ok(rest.split(|&octet| octet == b' ').filter(|word| !word.is_empty()))
}

fn forward_path(arguments: &[u8], smtputf8: bool) -> Result<Mailbox, Reply> {
    let (path, rest) = path::split(after_keyword(arguments, b"TO:")?).map_err(|_| Reply::BadForwardPath)?;
    let Path::Mailbox(mailbox) = path
        .parse(smtputf8)
        .map_err(|error| refusal(error, Reply::BadForwardPath))?
    else {
        return Err(Reply::BadForwardPath);
    };
    // No offered extension has a parameter for RCPT.
    if parameters(rest)?.next().is_some() {
        return Err(Reply::UnknownParameter);
    }
    Ok(mailbox)
}

const fn refusal(error: PathError, syntax: Reply) -> Reply {
    match error {
        PathError::Syntax => syntax,
        PathError::NeedsSmtpUtf8 => Reply::NeedsSmtpUtf8,
    }
}

impl Mail {
    fn parse(arguments: &[u8]) -> Result<Self, Reply> {
        let (path, rest) =
            path::split(after_keyword(arguments, b"FROM:")?).map_err(|_| Reply::BadReversePath)?;
        let mut size = None;
        let mut body = None;
        let mut smtputf8 = None;
        for parameter in parameters(rest)? {
            let (name, value) = match parameter.iter().position(|&octet| octet == b'=') {
                Some(place) => (&parameter[..place], Some(&parameter[place + 1..])),
                None => (parameter, None),
            };
            match (name.to_ascii_uppercase().as_slice(), value) {
                (b"SIZE", Some(value)) => once(&mut size, number(value))?,
                (b"BODY", Some(value)) => once(&mut body, body_type(value))?,
                (b"SMTPUTF8", None) => once(&mut smtputf8, Some(()))?,
                (b"SIZE" | b"BODY" | b"SMTPUTF8", _) => return Err(Reply::BadArguments),
                _ => return Err(Reply::UnknownParameter),
            }
        }
        let smtputf8 = smtputf8.is_some();
        let reverse_path = path
            .parse(smtputf8)
            .map_err(|error| refusal(error, Reply::BadReversePath))?;
        Ok(Self {
            reverse_path,
            size: size.map(Octets),
            smtputf8,
        })
    }
}

/// Sets a parameter that may stand once and whose value could be read.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Reply> {
    if place.is_some() || value.is_none() {
        return Err(Reply::BadArguments);
    }
    *place = value;
    Ok(())
}

/// RFC 6152. Both are taken as they come: a message is octets here.
fn body_type(value: &[u8]) -> Option<()> {
    (value.eq_ignore_ascii_case(b"7BIT") || value.eq_ignore_ascii_case(b"8BITMIME")).then_some(())
}

/// 1 to 20 digits (RFC 1870 section 3). What passes 64 bits is as good as endless.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

impl Chunk {
    fn parse(arguments: &[u8]) -> Option<Self> {
        let mut words = arguments
            .split(|&octet| octet == b' ')
            .filter(|word| !word.is_empty());
        let octets = number(words.next()?)?;
        let is_last = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self { octets, is_last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Reply {
        match Command::parse(line.as_bytes(), false) {
            Err(CommandError::Refused(reply)) => reply,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn verbs_have_any_case_and_blanks_at_the_end_are_nothing() {
        for line in ["DATA", "data", "DaTa  "] {
            assert_eq!(
                Command::parse(line.as_bytes(), false),
                Ok(Command::Data),
                "{line}"
            );
        }
        for (line, command) in [("NOOP anything", Command::Noop), ("HELP me", Command::Help)] {
            assert_eq!(Command::parse(line.as_bytes(), false), Ok(command), "{line}");
        }
    }

    #[test]
    fn mail_reads_its_parameters() {
        let line = b"mail from:<> size=500 body=8bitmime SMTPUTF8";
        let expected = Mail {
            reverse_path: Path::Null,
            size: Some(Octets(500)),
            smtputf8: true,
        };
        assert_eq!(Command::parse(line, false), Ok(Command::Mail(expected)));
    }

    #[test]
    fn refusals_have_the_code_of_their_reason() {
        for (line, reply) in [
            ("", Reply::Unrecognised),
            ("XYZZY", Reply::Unrecognised),
            ("NOOP\0", Reply::Unrecognised),
            ("NO\rOP", Reply::Unrecognised),
            (" NOOP", Reply::Unrecognised),
            ("LHLO", Reply::BadArguments),
            ("EHLO c.example", Reply::UseLhlo),
            ("HELO c.example", Reply::UseLhlo),
            ("STARTTLS", Reply::NotImplemented),
            ("DATA now", Reply::BadArguments),
            ("RSET now", Reply::BadArguments),
            ("MAIL", Reply::BadArguments),
            ("MAIL TO:<a@b.example>", Reply::BadArguments),
            ("MAIL FROM: <a@b.example>", Reply::BadReversePath),
            ("MAIL FROM:<a@b.example>SIZE=1", Reply::BadArguments),
            ("MAIL FROM:<> SIZE=", Reply::BadArguments),
            ("MAIL FROM:<> SIZE", Reply::BadArguments),
            ("MAIL FROM:<> SIZE=-1", Reply::BadArguments),
            ("MAIL FROM:<> SIZE=999999999999999999999", Reply::BadArguments),
            ("MAIL FROM:<> SIZE=1 SIZE=1", Reply::BadArguments),
            ("MAIL FROM:<> BODY=BINARYMIME", Reply::BadArguments),
            ("MAIL FROM:<> SMTPUTF8=1", Reply::BadArguments),
            ("MAIL FROM:<> AUTH=<>", Reply::UnknownParameter),
            ("MAIL FROM:<ü@b.example>", Reply::NeedsSmtpUtf8),
            ("RCPT TO:<>", Reply::BadForwardPath),
            ("RCPT TO:<ü@b.example>", Reply::NeedsSmtpUtf8),
            ("RCPT TO:<a@b.example> NOTIFY=NEVER", Reply::UnknownParameter),
        ] {
            assert_eq!(refused(line), reply, "{line}");
        }
    }

    #[test]
    fn bdat_whose_size_cannot_be_read_loses_the_step() {
        for line in [
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT +1",
            "BDAT 5 FIRST",
            "BDAT 5 LAST x",
            "BDAT 5\t",
            "BDAT 999999999999999999999",
        ] {
            assert_eq!(
                Command::parse(line.as_bytes(), false),
                Err(CommandError::LostStep),
                "{line}"
            );
        }
        let chunk = Chunk {
            octets: u64::MAX,
            is_last: true,
        };
        assert_eq!(
            Command::parse(b"bdat 18446744073709551615 last", false),
            Ok(Command::Bdat(chunk))
        );
    }
}
