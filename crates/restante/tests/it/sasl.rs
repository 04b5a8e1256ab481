//! Mechanisms beyond a password in the clear, by other implementations and by programs that people use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use restante_testkit::{IdentityProvider, Signature, TestCertificate, TlsOptions};
use restante_types::{Clock, SystemClock};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::{SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::prelude::{
    ChannelBindingCallback, Mechanism, Mechname, Registry, SASLClient, SASLConfig, Session, SessionError,
    State,
};
use rsasl::property::{AuthId, Password};
use rsasl::validate::NoValidation;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, Pop3, program, succeed};

const REFUSED: &str = "-ERR [AUTH] Authentication failed";
const MECHANISMS: &str = "SCRAM-SHA-256-PLUS,SCRAM-SHA-256,OAUTHBEARER,XOAUTH2,PLAIN,LOGIN,USER";
const MESSAGE: &[u8] = b"From: a@example.org\r\nSubject: fetched\r\n\r\nthe canary sings\r\n";

/// One frontend whose listener and tenant permit these mechanisms.
async fn fleet_with(mechanisms: &str, tables: &str) -> Option<Fleet> {
    let names: Vec<&str> = mechanisms.split(',').collect();
    let layout = Layout {
        n_frontends: 1,
        auth: format!("mechanisms = {names:?}\n{tables}"),
        ..Layout::default()
    };
    let fleet = Fleet::of(layout).await?;
    fleet.tool(&["tenant", "set", "acme", "--add-server-name", "localhost"], b"");
    let known = |pop3: &mut Pop3| pop3.listing("CAPA").contains(&"EXPIRE 90".to_owned());
    fleet.policy(&["--mechanisms", mechanisms, "--expire", "90d"], known);
    // SCRAM keys are made when a password is set.
    fleet.tool(
        &["account", "set", ALICE, "--password-stdin"],
        PASSWORD.as_bytes(),
    );
    Some(fleet)
}

async fn fleet() -> Option<Fleet> {
    fleet_with(MECHANISMS, "").await
}

fn offered(pop3: &mut Pop3) -> Vec<String> {
    let capabilities = pop3.listing("CAPA");
    let sasl = capabilities.iter().find_map(|line| line.strip_prefix("SASL "));
    sasl.unwrap_or_default().split(' ').map(str::to_owned).collect()
}

static KNOWN: &[Mechanism] = &[SCRAM_SHA256_PLUS, SCRAM_SHA256];

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
            .satisfy::<AuthId>(ALICE)?
            .satisfy::<Password>(self.password.as_bytes())?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.binds
    }
}

/// The client's end of the TLS connection, and what the client calls it.
struct Binding(&'static str, Option<[u8; 32]>);

impl ChannelBindingCallback for Binding {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        self.1
            .as_ref()
            .filter(|_| name == self.0)
            .map(<[u8; 32]>::as_slice)
    }
}

