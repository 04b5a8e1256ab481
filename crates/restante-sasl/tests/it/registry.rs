//! Which mechanisms there are.

use restante_sasl::{ChannelBinding, Claim, LoginMechanism, MECHANISMS, SaslError, Turn};

use crate::driver::{begin, error};

#[test]
fn the_registry_covers_what_auth_begins_in_the_order_of_announcement() {
    let rows: Vec<_> = MECHANISMS.iter().map(|row| row.mechanism).collect();
    let sasl: Vec<_> = LoginMechanism::ALL
        .into_iter()
        .filter(|mechanism| mechanism.is_sasl())
        .collect();
    assert_eq!(rows, sasl);
}

#[test]
fn external_takes_a_name_or_leaves_it_to_the_certificate() {
    let external = |response| begin(LoginMechanism::External, &ChannelBinding::none(), response);
    for response in ["", "fred@example.com"] {
        match external(response.as_bytes()) {
            Turn::Verify(exchange, Claim::External { authzid }) => {
                assert_eq!(authzid.unwrap_or_default(), response.as_bytes());
                assert!(exchange.granted(None).is_none());
            }
            other => panic!("a claim, not {other:?}"),
        }
    }
    let leaves_it = external(b"");
    assert!(matches!(
        leaves_it,
        Turn::Verify(_, Claim::External { authzid: None })
    ));
    for response in [b"a\0b".as_slice(), b"\xff", &[b'x'; 1025]] {
        assert_eq!(error(external(response)), SaslError::Malformed);
    }
}

#[test]
fn every_claim_names_the_mechanism_it_came_by() {
    for (mechanism, response) in [
        (LoginMechanism::External, b"".as_slice()),
        (LoginMechanism::OauthBearer, b"n,,\x01auth=Bearer t\x01\x01"),
        (LoginMechanism::Xoauth2, b"user=tim\x01auth=Bearer t\x01\x01"),
        (LoginMechanism::Plain, b"\0tim\0pw"),
    ] {
        match begin(mechanism, &ChannelBinding::none(), response) {
            Turn::Verify(_, claim) => assert_eq!(claim.mechanism(), mechanism),
            other => panic!("a claim, not {other:?}"),
        }
    }
}
