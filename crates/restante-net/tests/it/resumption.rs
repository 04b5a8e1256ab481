//! Which sessions are resumed, and which must not be.

use std::sync::Arc;

use restante_net::{HandshakeInfo, TlsStack};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, NamedGroup};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::support::{Shelf, beside, client_of, connect, pop3_settings, stack_with};

/// Offers every ticket to every server, whatever its name: what a hostile client does.
#[derive(Debug)]
struct OneDrawer(ClientSessionMemoryCache);

fn drawer() -> ServerName<'static> {
    ServerName::try_from("drawer.test").unwrap()
}

impl ClientSessionStore for OneDrawer {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(drawer(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&drawer())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(drawer(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&drawer())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&drawer());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(drawer(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&drawer())
    }
}

fn hoarder(version: &'static rustls::SupportedProtocolVersion) -> ClientConfig {
    let mut config = client_of(&[version], &["pop3"]);
    config.resumption = Resumption::store(Arc::new(OneDrawer(ClientSessionMemoryCache::new(32))));
    config.enable_early_data = true;
    config
}

/// One short session; the client reads a line, so that it has seen the ticket.
async fn visit(stack: &TlsStack, config: &ClientConfig, name: &str) -> HandshakeInfo {
    let (ours, theirs) = duplex(64 * 1024);
    let stack = stack.clone();
    let server = beside(async move {
        let mut stream = stack.accept(ours).await.unwrap();
        stream.write_all(b"+OK\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        stream.info().clone()
    });
    let mut client = connect(config, name, theirs).await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    server.await.unwrap()
}

fn two_tenants() -> TlsStack {
    let shelf = Shelf::new();
    stack_with(
        &pop3_settings(),
        &[shelf.put("a", &["pop.a.test"]), shelf.put("b", &["pop.b.test"])],
    )
}

#[tokio::test]
async fn session_is_resumed_under_its_own_name() {
    for version in [&TLS13, &TLS12] {
        let (stack, client) = (two_tenants(), hoarder(version));
        assert!(!visit(&stack, &client, "pop.a.test").await.resumed);
        assert!(visit(&stack, &client, "pop.a.test").await.resumed, "{version:?}");
    }
}

#[tokio::test]
async fn ticket_of_one_name_is_worth_nothing_under_another() {
    for version in [&TLS13, &TLS12] {
        let (stack, client) = (two_tenants(), hoarder(version));
        visit(&stack, &client, "pop.a.test").await;
        let info = visit(&stack, &client, "pop.b.test").await;
        assert_eq!(
            (info.sni.as_deref(), info.resumed),
            (Some("pop.b.test"), false),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn ticket_under_a_key_that_is_not_ours_leads_to_a_full_handshake() {
    for version in [&TLS13, &TLS12] {
        let (one, other, client) = (two_tenants(), two_tenants(), hoarder(version));
        visit(&one, &client, "pop.a.test").await;
        assert!(!visit(&other, &client, "pop.a.test").await.resumed, "{version:?}");
    }
}

#[tokio::test]
async fn tickets_permit_no_early_data() {
    let (stack, config) = (two_tenants(), hoarder(&TLS13));
    visit(&stack, &config, "pop.a.test").await;
    let name = ServerName::try_from("pop.a.test").unwrap();
    let mut next = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    assert!(
        next.early_data().is_none(),
        "a client that holds a ticket and wants early data may not send any"
    );
    // The look above took the ticket; the server had given exactly one.
    assert!(!visit(&stack, &config, "pop.a.test").await.resumed);
    assert!(visit(&stack, &config, "pop.a.test").await.resumed);
}
