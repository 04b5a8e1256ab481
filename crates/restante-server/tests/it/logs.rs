//! What must never be written down, at whatever level.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use restante_testkit::{ALICE, PASSWORD, Pop3Client, TestServer};
use tracing::Level;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Said by the clients below: as a name, as passwords, in SASL responses, as a command, in a message.
const CANARIES: [&str; 7] = [
    "canary-name",
    "canary-password",
    "canary-command",
    "canary-subject",
    // `canary-sasl` at each of the three places in base64.
    "Y2FuYXJ5LXNhc2",
    "NhbmFyeS1zYXNs",
    "jYW5hcnktc2Fzb",
];

#[tokio::test]
async fn s07_no_word_of_a_client_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The test and its server run on this thread alone.
    let _logging = tracing::subscriber::set_default(subscriber);
    let server = TestServer::start().await;

    let mut clear = Pop3Client::connect(server.clear()).await;
    for line in [
        "USER canary-name@example.test",
        "PASS canary-password",
        "AUTH PLAIN AGNhbmFyeS1zYXNsAGNhbmFyeS1zYXNs",
        "canary-command",
    ] {
        assert!(clear.command(line).await.starts_with("-ERR"));
    }
    clear.quit().await;

    let mut client = server.tls_client().await;
    let reply = client
        .try_login("canary-name@example.test", "canary-password")
        .await;
    assert!(reply.starts_with("-ERR"));
    let reply = client.try_login(ALICE, "canary-password").await;
    assert!(reply.starts_with("-ERR"));
    let reply = client
        .command("AUTH PLAIN AGNhbmFyeS1zYXNsAGNhbmFyeS1zYXNs")
        .await;
    assert!(reply.starts_with("-ERR"));

    let message = b"Subject: canary-subject\r\n\r\nx\r\n";
    server.lmtp_client().await.deliver(ALICE, message).await;
    let mut client = server.client().await.login(ALICE).await;
    client.message("RETR 1").await;
    client.command("canary-command").await;
    client.quit().await;
    server.still_serves().await;

    let text = log.text();
    assert!(text.contains("session ended"), "the log was seen: {text}");
    for canary in CANARIES.into_iter().chain([PASSWORD]) {
        assert!(!text.contains(canary), "{canary} is in the log");
    }
}
