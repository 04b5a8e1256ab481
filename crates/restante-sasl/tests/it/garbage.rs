//! No octets of a client make a mechanism panic, or get it past its own rules.

use proptest::prelude::*;
use restante_sasl::{ChannelBinding, Exchange, LoginMechanism, MECHANISMS, Salting, Turn};

use crate::driver::{EXPORTER, begin, decoded};

/// Octets, or pieces of real messages in any order.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "n",
        "y",
        "p=",
        "tls-exporter",
        ",",
        "a=",
        "n=",
        "r=",
        "c=",
        "m=",
        "i=1",
        "=2C",
        "=3D",
        "=",
        "abc",
        "abcdef",
        "biws",
        "\x01",
        "\x01auth=Bearer ",
        "user=",
        "\0",
        "tim",
        "\u{e9}",
        "AAAA",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn garbage_never_panics(
        row in 0..MECHANISMS.len(),
        bound in any::<bool>(),
        with_initial in any::<bool>(),
        lines in prop::collection::vec(prop_oneof![
            response().prop_map(|octets| {
                base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets).into_bytes()
            }),
            prop::collection::vec(any::<u8>(), 0..32),
        ], 1..6),
    ) {
        let binding = if bound { ChannelBinding::exporter(EXPORTER) } else { ChannelBinding::none() };
        let mechanism = MECHANISMS[row].mechanism;
        let mut lines = lines.into_iter();
        let initial = with_initial.then(|| lines.next()).flatten();
        let mut turn = Exchange::begin(mechanism, initial.as_deref(), &binding);
        let mut n_turns = 0;
        loop {
            n_turns += 1;
            turn = match turn {
                Turn::Challenge(exchange, _) => match lines.next() {
                    Some(line) => exchange.line(&line),
                    None => break,
                },
                Turn::Salt(exchange, name) => {
                    prop_assert!(!name.is_empty() && std::str::from_utf8(&name).is_ok());
                    exchange.salted(&Salting { salt: b"salt".to_vec(), iterations: 4096, nonce: "def".into() })
                }
                Turn::Verify(_, claim) => {
                    prop_assert_eq!(claim.mechanism(), mechanism);
                    break;
                }
                Turn::Fail(_) => break,
            };
        }
        // The longest: an empty challenge, the salt, the server's first message, the claim.
        prop_assert!(n_turns <= 4);
    }

    /// Whatever a client-first message is, the challenge keeps to the grammar of server-first-message.
    #[test]
    fn a_challenge_of_scram_begins_with_the_clients_nonce(name in "[a-z=,\u{e9}]{1,8}", nonce in "[!-+\\--~]{1,40}") {
        let escaped = name.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n,,n={escaped},r={nonce}");
        let Turn::Salt(exchange, claimed) =
            begin(LoginMechanism::ScramSha256, &ChannelBinding::none(), first.as_bytes())
        else {
            return Err(TestCaseError::fail("the salt is asked for"));
        };
        prop_assert_eq!(claimed, name.into_bytes());
        let salting = Salting { salt: vec![0, 255], iterations: u32::MAX, nonce: "ours".into() };
        let Turn::Challenge(_, challenge) = exchange.salted(&salting) else {
            return Err(TestCaseError::fail("the salt is sent"));
        };
        prop_assert_eq!(decoded(&challenge), format!("r={nonce}ours,s=AP8=,i=4294967295").into_bytes());
    }
}
