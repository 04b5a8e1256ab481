//! OAUTHBEARER and XOAUTH2.

use restante_sasl::LoginMechanism::{OauthBearer, Xoauth2};
use restante_sasl::{ChannelBinding, Claim, Exchange, LoginMechanism, SaslError, Turn};

use crate::driver::{answer, begin, decoded, error};

fn bearer(mechanism: LoginMechanism, response: &str) -> Turn {
    begin(mechanism, &ChannelBinding::none(), response.as_bytes())
}

/// The name and the token that are claimed, and what goes on.
fn claimed(turn: Turn) -> (Exchange, Option<String>, String, LoginMechanism) {
    match turn {
        Turn::Verify(
            exchange,
            Claim::Bearer {
                name,
                token,
                mechanism,
            },
        ) => (
            exchange,
            name.map(|name| String::from_utf8(name).unwrap()),
            token.expose().clone(),
            mechanism,
        ),
        other => panic!("a claim, not {other:?}"),
    }
}

/// RFC 7628 section 4.1.
#[test]
fn the_example_of_rfc_7628_is_understood() {
    let line = b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI\
        HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let turn = Exchange::begin(OauthBearer, Some(line), &ChannelBinding::none());
    let (exchange, name, token, mechanism) = claimed(turn);
    assert_eq!(name.as_deref(), Some("user@example.com"));
    assert_eq!(token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    assert_eq!(mechanism, OauthBearer);
    assert!(exchange.granted(None).is_none());
}

#[test]
fn names_and_schemes_are_read_as_their_grammars_say() {
    for (response, name) in [
        ("n,,\x01auth=Bearer t\x01\x01", None),
        ("y,,\x01auth=Bearer t\x01\x01", None),
        ("n,a=tim,\x01auth=bearer t\x01\x01", Some("tim")),
        ("n,a=a=2Cb=3Dc,\x01auth=BEARER   t\x01\x01", Some("a,b=c")),
        (
            "n,a=tim,\x01port=995\x01host=a\r\nb\x01auth=Bearer t\x01qs=\x01\x01",
            Some("tim"),
        ),
    ] {
        let (_, claimed, token, _) = claimed(bearer(OauthBearer, response));
        assert_eq!((claimed.as_deref(), token.as_str()), (name, "t"), "{response:?}");
    }
    let (_, name, token, mechanism) = claimed(bearer(
        Xoauth2,
        "user=tim@a.test\x01auth=Bearer a-._~+/9==\x01\x01",
    ));
    assert_eq!(
        (name.as_deref(), token.as_str(), mechanism),
        (Some("tim@a.test"), "a-._~+/9==", Xoauth2)
    );
}

/// Thunderbird never sends an initial response, and tokens do not fit one.
#[test]
fn a_token_of_12_kib_comes_after_an_empty_challenge() {
    for (mechanism, head) in [(OauthBearer, "n,a=tim,\x01"), (Xoauth2, "user=tim\x01")] {
        for (octets, fits) in [(5 * 1024, true), (12 * 1024, true), (12 * 1024 + 1, false)] {
            let turn = Exchange::begin(mechanism, None, &ChannelBinding::none());
            let Turn::Challenge(exchange, challenge) = turn else {
                panic!("an empty challenge, not {turn:?}");
            };
            assert_eq!(challenge, "");
            let response = format!("{head}auth=Bearer {}\x01\x01", "t".repeat(octets));
            let verified = matches!(answer(exchange, response.as_bytes()), Turn::Verify(..));
            assert_eq!(verified, fits, "{mechanism} {octets}");
        }
    }
}

/// RFC 7628 sections 3.2.2 and 3.2.3.
#[test]
fn a_refused_token_is_told_in_json() {
    for (mechanism, response, status) in [
        (OauthBearer, "n,a=tim,\x01auth=Bearer t\x01\x01", "invalid_token"),
        (Xoauth2, "user=tim\x01auth=Bearer t\x01\x01", "401"),
    ] {
        let (exchange, ..) = claimed(bearer(mechanism, response));
        let challenge = decoded(&exchange.refused().unwrap());
        let json: serde_json::Value = serde_json::from_slice(&challenge).unwrap();
        assert_eq!(
            (&json["status"], &json["schemes"]),
            (&status.into(), &"bearer".into())
        );
    }
}

/// RFC 7628 section 4.3: a client that has no token asks so what it needs.
#[test]
fn a_value_that_is_no_bearer_token_is_told_in_json_and_refused() {
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer =",
        "Bearer a b",
        "Bearer a\tb",
        "Bearer a=b",
        "Basic dGlt",
        "MAC id=\"1\"",
    ] {
        for (mechanism, head) in [(OauthBearer, "n,a=tim,\x01"), (Xoauth2, "user=tim\x01")] {
            for dummy in [b"\x01".as_slice(), b"", b"n,a=tim,\x01auth=Bearer t\x01\x01"] {
                let turn = bearer(mechanism, &format!("{head}auth={value}\x01\x01"));
                let Turn::Challenge(exchange, challenge) = turn else {
                    panic!("the error, not {turn:?}");
                };
                let json: serde_json::Value = serde_json::from_slice(&decoded(&challenge)).unwrap();
                assert!(json["status"].is_string());
                assert_eq!(error(answer(exchange, dummy)), SaslError::Refused, "{value}");
            }
        }
    }
}

#[test]
fn other_shapes_are_malformed() {
    for response in [
        "",
        "\x01",
        "n,,",
        "n,,\x01",
        "n,,\x01\x01",
        "n,,auth=Bearer t\x01\x01",
        "n,,\x01auth=Bearer t\x01",
        "n,,\x01auth=Bearer t",
        "n,,\x01auth=Bearer t\x01\x01\x01",
        "n,,\x01=x\x01auth=Bearer t\x01\x01",
        "n,,\x01a1=x\x01auth=Bearer t\x01\x01",
        "n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
        "n,,\x01host=a\0\x01auth=Bearer t\x01\x01",
        "n,user=tim,\x01auth=Bearer t\x01\x01",
        "n,a=t=im,\x01auth=Bearer t\x01\x01",
        "p=tls-exporter,,\x01auth=Bearer t\x01\x01",
        "user=tim\x01auth=Bearer t\x01\x01",
    ] {
        assert_eq!(
            error(bearer(OauthBearer, response)),
            SaslError::Malformed,
            "{response:?}"
        );
    }
    let long = format!("user={}\x01auth=Bearer t\x01\x01", "x".repeat(1025));
    for response in [
        "",
        "\x01",
        "user=tim\x01\x01",
        "auth=Bearer t\x01\x01",
        "user=\x01auth=Bearer t\x01\x01",
        "user=tim\x01auth=Bearer t\x01",
        "user=tim\x01user=root\x01auth=Bearer t\x01\x01",
        "n,a=tim,\x01auth=Bearer t\x01\x01",
        &long,
    ] {
        assert_eq!(
            error(bearer(Xoauth2, response)),
            SaslError::Malformed,
            "{response:?}"
        );
    }
}

#[test]
fn a_token_is_not_printed() {
    let turn = bearer(Xoauth2, "user=tim\x01auth=Bearer topsecret\x01\x01");
    assert!(!format!("{turn:?}").contains("topsecret"));
}
