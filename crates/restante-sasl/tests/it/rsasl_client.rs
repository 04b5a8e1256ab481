//! Another implementation as the client: what we take for the mechanisms is what others take for them.

use restante_sasl::LoginMechanism::{Login, OauthBearer, Plain, ScramSha256, ScramSha256Plus, Xoauth2};
use restante_sasl::{ChannelBinding, Claim, Exchange, LoginMechanism, SaslError, Turn, scram};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::login::LOGIN;
use rsasl::mechanisms::oauthbearer::OAUTHBEARER;
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::{SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::mechanisms::xoauth2::XOAUTH2;
use rsasl::prelude::{
    ChannelBindingCallback, Mechanism, Mechname, Registry, SASLClient, SASLConfig, Session, SessionError,
    State,
};
use rsasl::property::{AuthId, OAuthBearerToken, Password};
use rsasl::validate::NoValidation;

use crate::driver::{EXPORTER, Keys, answer, begin, decoded, error};

/// What the client knows; its own list leaves out `-PLUS`.
static KNOWN: &[Mechanism] = &[
    SCRAM_SHA256_PLUS,
    SCRAM_SHA256,
    OAUTHBEARER,
    XOAUTH2,
    PLAIN,
    LOGIN,
];

const NAME: &str = "t,i=m@a.test";

struct User {
    password: &'static str,
    binds: bool,
}

impl SessionCallback for User {
    fn callback(
        &self,
        _: &SessionData,
        _: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        request
            .satisfy::<AuthId>(NAME)?
            .satisfy::<Password>(self.password.as_bytes())?
            .satisfy::<OAuthBearerToken>("token")?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.binds
    }
}

/// The client's end of a TLS connection.
struct Tls(Option<[u8; 32]>);

impl ChannelBindingCallback for Tls {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        self.0
            .as_ref()
            .filter(|_| name == "tls-exporter")
            .map(<[u8; 32]>::as_slice)
    }
}

/// The client's end of an exchange.
struct Client(Session<NoValidation, Tls>);

impl Client {
    fn new(password: &'static str, exporter: Option<[u8; 32]>, offered: &[LoginMechanism]) -> Self {
        let user = User {
            password,
            binds: exporter.is_some(),
        };
        let config = SASLConfig::builder()
            .with_registry(Registry::with_mechanisms(KNOWN))
            .with_callback(user)
            .unwrap();
        let offered = offered
            .iter()
            .map(|mechanism| Mechname::parse(mechanism.name().as_bytes()).unwrap());
        let client = SASLClient::with_cb(config, Tls(exporter));
        Self(client.start_suggested_iter(offered).unwrap())
    }

    fn chosen(&self) -> LoginMechanism {
        LoginMechanism::from_name(self.0.get_mechname().as_str()).unwrap()
    }

    fn says(&mut self, challenge: Option<&[u8]>) -> Vec<u8> {
        let mut response = Vec::new();
        self.0.step(challenge, &mut response).unwrap();
        response
    }

    /// Whether it takes the server for the one that has its keys.
    fn trusts(&mut self, last: &[u8]) -> bool {
        matches!(self.0.step(Some(last), &mut Vec::new()), Ok(State::Finished(_)))
    }
}

/// Runs SCRAM up to the claim: the client, the server's end, AuthMessage and the proof.
fn scram_claim(
    mut client: Client,
    keys: &Keys,
    binding: &ChannelBinding,
) -> (Client, Exchange, Vec<u8>, [u8; 32]) {
    let turn = begin(client.chosen(), binding, &client.says(None));
    let Turn::Salt(exchange, name) = turn else {
        panic!("the salt is asked for, not {turn:?}");
    };
    assert_eq!(name, NAME.as_bytes());
    let Turn::Challenge(exchange, challenge) = exchange.salted(&keys.salting("server-nonce")) else {
        panic!("the salt is sent");
    };
    let turn = answer(exchange, &client.says(Some(&decoded(&challenge))));
    match turn {
        Turn::Verify(
            exchange,
            Claim::Scram {
                auth_message, proof, ..
            },
        ) => (client, exchange, auth_message, proof),
        other => panic!("a claim, not {other:?}"),
    }
}

