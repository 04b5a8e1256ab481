//! Reverse-paths and forward-paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//!
//! Reads the form only; whether anybody lives there is the directory's matter. Start at [`parse`].

/// What stands between `<` and `>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `<>`: the sender of bounces.
    Null,
    /// An address.
    Mailbox(Mailbox),
}

/// An address in its parts, as the client wrote them. A source route is dropped (RFC 5321 appendix C).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// The whole, quotes included.
    pub(crate) text: String,
    /// The local part without quotes.
    pub(crate) local_part: String,
    /// The domain or address literal; empty for `<Postmaster>` alone.
    pub(crate) domain: String,
}

/// Why a path cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// It breaks the grammar.
    Syntax,
    /// It has octets above 0x7F, which need SMTPUTF8.
    NeedsSmtpUtf8,
}

/// Octets of a path and what follows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawPath<'a> {
    inner: &'a [u8],
}

/// Splits `<path>` off the front of `input`; what follows is returned too.
pub(crate) fn split(input: &[u8]) -> Result<(RawPath<'_>, &[u8]), PathError> {
    let Some((b'<', rest)) = input.split_first() else {
        return Err(PathError::Syntax);
    };
    let end = end_of_path(rest).ok_or(PathError::Syntax)?;
    Ok((RawPath { inner: &rest[..end] }, &rest[end + 1..]))
}

/// Where the `>` stands that no quotes enclose.
fn end_of_path(octets: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (place, &octet) in octets.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(place),
            _ => {}
        }
    }
    None
}

impl RawPath<'_> {
    /// Reads the path; octets above 0x7F are read only where `smtputf8` says so.
    pub(crate) fn parse(self, smtputf8: bool) -> Result<Path, PathError> {
        if self.inner.is_empty() {
            return Ok(Path::Null);
        }
        if !smtputf8 && !self.inner.is_ascii() {
            return Err(PathError::NeedsSmtpUtf8);
        }
        let text = str::from_utf8(self.inner).map_err(|_| PathError::Syntax)?;
        Mailbox::parse(without_route(text)?).map(Path::Mailbox)
    }
}

/// Drops `@relay,@relay:`.
fn without_route(text: &str) -> Result<&str, PathError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let (route, mailbox) = text.split_once(':').ok_or(PathError::Syntax)?;
    let hops_are_domains = route
        .split(',')
        .all(|hop| hop.strip_prefix('@').is_some_and(is_domain_or_literal));
    if hops_are_domains {
        Ok(mailbox)
    } else {
        Err(PathError::Syntax)
    }
}

impl Mailbox {
    fn parse(text: &str) -> Result<Self, PathError> {
        let (local_part, after) = if text.starts_with('"') {
            quoted_string(text)?
        } else {
            dot_string(text)?
        };
        let domain = match after.strip_prefix('@') {
            Some(domain) if is_domain_or_literal(domain) => domain,
            // RFC 5321 section 4.1.1.3: the one address that needs no domain.
            None if after.is_empty() && local_part.eq_ignore_ascii_case("postmaster") => "",
            _ => return Err(PathError::Syntax),
        };
        Ok(Self {
            text: text.to_owned(),
            local_part,
            domain: domain.to_owned(),
        })
    }
}

/// Reads `"..."` and answers its content and what follows.
fn quoted_string(text: &str) -> Result<(String, &str), PathError> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((content, text.get(place + 1..).unwrap_or_default())),
            '\\' => content.push(characters.next().ok_or(PathError::Syntax)?.1),
            _ => content.push(character),
        }
    }
    Err(PathError::Syntax)
}

/// Reads atoms and dots up to the `@`. Dots may stand anywhere: there are senders that live at such addresses.
fn dot_string(text: &str) -> Result<(String, &str), PathError> {
    let is_atext = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let end = text.find('@').unwrap_or(text.len());
    let (local_part, after) = text.split_at(end);
    if local_part.is_empty() || !local_part.chars().all(is_atext) {
        return Err(PathError::Syntax);
    }
    Ok((local_part.to_owned(), after))
}

fn is_domain_or_literal(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return !literal.is_empty()
            && literal
                .chars()
                .all(|c| c.is_ascii_graphic() && !"[]\\<>@".contains(c));
    }
    let is_letter = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._".contains(c);
    !domain.is_empty() && domain.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, smtputf8: bool) -> Result<Path, PathError> {
        let (path, rest) = split(text.as_bytes())?;
        assert!(rest.is_empty(), "{text}");
        path.parse(smtputf8)
    }

    fn mailbox(text: &str) -> (String, String) {
        match parse(text, true) {
            Ok(Path::Mailbox(mailbox)) => (mailbox.local_part, mailbox.domain),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses_are_read_in_their_parts() {
        for (text, local_part, domain) in [
            ("<ann@a.example>", "ann", "a.example"),
            ("<a+b=c!d/e%f@a.example>", "a+b=c!d/e%f", "a.example"),
            ("<.a..b.@a.example>", ".a..b.", "a.example"),
            ("<@r1.example,@r2.example:ann@a.example>", "ann", "a.example"),
            (r#"<"ann"@a.example>"#, "ann", "a.example"),
            (r#"<"a > \"b\" @ c"@a.example>"#, r#"a > "b" @ c"#, "a.example"),
            (r#"<""@a.example>"#, "", "a.example"),
            ("<ann@[192.0.2.1]>", "ann", "[192.0.2.1]"),
            ("<ann@[IPv6:2001:db8::1]>", "ann", "[IPv6:2001:db8::1]"),
            ("<Postmaster>", "Postmaster", ""),
            ("<jürgen@bücher.example>", "jürgen", "bücher.example"),
        ] {
            assert_eq!(
                mailbox(text),
                (local_part.to_owned(), domain.to_owned()),
                "{text}"
            );
        }
        assert_eq!(parse("<>", false), Ok(Path::Null));
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for text in [
            "",
            "ann@a.example",
            "<ann@a.example",
            "<ann>",
            "<@a.example>",
            "<ann@>",
            "<ann@a example>",
            "<a n@a.example>",
            "<ann@b@a.example>",
            "<ann@a.example,b@a.example>",
            "<@r1.example ann@a.example>",
            "<@:ann@a.example>",
            r#"<"ann@a.example>"#,
            r#"<"ann"x@a.example>"#,
            "<<ann@a.example>",
            "<ann@[192.0.2.1>",
            "<ann@[]>",
        ] {
            assert_eq!(parse(text, true), Err(PathError::Syntax), "{text}");
        }
    }

    #[test]
    fn octets_above_0x7f_need_smtputf8_and_must_be_utf_8() {
        assert_eq!(parse("<jürgen@a.example>", false), Err(PathError::NeedsSmtpUtf8));
        let (path, _) = split(b"<j\xFCrgen@a.example>").unwrap();
        assert_eq!(path.parse(false), Err(PathError::NeedsSmtpUtf8));
        assert_eq!(path.parse(true), Err(PathError::Syntax));
    }

    #[test]
    fn what_follows_the_path_is_handed_back() {
        let (_, rest) = split(br#"<"a>b"@c.example> SIZE=1"#).unwrap();
        assert_eq!(rest, b" SIZE=1");
    }
}
