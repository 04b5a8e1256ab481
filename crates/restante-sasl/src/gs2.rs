//! The GS2 header that begins a SCRAM and an OAUTHBEARER response (RFC 5801 section 4, RFC 5802 section 7).

use crate::mechanism::NAME_OCTETS;

/// What the client knows of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindingFlag {
    /// `n`: it cannot bind.
    Unsupported,
    /// `y`: it can, and believes that the server cannot.
    NotOffered,
    /// `p=tls-exporter`: it binds by RFC 9266.
    TlsExporter,
    /// `p=` with any other type: none that this server has.
    OtherType,
}

/// The header, parsed.
#[derive(Debug)]
pub(crate) struct Gs2Header<'a> {
    /// As it was sent, with its second comma.
    pub(crate) text: &'a str,
    pub(crate) flag: BindingFlag,
    /// Who the client wants to act as, decoded.
    pub(crate) authzid: Option<String>,
}

impl<'a> Gs2Header<'a> {
    /// Splits a message into its header and the rest; `None` if it does not begin with one.
    pub(crate) fn split(message: &'a str) -> Option<(Self, &'a str)> {
        let (flag, rest) = message.split_once(',')?;
        let (authzid, rest) = rest.split_once(',')?;
        let header = Self {
            text: message.strip_suffix(rest)?,
            flag: match flag {
                "n" => BindingFlag::Unsupported,
                "y" => BindingFlag::NotOffered,
                "p=tls-exporter" => BindingFlag::TlsExporter,
                other if other.starts_with("p=") => BindingFlag::OtherType,
                _ => return None,
            },
            authzid: match authzid {
                "" => None,
                given => Some(decode_name(given.strip_prefix("a=")?)?),
            },
        };
        Some((header, rest))
    }
}

/// Decodes a `saslname`, in which `,` is `=2C` and `=` is `=3D`; any other `=` is an error, and so are the empty name
/// and one of more than [`NAME_OCTETS`].
pub(crate) fn decode_name(encoded: &str) -> Option<String> {
    if encoded.contains('\0') {
        return None;
    }
    let mut parts = encoded.split('=');
    let mut name = String::from(parts.next()?);
    for part in parts {
        let (octet, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        name.push(octet);
        name.push_str(rest);
    }
    (1..=NAME_OCTETS).contains(&name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decode_as_prescribed_and_a_lone_equals_sign_is_an_error() {
        for (encoded, name) in [
            ("tim", Some("tim")),
            ("a=2Cb=3Dc", Some("a,b=c")),
            ("=3D2C", Some("=2C")),
            ("=2C=2C", Some(",,")),
            ("jos\u{e9}", Some("jos\u{e9}")),
            ("", None),
            ("=", None),
            ("a=", None),
            ("a=2", None),
            ("a=2c", None),
            ("a=3d", None),
            ("a==3D", None),
            ("a\0b", None),
        ] {
            assert_eq!(decode_name(encoded).as_deref(), name, "{encoded:?}");
        }
    }

    #[test]
    fn a_name_ends_at_1024_octets() {
        assert!(decode_name(&"x".repeat(1024)).is_some());
        assert!(decode_name(&"=2C".repeat(1024)).is_some());
        assert_eq!(decode_name(&"x".repeat(1025)), None);
        assert_eq!(decode_name(&"=2C".repeat(1025)), None);
    }

    #[test]
    fn the_header_is_kept_as_it_was_sent() {
        for (message, text, rest) in [
            ("n,,n=tim", "n,,", "n=tim"),
            ("y,a=a=2Cb,n=tim", "y,a=a=2Cb,", "n=tim"),
            ("p=tls-exporter,,", "p=tls-exporter,,", ""),
        ] {
            let (header, left) = Gs2Header::split(message).unwrap();
            assert_eq!((header.text, left), (text, rest));
        }
        for message in [
            "", "n", "n,", "n=tim,", "x,,", "N,,", "F,n,,", "n,tim,", "n,a=,", "n,a=b=c,",
        ] {
            assert!(Gs2Header::split(message).is_none(), "{message}");
        }
    }
}
