//! Addresses that secrets are sent to: encrypted, or on this machine. Start at [`check`].

use std::net::IpAddr;

use url::Url;

/// Admits `https`, and `http` to a loopback address or to `localhost`.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn check(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or a password in it");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_this_machine) => Ok(url),
        "http" => Err("http is for loopback addresses only, since a secret is sent there: use https"),
        _ => Err("it is not https"),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cross_no_network_in_the_clear() {
        for right in [
            "https://pop.example:8180",
            "http://127.0.0.1:8180/",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(check(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "pop.example",
            "http://pop.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user@pop.example",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
