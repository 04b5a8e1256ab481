//! Handshakes of well-behaved clients: certificate by name, ALPN, versions, upgrade of a used stream.

use restante_net::{
    ClientAuthority, HandshakeError, HandshakeFault, HandshakeInfo, MaybeTls, TlsFloor, TlsSettings,
    TlsSetupError, TlsStack, TlsVersion, UnknownName,
};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::support::{
    PATIENCE, Shelf, beside, client, client_of, connect, now, on_file, pop3_settings, pop3_stack, shown,
    stack_with,
};

type Outcome = (
    std::io::Result<CertificateDer<'static>>,
    Result<HandshakeInfo, HandshakeError>,
);

/// One handshake over a pipe; what each side came to know.
async fn shake(stack: &TlsStack, config: &rustls::ClientConfig, name: &str) -> Outcome {
    let (ours, theirs) = duplex(64 * 1024);
    let stack = stack.clone();
    let server = beside(async move { stack.accept(ours).await.map(|stream| stream.info().clone()) });
    // Kept until the server is done: it still sends a ticket after the client's last word.
    let client = connect(config, name, theirs).await;
    let info = server.await.unwrap();
    (client.map(|stream| shown(&stream)), info)
}

#[tokio::test]
async fn certificate_follows_the_server_name() {
    let shelf = Shelf::new();
    let default = shelf.put("default", &["mail.example.net"]);
    let exact = shelf.put("exact", &["pop.example.org"]);
    let wildcard = shelf.put("wildcard", &["*.example.org"]);
    let mut listed = shelf.put("listed", &["irrelevant.test"]);
    listed.names = vec!["Listed.Example.COM.".to_owned()];
    let files = [default, exact, wildcard, listed];
    let stack = stack_with(&pop3_settings(), &files);
    let [default, exact, wildcard, listed] = files.each_ref().map(on_file);
    let cases = [
        ("pop.example.org", &exact, Some("pop.example.org")),
        ("POP.EXAMPLE.ORG", &exact, Some("pop.example.org")),
        ("pop.example.org.", &exact, Some("pop.example.org")),
        ("imap.example.org", &wildcard, Some("imap.example.org")),
        ("a.b.example.org", &default, Some("a.b.example.org")),
        ("unknown.test", &default, Some("unknown.test")),
        ("listed.example.com", &listed, Some("listed.example.com")),
        ("irrelevant.test", &default, Some("irrelevant.test")),
        // An IP address is never sent as a name.
        ("192.0.2.1", &default, None),
    ];
    for (name, expected, sni) in cases {
        let (certificate, info) = shake(&stack, &client(&[]), name).await;
        assert_eq!(&certificate.unwrap(), expected, "{name}");
        assert_eq!(info.unwrap().sni.as_deref(), sni, "{name}");
    }
}

#[tokio::test]
async fn unknown_name_is_refused_where_the_configuration_says_so() {
    let settings = TlsSettings {
        unknown_name: UnknownName::Refuse,
        ..pop3_settings()
    };
    let stack = stack_with(&settings, &[Shelf::new().put("pop", &["pop.example.org"])]);
    let (client_side, server_side) = shake(&stack, &client(&[]), "unknown.test").await;
    assert!(client_side.unwrap_err().to_string().contains("alert"));
    assert_eq!(server_side.unwrap_err().fault, HandshakeFault::Incompatible);
    assert!(shake(&stack, &client(&[]), "pop.example.org").await.1.is_ok());
    assert!(
        shake(&stack, &client(&[]), "192.0.2.1").await.1.is_ok(),
        "no name is not an unknown name"
    );
}

#[tokio::test]
async fn alpn_is_pop3_or_none() {
    let stack = pop3_stack();
    let cases: [(&[&str], Option<bool>); 5] = [
        (&[], Some(false)),
        (&["pop3"], Some(true)),
        (&["h2", "pop3"], Some(true)),
        (&["h2", "http/1.1"], None),
        (&["imap"], None),
    ];
    for (offered, agreed) in cases {
        let (client_side, server_side) = shake(&stack, &client(offered), "pop.example.org").await;
        if let Some(agreed) = agreed {
            assert_eq!(server_side.unwrap().alpn, agreed, "{offered:?}");
        } else {
            let text = client_side.unwrap_err().to_string();
            assert!(text.contains("NoApplicationProtocol"), "{offered:?}: {text}");
            assert_eq!(server_side.unwrap_err().fault, HandshakeFault::Alpn);
        }
    }
}

