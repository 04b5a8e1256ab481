//! The end of the server: those inside finish, nobody loses mail.

use std::sync::Arc;
use std::time::Duration;

use restante_testkit::{ALICE, Account, Pop3Client, Socket, TestServer, eventually};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::{Held, letter};

const SHUTTING_DOWN: &[u8] = b"-ERR [SYS/TEMP] Server shutting down\r\n";
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn f23_idle_clients_are_told_and_nothing_is_deleted() {
    let server = TestServer::builder().drain_grace(SHORT).start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut stranger = server.client().await;
    let mut alice = server.alice().await;
    alice.ok("DELE 1").await;
    let (report, to_stranger, to_alice) = tokio::join!(server.drained(LONG), stranger.rest(), alice.rest());
    assert_eq!(to_stranger, SHUTTING_DOWN);
    assert_eq!(to_alice, SHUTTING_DOWN);
    drop((stranger, alice));
    assert_eq!(report.n_cut, 0);
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
    assert!(
        TcpStream::connect(server.trusted()).await.is_err(),
        "the listener is closed"
    );
}

#[tokio::test]
async fn f23_a_client_inside_may_go_on_to_quit_within_its_grace() {
    let server = TestServer::builder().drain_grace(LONG).start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut alice = server.alice().await;
    server.drain.start(LONG);
    assert_eq!(alice.message("RETR 1").await, b"x\r\n");
    alice.ok("DELE 1").await;
    assert_eq!(alice.quit().await, "+OK 1 message deleted");
    assert_eq!(server.drain.finished().await.n_cut, 0);
    assert!(server.backends.unique_ids(Account::Alice).await.is_empty());
}

#[tokio::test]
async fn f23_a_client_that_never_pauses_does_not_outlast_its_grace() {
    const REPLY: &[u8] = b"+OK\r\n";
    let server = TestServer::builder().drain_grace(SHORT).start().await;
    let mut alice = server.alice().await;
    let batch = b"NOOP\r\n".repeat(5000);
    // One batch ahead of what is read: the server always has something to do.
    alice.send(&batch).await;
    server.drain.start(LONG);
    let begun = Instant::now();
    let mut owed = 0;
    let mut told = Vec::new();
    while told.is_empty() && alice.try_send(&batch).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the session goes on");
        owed += 5000 * REPLY.len();
        while owed > 0 && told.is_empty() {
            let Some(octets) = alice.octets().await else { break };
            owed = owed.saturating_sub(octets.len());
            if let Some(at) = octets.iter().position(|octet| *octet == b'-') {
                told = octets[at..].to_vec();
            }
        }
    }
    told.extend(alice.rest().await);
    // A reset may overtake the last words.
    assert!(
        SHUTTING_DOWN.starts_with(&told),
        "{:?}",
        String::from_utf8_lossy(&told)
    );
    drop(alice);
    assert_eq!(server.drain.finished().await.n_cut, 0);
}

#[tokio::test]
async fn f23_a_message_on_its_way_is_sent_to_its_end() {
    let server = TestServer::builder().drain_grace(SHORT).start().await;
    let message = letter(8 << 20, false);
    server.backends.deliver(Account::Alice, &message).await;
    let socket = Socket::connect(server.trusted()).await;
    socket.limit_receive_buffer(64 * 1024);
    let mut client = Pop3Client::on(socket);
    client.reply().await;
    let mut client = client.login(ALICE).await;
    client.ok("RETR 1").await;
    server.drain.start(LONG);
    let wire = client.multiline().await;
    assert!(wire == [&message[..], b".\r\n"].concat(), "the message is whole");
    assert_eq!(client.rest().await, SHUTTING_DOWN);
    drop(client);
    assert_eq!(server.drain.finished().await.n_cut, 0);
}

#[tokio::test]
async fn f23_a_quit_on_its_way_is_served_to_its_end() {
    let held = Held::new();
    let gate = Arc::clone(&held);
    let server = TestServer::builder()
        .drain_grace(Duration::ZERO)
        .wrap_index(move |index| gate.index(index))
        .start()
        .await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    client.send(b"QUIT\r\n").await;
    eventually("the commit has begun", || held.n_begun() == 1).await;
    server.drain.start(LONG);
    held.let_one_through();
    assert_eq!(client.rest().await, b"+OK 1 message deleted\r\n");
    drop(client);
    assert_eq!(server.drain.finished().await.n_cut, 0);
    assert!(server.backends.unique_ids(Account::Alice).await.is_empty());
}

#[tokio::test]
async fn f23_a_second_request_leaves_five_seconds_and_frees_the_maildrop() {
    let server = TestServer::builder().drain_grace(LONG).start().await;
    server.backends.deliver(Account::Alice, b"x\r\n").await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    server.drain.start(10 * LONG);
    tokio::time::pause();
    server.drain.start(10 * LONG);
    let report = server.drain.finished().await;
    tokio::time::resume();
    assert_eq!(report.n_cut, 1);
    assert!(report.elapsed <= Duration::from_secs(6), "{report:?}");
    client.expect_closed().await;
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
}
