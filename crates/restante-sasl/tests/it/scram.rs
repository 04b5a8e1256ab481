//! SCRAM as its RFCs have it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_sasl::{ChannelBinding, Claim, Exchange, LoginMechanism, Salting, Turn, scram};

use crate::driver::{EXPORTER, Keys, answer, begin, decoded};

/// Goes on to the server's first message.
fn server_first(turn: Turn, salting: &Salting) -> (Vec<u8>, Exchange, Vec<u8>) {
    let Turn::Salt(exchange, name) = turn else {
        panic!("the salt is asked for, not {turn:?}");
    };
    match exchange.salted(salting) {
        Turn::Challenge(exchange, challenge) => (name, exchange, decoded(&challenge)),
        other => panic!("the salt is sent, not {other:?}"),
    }
}

fn claim(turn: Turn) -> (Exchange, Vec<u8>, Vec<u8>, [u8; 32], LoginMechanism) {
    match turn {
        Turn::Verify(
            exchange,
            Claim::Scram {
                name,
                auth_message,
                proof,
                mechanism,
            },
        ) => (exchange, name, auth_message, proof, mechanism),
        other => panic!("a claim, not {other:?}"),
    }
}

/// The example of RFC 7677 section 3, both with the first message beside the command and after an empty challenge.
#[test]
fn the_example_of_rfc_7677_is_followed_to_the_octet() {
    let keys = Keys::of("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap());
    let salting = keys.salting("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let client_first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    let client_final = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    let beside_the_command = begin(LoginMechanism::ScramSha256, &ChannelBinding::none(), client_first);
    let two_steps = match Exchange::begin(LoginMechanism::ScramSha256, None, &ChannelBinding::none()) {
        Turn::Challenge(exchange, empty) if empty.is_empty() => answer(exchange, client_first),
        other => panic!("an empty challenge, not {other:?}"),
    };
    for turn in [beside_the_command, two_steps] {
        let (name, exchange, challenge) = server_first(turn, &salting);
        assert_eq!(name, b"user");
        assert_eq!(
            challenge,
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let (exchange, name, auth_message, proof, mechanism) = claim(answer(exchange, client_final));
        assert_eq!(
            (name.as_slice(), mechanism),
            (&b"user"[..], LoginMechanism::ScramSha256)
        );
        assert!(scram::proof_fits(&keys.stored, &auth_message, &proof));

        let signature = scram::server_signature(&keys.server, &auth_message);
        let (exchange, last) = exchange.granted(Some(&signature)).unwrap();
        assert_eq!(decoded(&last), b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(exchange.confirm(b""), Ok(()));
    }
}

#[test]
fn a_proof_fits_its_key_and_message_only() {
    let (keys, other) = (Keys::of("pencil", b"salt"), Keys::of("pencil ", b"salt"));
    let proof = keys.proof(b"message");
    assert!(scram::proof_fits(&keys.stored, b"message", &proof));
    assert!(!scram::proof_fits(&other.stored, b"message", &proof));
    assert!(!scram::proof_fits(&keys.stored, b"massage", &proof));
    for at in 0..32 {
        let mut wrong = proof;
        wrong[at] ^= 1;
        assert!(!scram::proof_fits(&keys.stored, b"message", &wrong), "octet {at}");
    }
    let long = [proof.as_slice(), &[0]].concat();
    for wrong in [&[][..], &proof[..31], &long] {
        assert!(!scram::proof_fits(&keys.stored, b"message", wrong));
    }
}

/// The PLUS exchange by hand: `c=` is the header with the connection's octets behind it.
#[test]
fn a_bound_exchange_proves_the_octets_of_its_connection() {
    let keys = Keys::of("pencil", b"salt");
    let first = b"p=tls-exporter,,n=user,r=abc";
    let turn = begin(
        LoginMechanism::ScramSha256Plus,
        &ChannelBinding::exporter(EXPORTER),
        first,
    );
    let (_, exchange, challenge) = server_first(turn, &keys.salting("def"));

    let binding = STANDARD.encode([b"p=tls-exporter,,".as_slice(), &EXPORTER].concat());
    let without_proof = format!("c={binding},r=abcdef");
    let expected = format!(
        "n=user,r=abc,{},{without_proof}",
        String::from_utf8(challenge).unwrap()
    );
    let proof = STANDARD.encode(keys.proof(expected.as_bytes()));
    let (_, _, auth_message, proof, mechanism) =
        claim(answer(exchange, format!("{without_proof},p={proof}").as_bytes()));
    assert_eq!(auth_message, expected.as_bytes());
    assert_eq!(mechanism, LoginMechanism::ScramSha256Plus);
    assert!(scram::proof_fits(&keys.stored, &auth_message, &proof));
}

#[test]
fn names_are_decoded_and_hashed_as_they_were_sent() {
    let keys = Keys::of("pencil", b"salt");
    let first = b"n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=abc,x=later,Z=a=b";
    let turn = begin(LoginMechanism::ScramSha256, &ChannelBinding::none(), first);
    let (name, exchange, _) = server_first(turn, &keys.salting("def"));
    assert_eq!(name, b"a,b=c");

    // An extension that need not be understood is ignored, and hashed.
    let header = STANDARD.encode("n,a=a=2Cb=3Dc,");
    let last = format!("c={header},r=abcdef,x=later,p={}", STANDARD.encode([0; 32]));
    let (_, name, auth_message, ..) = claim(answer(exchange, last.as_bytes()));
    assert_eq!(name, b"a,b=c");
    let auth_message = String::from_utf8(auth_message).unwrap();
    assert!(auth_message.starts_with("n=a=2Cb=3Dc,r=abc,x=later,Z=a=b,r=abcdef,s="));
    assert!(auth_message.ends_with(&format!(",c={header},r=abcdef,x=later")));
}

#[test]
fn a_client_that_cannot_bind_may_log_in_where_binding_is_offered() {
    let turn = begin(
        LoginMechanism::ScramSha256,
        &ChannelBinding::exporter(EXPORTER),
        b"n,,n=user,r=abc",
    );
    assert!(matches!(turn, Turn::Salt(..)));
}

#[test]
fn a_claim_and_an_exchange_print_neither_proof_nor_binding() {
    let claim = Claim::Scram {
        name: b"tim".to_vec(),
        auth_message: b"n=tim,r=visible".to_vec(),
        proof: [7; 32],
        mechanism: LoginMechanism::ScramSha256,
    };
    assert_eq!(
        format!("{claim:?}"),
        r#"Claim { mechanism: ScramSha256, name: Some("tim"), .. }"#
    );
    let binding = ChannelBinding::exporter(EXPORTER);
    let turn = begin(
        LoginMechanism::ScramSha256Plus,
        &binding,
        b"p=tls-exporter,,n=user,r=abc",
    );
    assert!(!format!("{turn:?} {binding:?}").contains("7, 7"));
}