/// SCRAM by another implementation; the mechanism it chose, the reply, and whether it believes the server.
fn scram(
    pop3: &mut Pop3,
    offered: &[&str],
    password: &'static str,
    binding: Binding,
) -> (String, String, bool) {
    let user = User {
        password,
        binds: binding.1.is_some(),
    };
    let config = SASLConfig::builder()
        .with_registry(Registry::with_mechanisms(KNOWN))
        .with_callback(user)
        .unwrap();
    let offered = offered
        .iter()
        .map(|name| Mechname::parse(name.as_bytes()).unwrap());
    let client = SASLClient::with_cb(config, binding);
    let mut session: Session<NoValidation, Binding> = client.start_suggested_iter(offered).unwrap();
    let mechanism = session.get_mechname().as_str().to_owned();
    let mut response = Vec::new();
    session.step(None, &mut response).unwrap();
    let mut reply = pop3.ask(&format!("AUTH {mechanism} {}", STANDARD.encode(&response)));
    let mut believes = false;
    while let Some(challenge) = reply.strip_prefix("+ ") {
        let challenge = STANDARD.decode(challenge).unwrap();
        let mut response = Vec::new();
        match session.step(Some(&challenge), &mut response) {
            Ok(state) => believes = matches!(state, State::Finished(_)),
            Err(error) => panic!("{error}"),
        }
        reply = pop3.ask(&STANDARD.encode(&response));
    }
    (mechanism, reply, believes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scram_by_another_implementation_convinces_both_sides_bound_to_the_connection_or_not() {
    let Some(fleet) = fleet().await else {
        return;
    };
    for offered in [&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"][..], &["SCRAM-SHA-256"]] {
        let mut pop3 = fleet.connect(0);
        // A client that binds must not be told that nobody offered it.
        let binding = Binding("tls-exporter", pop3.exporter.filter(|_| offered.len() == 2));
        let (mechanism, reply, believes) = scram(&mut pop3, offered, PASSWORD, binding);
        assert_eq!(mechanism, offered[0]);
        assert!(reply.starts_with("+OK") && believes, "{mechanism}: {reply}");
        pop3.ok("QUIT");
    }
    let mut pop3 = fleet.connect(0);
    let binding = Binding("tls-exporter", pop3.exporter);
    let (_, reply, believes) = scram(&mut pop3, &["SCRAM-SHA-256-PLUS"], "wrong", binding);
    assert_eq!(reply, REFUSED);
    assert!(!believes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s21_a_client_whose_list_or_connection_is_not_ours_is_refused() {
    let Some(fleet) = fleet().await else {
        return;
    };
    // It could bind, and says that -PLUS was not offered: somebody took it off the list.
    let mut pop3 = fleet.connect(0);
    let binding = Binding("tls-exporter", pop3.exporter);
    let (mechanism, reply, _) = scram(&mut pop3, &["SCRAM-SHA-256"], PASSWORD, binding);
    assert_eq!((mechanism.as_str(), reply.as_str()), ("SCRAM-SHA-256", REFUSED));
    // Another connection's binding: somebody stands between.
    let mut pop3 = fleet.connect(0);
    let binding = Binding("tls-exporter", fleet.connect(0).exporter);
    let (mechanism, reply, _) = scram(&mut pop3, &["SCRAM-SHA-256-PLUS"], PASSWORD, binding);
    assert_eq!(
        (mechanism.as_str(), reply.as_str()),
        ("SCRAM-SHA-256-PLUS", REFUSED)
    );
    let mut pop3 = fleet.connect(0);
    let first = STANDARD.encode(format!("p=tls-unique,,n={ALICE},r=abcdefghijklmnop"));
    let reply = pop3.ask(&format!("AUTH SCRAM-SHA-256-PLUS {first}"));
    assert_eq!(reply, REFUSED);
    // TLS 1.2 has no such binding, so none is offered.
    let options = TlsOptions {
        versions: vec![&rustls::version::TLS12],
        ..TlsOptions::default()
    };
    let certificate = CertificateDer::from_pem_file(fleet.frontend(0).certificate()).unwrap();
    let config = TestCertificate::client_config(certificate, &options);
    let names = offered(&mut Pop3::connect_with(fleet.port(0), config));
    assert!(names.contains(&"SCRAM-SHA-256".to_owned()), "{names:?}");
    assert!(!names.contains(&"SCRAM-SHA-256-PLUS".to_owned()), "{names:?}");
}

/// An identity provider that `acme` believes.
async fn believed_provider(fleet: &Fleet) -> IdentityProvider {
    let provider = IdentityProvider::start().await;
    fleet.tool(
        &[
            "policy",
            "add-issuer",
            "acme",
            "--issuer",
            &provider.issuer(),
            "--audience",
            "mail",
            "--jwks-url",
            &provider.key_set_url(),
        ],
        b"",
    );
    // A later rule that shows is known, so this one is.
    let known = |pop3: &mut Pop3| pop3.listing("CAPA").contains(&"EXPIRE 30".to_owned());
    fleet.policy(&["--expire", "30d"], known);
    provider
}

/// A token for a user that is good for ten minutes, with so many octets of claims that nobody asks for.
fn token(provider: &IdentityProvider, name: &str, padding: usize) -> String {
    let now = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": provider.issuer(),
        "aud": "mail",
        "email": name,
        "iat": now,
        "exp": now + 600,
        "groups": "x".repeat(padding),
    });
    provider.signer().issue(Signature::Es256, &claims)
}

fn xoauth2(name: &str, token: &str) -> String {
    STANDARD.encode(format!("user={name}\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_as_thunderbird_and_outlook_bring_them() {
    let Some(fleet) = fleet().await else {
        return;
    };
    let provider = believed_provider(&fleet).await;
    // Thunderbird: the mechanism alone first, then 5 KB in one line.
    let large = token(&provider, ALICE, 3_600);
    assert!(large.len() > 5_000, "{}", large.len());
    let mut pop3 = fleet.connect(0);
    assert_eq!(pop3.ask("AUTH XOAUTH2"), "+ ");
    let reply = pop3.ask(&xoauth2(ALICE, &large));
    assert!(reply.starts_with("+OK"), "{reply}");
    pop3.ok("QUIT");
    // Outlook: asks for the list by AUTH without a name.
    let mut pop3 = fleet.connect(0);
    assert!(pop3.listing("AUTH").contains(&"XOAUTH2".to_owned()));
    assert_eq!(pop3.ask("AUTH XOAUTH2"), "+ ");
    let reply = pop3.ask(&xoauth2(ALICE, &token(&provider, ALICE, 0)));
    assert!(reply.starts_with("+OK"), "{reply}");
    pop3.ok("QUIT");
    // A token of another user, or of another issuer: an error in JSON first, the refusal after the client's answer.
    let stranger = IdentityProvider::start().await;
    for wrong in [
        token(&provider, "bob@acme.example", 0),
        token(&stranger, ALICE, 0),
        "no token at all".to_owned(),
    ] {
        let mut pop3 = fleet.stranger(0);
        let error = pop3.ask(&format!("AUTH XOAUTH2 {}", xoauth2(ALICE, &wrong)));
        let error = STANDARD.decode(error.strip_prefix("+ ").unwrap()).unwrap();
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        assert!(error["status"].is_string(), "{error}");
        assert_eq!(pop3.ask(""), REFUSED);
    }
    let log = fleet.frontend(0).log();
    assert!(!log.contains(large.split_at(40).0), "no token in the log");
}

/// What a client fetched lies in this file.
fn assert_fetched(fleet: &Fleet, file: &Path) {
    let fetched = std::fs::read_to_string(file).unwrap_or_default();
    assert!(fetched.contains("the canary sings"), "{fetched:?}");
    std::fs::remove_file(file).unwrap();
    let (mut pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    assert_eq!(pop3.stat().0, 0, "the client deleted it");
    pop3.ok("QUIT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mpop_takes_scram_and_both_kinds_of_bearer_tokens() {
    let (Some(mpop), Some(fleet)) = (program("mpop", "mpop"), fleet().await) else {
        return;
    };
    let provider = believed_provider(&fleet).await;
    let token = token(&provider, ALICE, 0);
    let place = fleet.write("place", "");
    let place = place.parent().unwrap().display();
    for (method, secret) in [
        ("scram-sha-256", PASSWORD),
        ("oauthbearer", &token),
        ("xoauth2", &token),
    ] {
        fleet.deliver(ALICE, MESSAGE);
        // Its configuration has no room for a whole token; a command's output has.
        let secret = fleet.write("secret", secret);
        let rc = format!(
            "account acme\nhost localhost\nport {}\nauth {method}\nuser {ALICE}\npasswordeval \"cat {}\"\ntls on\n\
             tls_starttls off\ntls_trust_file {}\nuidls_file {place}/uidls-{method}\nkeep off\n\
             delivery mbox {place}/{method}\naccount default : acme\n",
            fleet.port(0),
            secret.display(),
            fleet.frontend(0).certificate().display(),
        );
        let rc = fleet.write("mpoprc", &rc);
        let mut command = Command::new(&mpop);
        command.env("HOME", rc.parent().unwrap());
        succeed(
            command.arg(format!("--file={}", rc.display())).arg("--quiet"),
            b"",
        );
        assert_fetched(&fleet, &PathBuf::from(format!("{place}/{method}")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_takes_both_kinds_of_bearer_tokens() {
    let (Some(curl), Some(fleet)) = (program("curl", "curl"), fleet().await) else {
        return;
    };
    let provider = believed_provider(&fleet).await;
    let token = token(&provider, ALICE, 0);
    fleet.deliver(ALICE, MESSAGE);
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        for more in [&["--sasl-ir"][..], &[]] {
            let mut command = Command::new(&curl);
            command
                .args([
                    "--silent",
                    "--show-error",
                    "--max-time",
                    "30",
                    "--user",
                    ALICE,
                    "--cacert",
                ])
                .arg(fleet.frontend(0).certificate())
                .args(["--login-options", &format!("AUTH={mechanism}")])
                .args(more)
                .arg("--oauth2-bearer")
                .arg(&token)
                .arg(format!("pop3s://localhost:{}/1", fleet.port(0)));
            let message = succeed(&mut command, b"");
            assert!(message.contains("the canary sings"), "{mechanism}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_opens_the_maildrop_of_the_name_in_it_alone() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let tables = format!("[tls]\nclient_authority_file = \"{}\"\n", file.display());
    let Some(fleet) = fleet_with("EXTERNAL,USER,PLAIN", &tables).await else {
        return;
    };
    fleet.account("bob@acme.example", PASSWORD);
    let shown = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let mail = rcgen::SanType::Rfc822Name(name.try_into().unwrap());
        params.subject_alt_names.push(mail);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let options = TlsOptions {
            identity: Some((certificate.der().clone(), key)),
            ..TlsOptions::default()
        };
        let server = CertificateDer::from_pem_file(fleet.frontend(0).certificate()).unwrap();
        Pop3::connect_with(fleet.port(0), TestCertificate::client_config(server, &options))
    };
    let mut alice = shown(ALICE);
    assert!(offered(&mut alice).contains(&"EXTERNAL".to_owned()));
    let reply = alice.ask("AUTH EXTERNAL =");
    assert!(reply.starts_with("+OK"), "{reply}");
    alice.ok("QUIT");
    let as_bob = STANDARD.encode("bob@acme.example");
    assert_eq!(shown(ALICE).ask(&format!("AUTH EXTERNAL {as_bob}")), REFUSED);
    assert_eq!(shown("nobody@acme.example").ask("AUTH EXTERNAL ="), REFUSED);
    assert!(!offered(&mut fleet.connect(0)).contains(&"EXTERNAL".to_owned()));
}