#[test]
fn scram_convinces_both_sides_bound_and_unbound() {
    let keys = Keys::of("pencil", b"salt");
    for (exporter, offered, chosen) in [
        (None, &[ScramSha256][..], ScramSha256),
        (None, &[ScramSha256Plus, ScramSha256], ScramSha256),
        (Some(EXPORTER), &[ScramSha256], ScramSha256),
        (Some(EXPORTER), &[ScramSha256Plus, ScramSha256], ScramSha256Plus),
    ] {
        let client = Client::new("pencil", exporter, offered);
        assert_eq!(client.chosen(), chosen);
        let binding = if offered.contains(&ScramSha256Plus) {
            ChannelBinding::exporter(EXPORTER)
        } else {
            ChannelBinding::none()
        };
        let (mut client, exchange, auth_message, proof) = scram_claim(client, &keys, &binding);
        assert!(scram::proof_fits(&keys.stored, &auth_message, &proof));

        let signature = scram::server_signature(&keys.server, &auth_message);
        let (_, last) = exchange.granted(Some(&signature)).unwrap();
        assert!(client.trusts(&decoded(&last)), "{chosen} {exporter:?}");
    }
}

#[test]
fn scram_convinces_neither_side_of_another_password() {
    let keys = Keys::of("pencil", b"salt");
    let client = Client::new("pen", None, &[ScramSha256]);
    let (mut client, exchange, auth_message, proof) = scram_claim(client, &keys, &ChannelBinding::none());
    assert!(!scram::proof_fits(&keys.stored, &auth_message, &proof));

    let signature = scram::server_signature(&keys.server, &auth_message);
    let (_, last) = exchange.granted(Some(&signature)).unwrap();
    assert!(!client.trusts(&decoded(&last)));
}

/// Somebody in between terminates TLS: the two ends export other octets.
#[test]
fn s21_a_client_on_another_connection_is_refused() {
    let mut client = Client::new("pencil", Some([8; 32]), &[ScramSha256Plus, ScramSha256]);
    let binding = ChannelBinding::exporter(EXPORTER);
    let Turn::Salt(exchange, _) = begin(client.chosen(), &binding, &client.says(None)) else {
        panic!("the salt is asked for");
    };
    let salting = Keys::of("pencil", b"salt").salting("server-nonce");
    let Turn::Challenge(exchange, challenge) = exchange.salted(&salting) else {
        panic!("the salt is sent");
    };
    let turn = answer(exchange, &client.says(Some(&decoded(&challenge))));
    assert_eq!(error(turn), SaslError::Refused);
}

/// Somebody in between took `-PLUS` off the list that the client sees.
#[test]
fn s21_a_client_with_a_shortened_list_is_refused() {
    let mut client = Client::new("pencil", Some(EXPORTER), &[ScramSha256]);
    let turn = begin(
        client.chosen(),
        &ChannelBinding::exporter(EXPORTER),
        &client.says(None),
    );
    assert_eq!(error(turn), SaslError::Refused);
}

#[test]
fn passwords_and_tokens_arrive_as_they_were_sent() {
    for mechanism in [Plain, Login] {
        let mut client = Client::new(" p\u{e4}ss ", None, &[mechanism]);
        let mut turn = Exchange::begin(mechanism, None, &ChannelBinding::none());
        while let Turn::Challenge(exchange, challenge) = turn {
            let challenge = decoded(&challenge);
            turn = answer(
                exchange,
                &client.says(Some(challenge.as_slice()).filter(|text| !text.is_empty())),
            );
        }
        match turn {
            Turn::Verify(_, Claim::Password { name, password, .. }) => {
                assert_eq!(name, NAME.as_bytes());
                assert_eq!(password.expose(), " p\u{e4}ss ".as_bytes());
            }
            other => panic!("a claim, not {other:?}"),
        }
    }
    for (mechanism, says_name) in [(OauthBearer, false), (Xoauth2, true)] {
        let mut client = Client::new("", None, &[mechanism]);
        match begin(mechanism, &ChannelBinding::none(), &client.says(None)) {
            Turn::Verify(_, Claim::Bearer { name, token, .. }) => {
                assert_eq!(name, says_name.then(|| NAME.as_bytes().to_vec()));
                assert_eq!(token.expose(), "token");
            }
            other => panic!("a claim, not {other:?}"),
        }
    }
}