#[tokio::test]
async fn tls_12_and_13_are_spoken_and_the_floor_holds() {
    let both = pop3_stack();
    let (_, info) = shake(&both, &client_of(&[&TLS12], &[]), "pop.example.org").await;
    assert_eq!(info.unwrap().version, TlsVersion::Tls12);
    let (_, info) = shake(&both, &client_of(&[&TLS13], &[]), "pop.example.org").await;
    let info = info.unwrap();
    assert_eq!((info.version, info.resumed), (TlsVersion::Tls13, false));
    assert!(info.cipher.starts_with("TLS13_"), "{}", info.cipher);

    let settings = TlsSettings {
        floor: TlsFloor::Tls13,
        ..pop3_settings()
    };
    let strict = stack_with(&settings, &[Shelf::new().put("pop", &["pop.example.org"])]);
    let (_, refused) = shake(&strict, &client_of(&[&TLS12], &[]), "pop.example.org").await;
    assert_eq!(refused.unwrap_err().fault, HandshakeFault::Incompatible);
}

#[tokio::test]
async fn stream_already_in_use_is_upgraded() {
    let stack = pop3_stack();
    let (mut ours, mut theirs) = duplex(64 * 1024);
    let server = beside(async move {
        ours.write_all(b"+OK Begin TLS\r\n").await.unwrap();
        let mut stream = MaybeTls::Tls(Box::new(stack.accept(ours).await.unwrap()));
        assert!(stream.handshake().is_some());
        stream.write_all(b"+OK capabilities\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    });
    theirs.read_exact(&mut [0; 15]).await.unwrap();
    let mut secured = connect(&client(&["pop3"]), "pop.example.org", theirs)
        .await
        .unwrap();
    let mut text = String::new();
    secured.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "+OK capabilities\r\n");
    server.await.unwrap();
}

#[tokio::test]
async fn both_sides_agree_on_the_channel_binding_of_tls_13_and_tls_12_has_none() {
    let stack = pop3_stack();
    for (version, has_binding) in [(&TLS13, true), (&TLS12, false)] {
        let (ours, theirs) = duplex(64 * 1024);
        let stack = stack.clone();
        let server = beside(async move { stack.accept(ours).await.unwrap().channel_binding() });
        let client = connect(&client_of(&[version], &[]), "pop.example.org", theirs)
            .await
            .unwrap();
        let connection = client.get_ref().1;
        let theirs = connection
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .unwrap();
        assert_eq!(server.await.unwrap(), has_binding.then_some(theirs));
    }
}

#[tokio::test(start_paused = true)]
async fn handshake_that_goes_silent_is_closed_at_the_limit() {
    let stack = pop3_stack();
    let (ours, mut theirs) = duplex(1024);
    // The beginning of a record, then nothing.
    theirs.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = stack.accept(ours).await.unwrap_err();
    assert_eq!(
        (error.fault, start.elapsed().as_secs()),
        (HandshakeFault::TimedOut, 10)
    );
    assert_eq!(
        theirs.read(&mut [0; 16]).await.unwrap(),
        0,
        "the stream is closed"
    );
}

#[tokio::test]
async fn client_certificate_of_the_authority_is_seen_and_none_is_refused_where_required() {
    let shelf = Shelf::new();
    let server = shelf.put("server", &["lmtp.example.org"]);

    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap();
    std::fs::write(shelf.path("root.crt"), root.pem()).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["mx.example.org".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();

    let client_authority = Some(ClientAuthority {
        file: shelf.path("root.crt"),
        required: true,
    });
    let stack = stack_with(
        &TlsSettings {
            client_authority,
            ..TlsSettings::default()
        },
        &[server],
    );

    let mut config = client(&[]);
    let key = rustls_pki_types::PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![leaf.der().clone()], signer);
    config.client_auth_cert_resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let (ours, theirs) = duplex(64 * 1024);
    let accepting = stack.clone();
    let server = beside(async move {
        accepting
            .accept(ours)
            .await
            .unwrap()
            .client_certificate()
            .cloned()
    });
    connect(&config, "lmtp.example.org", theirs).await.unwrap();
    assert_eq!(server.await.unwrap().as_ref(), Some(leaf.der()));

    let (_, refused) = shake(&stack, &client(&[]), "lmtp.example.org").await;
    assert!(matches!(refused.unwrap_err().fault, HandshakeFault::Incompatible));
}

#[tokio::test]
async fn missing_client_authority_is_named() {
    let shelf = Shelf::new();
    let (store, _) =
        restante_net::CertificateStore::open(&[shelf.put("pop", &["pop.example.org"])], now()).unwrap();
    let client_authority = Some(ClientAuthority {
        file: shelf.path("absent.crt"),
        required: true,
    });
    let error = TlsStack::new(
        &TlsSettings {
            client_authority,
            ..TlsSettings::default()
        },
        store,
    )
    .unwrap_err();
    assert!(matches!(error, TlsSetupError::ClientAuthority { .. }));
    assert!(error.to_string().contains("absent.crt"));
}

#[tokio::test]
async fn client_that_hangs_up_is_a_closed_handshake() {
    let (ours, theirs) = duplex(64);
    drop(theirs);
    let outcome = tokio::time::timeout(PATIENCE, pop3_stack().accept(ours))
        .await
        .unwrap();
    assert_eq!(outcome.unwrap_err().fault, HandshakeFault::Closed);
}
