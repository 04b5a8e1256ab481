//! Bodies that cannot be had, break off or come wrong: never a terminator without the whole message.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{
    BlobKey, BlobReader, BlobStore, BytesReader, Fault, FaultPlan, OctetRange, StoreError, StoreErrorKind,
};
use restante_telemetry::Counter;
use restante_testkit::{ALICE, Account, TestServer};
use restante_types::Octets;

use crate::support::{faulty, letter, stuffed};

const TERMINATOR: &[u8] = b"\r\n.\r\n";

/// Messages that differ in what happens to them on their way: short, and longer than every buffer; stuffed and not.
fn letters() -> [Vec<u8>; 4] {
    [
        letter(200, false),
        letter(200, true),
        letter(700_000, false),
        letter(700_000, true),
    ]
}

/// A command whose body meets a fault.
struct Faulted<'a> {
    command: &'a str,
    fault: Fault,
    /// What would come but for the end.
    expected: &'a [u8],
    message: &'a [u8],
}

/// Sees that what comes is a beginning of what is expected, without an end; and that the message is there once the
/// fault is gone.
async fn breaks_off(server: &TestServer, plan: &FaultPlan, faulted: &Faulted<'_>) {
    let Faulted {
        command,
        fault,
        expected,
        message,
    } = faulted;
    for tls in [false, true] {
        let what = format!("{command} of {} with {fault:?}", message.len());
        plan.from(Some("get"), 1, *fault);
        let mut client = if tls {
            server.tls_client().await.login(ALICE).await
        } else {
            server.alice().await
        };
        client.send(format!("{command}\r\nNOOP\r\n").as_bytes()).await;
        let came = client.rest().await;
        assert!(
            expected.starts_with(&came),
            "{what}, tls {tls}: other octets came"
        );
        assert!(
            !came.ends_with(TERMINATOR),
            "{what}, tls {tls}: the message was finished"
        );
        plan.clear();
        is_still_there(server, message, &what).await;
    }
}

async fn is_still_there(server: &TestServer, message: &[u8], what: &str) {
    let mut client = server.alice().await;
    assert!(
        client.message("RETR 1").await == message,
        "{what}: the message has changed"
    );
    client.quit().await;
}

#[tokio::test]
async fn f14_trouble_before_the_first_octet_is_an_answer_and_the_session_goes_on() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    let message = letter(5000, true);
    server.backends.deliver(Account::Alice, &message).await;
    let mut client = server.alice().await;
    let temporary = "-ERR [SYS/TEMP] Message temporarily unavailable";
    for (kind, expected) in [
        (StoreErrorKind::Unavailable, temporary),
        (StoreErrorKind::Timeout, temporary),
        (StoreErrorKind::Throttled, temporary),
        (StoreErrorKind::Denied, "-ERR [SYS/PERM] Message body unavailable"),
        (
            StoreErrorKind::NotFound,
            "-ERR [SYS/PERM] Message body unavailable",
        ),
        (
            StoreErrorKind::Damaged,
            "-ERR [SYS/PERM] Message damaged, contact support",
        ),
    ] {
        for command in ["RETR 1", "TOP 1 0", "TOP 1 3"] {
            plan.once(Some("get"), 1, Fault::Before(kind));
            assert_eq!(client.command(command).await, expected, "{command}");
        }
        assert_eq!(
            client.command("STAT").await,
            format!("+OK 1 {}", message.len()),
            "{kind}"
        );
    }
    assert!(client.message("RETR 1").await == message);
    client.ok("DELE 1").await;
    plan.from(Some("get"), 1, Fault::Before(StoreErrorKind::NotFound));
    assert_eq!(client.quit().await, "+OK 1 message deleted");
    plan.clear();
    server.still_serves().await;
}

#[tokio::test]
async fn f15_a_body_that_ends_early_or_goes_on_is_dropped_without_a_terminator() {
    for message in letters() {
        let (builder, plan) = faulty();
        let server = builder.start().await;
        server.backends.deliver(Account::Alice, &message).await;
        let octets = message.len() as u64;
        let whole = [format!("+OK {octets} octets\r\n").as_bytes(), &stuffed(&message)].concat();
        let top = [&b"+OK Top of message follows\r\n"[..], &stuffed(&message)].concat();
        let cuts = [0, 1, octets / 2, octets - 2, octets - 1].map(|at| Fault::CutAt(Octets(at)));
        for fault in cuts.into_iter().chain([Fault::Extend(1), Fault::Extend(100_000)]) {
            for (command, expected) in [("RETR 1", &whole), ("TOP 1 2", &top), ("TOP 1 100000", &top)] {
                let faulted = Faulted {
                    command,
                    fault,
                    expected,
                    message: &message,
                };
                breaks_off(&server, &plan, &faulted).await;
            }
        }
        server.still_serves().await;
    }
}

#[tokio::test]
async fn f16_a_flipped_octet_is_found_and_the_message_not_finished() {
    for message in letters() {
        let (builder, plan) = faulty();
        let server = builder.start().await;
        server.backends.deliver(Account::Alice, &message).await;
        let octets = message.len();
        for at in [0, 7, octets / 2, octets - 5] {
            let mut flipped = message.clone();
            flipped[at] ^= 1;
            let whole = [format!("+OK {octets} octets\r\n").as_bytes(), &stuffed(&flipped)].concat();
            let top = [&b"+OK Top of message follows\r\n"[..], &stuffed(&flipped)].concat();
            for (command, expected) in [("RETR 1", &whole), ("TOP 1 2", &top), ("TOP 1 100000", &top)] {
                let fault = Fault::FlipAt(Octets(at as u64));
                let faulted = Faulted {
                    command,
                    fault,
                    expected,
                    message: &message,
                };
                breaks_off(&server, &plan, &faulted).await;
            }
        }
        server.still_serves().await;
    }
}

