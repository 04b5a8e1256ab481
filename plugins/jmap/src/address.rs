//! Addresses that the server names: relative ones (RFC 3986 section 5) and templates (RFC 6570, level 1).

use std::fmt::Write as _;

/// What `reference` means at the address `base`. None if it leads from HTTPS to anything else: the credential goes
/// along.
pub fn resolve(base: &str, reference: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    if let Some((other, _)) = reference.split_once("://")
        && other.bytes().all(|octet| octet.is_ascii_alphanumeric())
    {
        let other = other.to_ascii_lowercase();
        let is_as_safe = other == "https" || (other == "http" && scheme == "http");
        return is_as_safe.then(|| reference.to_owned());
    }
    if reference.starts_with("//") {
        return Some(format!("{scheme}:{reference}"));
    }
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(host_end);
    if reference.starts_with('/') {
        return Some(format!("{scheme}://{host}{reference}"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{host}{folder}/{reference}"))
}

/// Puts values in place of `{name}`; of an unknown name nothing is left.
pub fn expand(template: &str, values: &[(&str, &str)]) -> String {
    let mut address = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        address.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            push_encoded(&mut address, value);
        }
        rest = after;
    }
    address.push_str(rest);
    address
}

fn push_encoded(address: &mut String, value: &str) {
    for octet in value.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                address.push(char::from(octet))
            }
            _ => {
                // A string takes everything.
                let _ = write!(address, "%{octet:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base = "https://mail.example:8080/.well-known/jmap?x=/y";
        for (reference, expected) in [
            ("https://api.example/jmap/", "https://api.example/jmap/"),
            ("HTTPS://api.example/", "HTTPS://api.example/"),
            ("//api.example/jmap", "https://api.example/jmap"),
            ("/jmap/", "https://mail.example:8080/jmap/"),
            ("session", "https://mail.example:8080/.well-known/session"),
            (
                "/d/{blobId}?a={type}",
                "https://mail.example:8080/d/{blobId}?a={type}",
            ),
            ("/go?to=http://x/", "https://mail.example:8080/go?to=http://x/"),
        ] {
            assert_eq!(resolve(base, reference).as_deref(), Some(expected));
        }
        assert_eq!(resolve("https://h", "a").as_deref(), Some("https://h/a"));
        assert_eq!(resolve("http://h/", "http://i/").as_deref(), Some("http://i/"));
    }

    #[test]
    fn nothing_leads_away_from_https() {
        assert_eq!(resolve("https://h/", "http://h/"), None);
        assert_eq!(resolve("https://h/", "file:///etc/passwd"), None);
        assert_eq!(resolve("http://h/", "ftp://h/"), None);
    }

    #[test]
    fn templates_are_expanded() {
        let values = [
            ("accountId", "u1"),
            ("type", "message/rfc822"),
            ("name", "a b.eml"),
            ("blobId", "{x}"),
        ];
        assert_eq!(
            expand(
                "https://h/{accountId}/{blobId}/{name}?accept={type}&{else}z",
                &values
            ),
            "https://h/u1/%7Bx%7D/a%20b.eml?accept=message%2Frfc822&z"
        );
        assert_eq!(expand("https://h/{accountId", &values), "https://h/accountId");
        assert_eq!(expand("https://h/ü", &values), "https://h/ü");
    }
}
