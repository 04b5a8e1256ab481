//! A server's reply as a client reads it.
//!
//! The other direction of [`crate::response`], for test clients and probes. Multi-line bodies are
//! [`crate::DotUnstuffer`]'s.

use crate::RespCode;

/// The first line of a reply, RFC 1939 section 3 and RFC 2449 section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// `+OK` or `-ERR`.
    pub ok: bool,
    /// The response code of an error, if it is one that [`RespCode`] knows.
    pub code: Option<RespCode>,
    /// What follows the indicator and a known code.
    pub text: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads a line without its CRLF; `None` if it is no status line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        if let Some(text) = after_indicator(line, b"+OK") {
            return Some(Self {
                ok: true,
                code: None,
                text,
            });
        }
        let text = after_indicator(line, b"-ERR")?;
        let (code, text) = split_code(text);
        Some(Self {
            ok: false,
            code,
            text,
        })
    }

    /// Reads a SASL challenge, `+ base64`; `None` if the line is none. The base64 is not decoded.
    pub fn challenge(line: &'a [u8]) -> Option<&'a [u8]> {
        line.strip_prefix(b"+ ")
    }
}

/// What follows the indicator and one space. `+OKAY` has no indicator.
fn after_indicator<'a>(line: &'a [u8], indicator: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(indicator)? {
        [] => Some(&[]),
        [b' ', text @ ..] => Some(text),
        _ => None,
    }
}

fn split_code(text: &[u8]) -> (Option<RespCode>, &[u8]) {
    let Some((name, rest)) = text
        .strip_prefix(b"[")
        .and_then(|text| memchr::memchr(b']', text).map(|end| (&text[..end], &text[end + 1..])))
    else {
        return (None, text);
    };
    let known = RespCode::ALL
        .iter()
        .copied()
        .find(|code| code.as_str().as_bytes().eq_ignore_ascii_case(name));
    match known {
        Some(code) => (Some(code), rest.strip_prefix(b" ").unwrap_or(rest)),
        None => (None, text),
    }
}