/// Gives other octets than were stored, of the same length.
#[derive(Debug)]
struct Changeling(Arc<dyn BlobStore>, Vec<u8>);

impl std::fmt::Display for Changeling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl BlobStore for Changeling {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        self.0.put(key, octets, body).await
    }

    async fn get(&self, _key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        let end = usize::try_from(range.end.get()).unwrap();
        Ok(Box::new(BytesReader::from(Bytes::copy_from_slice(
            &self.1[..end],
        ))))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        self.0.delete(key).await
    }
}

#[tokio::test]
async fn f16_a_wrong_object_shows_no_terminator_of_its_own() {
    // Long enough that the beginning is sent before the end is read.
    let message = letter(200_000, false);
    let mut wrong = message.clone();
    let forged = b"\r\n.\r\n+OK 5 octets\r\n";
    wrong[1000..1000 + forged.len()].copy_from_slice(forged);
    for command in ["RETR 1", "TOP 1 100000"] {
        let octets = wrong.clone();
        let server = TestServer::builder()
            .wrap_blobs(move |blobs| Arc::new(Changeling(blobs, octets)))
            .start()
            .await;
        server.backends.deliver(Account::Alice, &message).await;
        let mut client = server.alice().await;
        client.send(format!("{command}\r\n").as_bytes()).await;
        let came = client.rest().await;
        let shown = came.windows(TERMINATOR.len()).any(|octets| octets == TERMINATOR);
        assert!(!shown, "{command}: a client would take the message as finished");
    }
}

#[tokio::test]
async fn f16_a_damaged_message_cuts_one_session_and_is_refused_to_the_next() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    let message = letter(200_000, false);
    for _ in 0..2 {
        server.backends.deliver(Account::Alice, &message).await;
    }
    plan.from(Some("get"), 1, Fault::FlipAt(Octets(100_000)));
    let mut client = server.alice().await;
    client.ok("RETR 1").await;
    assert!(
        !client.into_socket().rest().await.ends_with(b"\r\n.\r\n"),
        "cut off"
    );
    let mut client = server.alice().await;
    for command in ["RETR 1", "TOP 1 0"] {
        assert_eq!(
            client.command(command).await,
            "-ERR [SYS/PERM] Message damaged, contact support"
        );
    }
    plan.clear();
    assert!(
        client.message("RETR 2").await == message,
        "the messages behind it are reached"
    );
    assert!(client.message("RETR 1").await == message, "it was restored");
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn f16_what_the_comparison_finds_is_counted() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    let message = letter(5000, false);
    server.backends.deliver(Account::Alice, &message).await;
    let counted = || {
        ["ok", "damaged"].map(|result| {
            let labels = ["memory", "verify", result];
            server.ports.telemetry.counter(Counter::StorageCalls, &labels)
        })
    };
    let mut client = server.alice().await;
    client.message("RETR 1").await;
    assert_eq!(counted(), [1, 0]);
    plan.once(Some("get"), 1, Fault::FlipAt(Octets(2000)));
    client.send(b"RETR 1\r\n").await;
    client.rest().await;
    assert_eq!(counted(), [1, 1]);
}

#[tokio::test]
async fn f16_a_flipped_octet_of_the_header_is_found_by_top_0() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    let message = letter(5000, false);
    server.backends.deliver(Account::Alice, &message).await;
    let header = message.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    for at in [0, 5, header - 5] {
        let mut flipped = message[..header].to_vec();
        flipped[at] ^= 1;
        let top = [&b"+OK Top of message follows\r\n"[..], &flipped].concat();
        let fault = Fault::FlipAt(Octets(at as u64));
        let faulted = Faulted {
            command: "TOP 1 0",
            fault,
            expected: &top,
            message: &message,
        };
        breaks_off(&server, &plan, &faulted).await;
    }
    // Beyond the header nothing is read, so nothing is found.
    plan.from(Some("get"), 1, Fault::FlipAt(Octets(header as u64)));
    let mut client = server.alice().await;
    assert_eq!(client.message("TOP 1 0").await, &message[..header]);
    client.quit().await;
    plan.clear();
    server.still_serves().await;
}

#[tokio::test]
async fn f15_a_body_that_breaks_off_deletes_nothing_that_was_marked() {
    let (builder, plan) = faulty();
    let server = builder.start().await;
    for _ in 0..2 {
        server
            .backends
            .deliver(Account::Alice, &letter(200_000, false))
            .await;
    }
    let before = server.backends.unique_ids(Account::Alice).await;
    let mut client = server.alice().await;
    client.ok("DELE 1").await;
    plan.once(Some("get"), 1, Fault::CutAt(Octets(150_000)));
    client.send(b"RETR 2\r\nQUIT\r\n").await;
    let came = client.rest().await;
    assert!(!came.ends_with(TERMINATOR) && !came.ends_with(b"deleted\r\n"));
    assert_eq!(server.backends.unique_ids(Account::Alice).await, before);
    server.still_serves().await;
}
