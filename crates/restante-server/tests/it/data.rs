//! Commands with odd arguments, and messages with odd octets, from LMTP to RETR.

use std::collections::HashSet;

use restante_message::{Canonicalizer, Measured};
use restante_store::NewMessage;
use restante_testkit::{ALICE, Account, TestServer};
use restante_types::{Clock, Octets, SystemClock};

use crate::support::{letter, stuffed};

#[tokio::test]
async fn l01_what_is_no_message_number_never_reaches_a_message() {
    let server = TestServer::builder()
        .policy(|policy| policy.bad_commands = 1000)
        .start()
        .await;
    server.backends.deliver(Account::Alice, b"first\r\n").await;
    let mut client = server.alice().await;
    let huge = "9".repeat(40);
    let numbers = [
        "0",
        "-1",
        "+1",
        "01",
        "1x",
        "1.0",
        "2",
        "4294967295",
        "4294967296",
        "4294967297",
        &huge,
        "1 1 1",
    ];
    for verb in ["RETR", "DELE", "LIST", "UIDL"] {
        for number in numbers {
            let reply = client.command(&format!("{verb} {number}")).await;
            assert!(reply.starts_with("-ERR"), "{verb} {number}: {reply}");
        }
    }
    for number in numbers {
        let reply = client.command(&format!("TOP {number} 0")).await;
        assert!(reply.starts_with("-ERR"), "TOP {number} 0: {reply}");
    }
    for verb in ["RETR", "DELE", "TOP"] {
        assert!(
            client.command(verb).await.starts_with("-ERR"),
            "{verb} without a number"
        );
    }
    assert_eq!(client.command("STAT").await, "+OK 1 7");
    assert_eq!(client.quit().await, "+OK Goodbye");
    assert_eq!(server.backends.unique_ids(Account::Alice).await.len(), 1);
    server.still_serves().await;
}

#[tokio::test]
async fn l02_a_deleted_message_is_gone_for_every_command_and_numbers_stay() {
    let server = TestServer::start().await;
    for message in [&b"one\r\n"[..], b"two2\r\n", b"three\r\n"] {
        server.backends.deliver(Account::Alice, message).await;
    }
    let mut client = server.alice().await;
    client.ok("DELE 2").await;
    for line in ["DELE 2", "RETR 2", "TOP 2 0", "LIST 2", "UIDL 2"] {
        assert_eq!(client.command(line).await, "-ERR No such message", "{line}");
    }
    assert_eq!(client.command("STAT").await, "+OK 2 12");
    assert_eq!(client.listing("LIST").await, ["1 5", "3 7"]);
    let numbers: Vec<String> = client.listing("UIDL").await;
    assert!(
        numbers[0].starts_with("1 ") && numbers[1].starts_with("3 "),
        "{numbers:?}"
    );
    assert_eq!(client.quit().await, "+OK 1 message deleted");
    server.still_serves().await;
}

#[tokio::test]
async fn l03_rset_takes_every_deletion_back() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.backends.deliver(Account::Alice, b"x\r\n").await;
    }
    let before = server.backends.unique_ids(Account::Alice).await;
    let mut client = server.alice().await;
    for number in 1..=3 {
        client.ok(&format!("DELE {number}")).await;
    }
    client.ok("RSET").await;
    assert_eq!(client.quit().await, "+OK Goodbye");
    assert_eq!(server.backends.unique_ids(Account::Alice).await, before);
    server.still_serves().await;
}

#[tokio::test]
async fn l04_top_gives_the_header_the_empty_line_and_so_many_lines() {
    let server = TestServer::start().await;
    let whole = b"Subject: x\r\n\r\n.one\r\ntwo\r\n";
    server.backends.deliver(Account::Alice, whole).await;
    server
        .backends
        .deliver(Account::Alice, b"Subject: header alone\r\n")
        .await;
    let mut client = server.alice().await;
    for (line, expected) in [
        ("TOP 1 0", &whole[..14]),
        ("TOP 1 1", &whole[..20]),
        ("TOP 1 2", whole),
        ("TOP 1 2147483648", whole),
        ("TOP 2 0", b"Subject: header alone\r\n"),
        ("TOP 2 5", b"Subject: header alone\r\n"),
    ] {
        assert_eq!(client.message(line).await, expected, "{line}");
    }
    for line in ["TOP 1 -1", "TOP 1", "TOP 1 x"] {
        assert!(client.command(line).await.starts_with("-ERR"), "{line}");
    }
    client.quit().await;
    server.still_serves().await;
}

/// The canonical form of what was sent, the long way round.
fn canonical(sent: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(sent.len() + 2);
    let mut rest = sent;
    while let [octet, after @ ..] = rest {
        let line_end = [&b"\r\r\n"[..], b"\r\n", b"\n", b"\r"]
            .into_iter()
            .find(|end| rest.starts_with(end));
        if let Some(end) = line_end {
            stored.extend_from_slice(b"\r\n");
            rest = &rest[end.len()..];
        } else {
            stored.push(*octet);
            rest = after;
        }
    }
    if !(stored.is_empty() || stored.ends_with(b"\r\n")) {
        stored.extend_from_slice(b"\r\n");
    }
    stored
}

/// Bodies at which servers have gone wrong.
fn odd_messages() -> Vec<Vec<u8>> {
    let header = |body: &[u8]| [b"Subject: odd\r\n\r\n", body].concat();
    let mut messages: Vec<Vec<u8>> = [
        &b"."[..],
        b".\r\n",
        b"..\r\n",
        b".\r\n+OK 5 octets\r\n",
        b"a\r\n.\r\nb\r\n.\r\n",
        b"a\n.\nb\n",
        b"a\n.\r\nb\r\n",
        b"a\r.\r\nb\r\n",
        b"bare\nline\nfeeds\n",
        b"bare\rreturns\r",
        b"twice\r\r\ntranslated\r\r\n",
        b"nul\0inside\0\r\n",
        b"8 bit \xff\xfe\x80 \xc3\xa9\r\n",
        b"no end",
        b"x",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b"",
        b"ends with a dot\r\n.",
        b"...\r\n....\r\n",
    ]
    .into_iter()
    .map(header)
    .collect();
    messages.push(Vec::new());
    messages.push(b".".to_vec());
    messages.push(b"x".to_vec());
    messages.push(b"\r\n".to_vec());
    messages.push(header(&vec![b'.'; 1_000_000]));
    messages.push(header(&b".\r\n".repeat(100_000)));
    messages.push(header(&vec![b'l'; 1 << 20]));
    messages.push(letter(700_000, true));
    // Dots at the start of a line, at and around every border of buffers and pieces.
    for border in [4096, 32 * 1024, 64 * 1024, 128 * 1024, 256 * 1024] {
        for shift in -3_isize..=3 {
            let at = usize::try_from(border + shift).unwrap();
            let mut message = header(b"");
            message.resize(at - 2, b'f');
            message.extend_from_slice(b"\r\n.dot\r\n.\r\nend\r\n");
            messages.push(message);
        }
    }
    messages
}

#[tokio::test]
async fn l05_l06_every_message_comes_out_as_it_went_in() {
    let server = TestServer::start().await;
    let messages = odd_messages();
    let mut lmtp = server.lmtp_client().await;
    for message in &messages {
        lmtp.deliver(ALICE, message).await;
    }
    let expected: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| {
            // The client ends the last line, as LMTP wants it.
            let open = !(message.is_empty() || message.ends_with(b"\r\n"));
            canonical(&[&message[..], if open { b"\r\n" } else { b"" }].concat())
        })
        .collect();
    let mut client = server.tls_client().await.login(ALICE).await;
    let octets: usize = expected.iter().map(Vec::len).sum();
    assert_eq!(
        client.command("STAT").await,
        format!("+OK {} {octets}", expected.len())
    );
    let list: Vec<String> = (1..)
        .zip(&expected)
        .map(|(n, message)| format!("{n} {}", message.len()))
        .collect();
    assert_eq!(client.listing("LIST").await, list);
    for (number, message) in (1..).zip(&expected) {
        let line = client.ok(&format!("RETR {number}")).await;
        assert_eq!(line, format!("+OK {} octets", message.len()));
        let wire = client.multiline().await;
        assert!(
            wire == [&stuffed(message)[..], b".\r\n"].concat(),
            "message {number} differs"
        );
    }
    client.quit().await;
    server.still_serves().await;
}

#[tokio::test]
async fn l06_l07_sizes_above_4_gib_are_counted_right() {
    let server = TestServer::start().await;
    let each = (2_u64 << 30) + 5;
    for _ in 0..3 {
        deliver_row(&server, Octets(each)).await;
    }
    let mut client = server.alice().await;
    assert_eq!(client.command("STAT").await, format!("+OK 3 {}", 3 * each));
    assert_eq!(
        client.listing("LIST").await,
        [format!("1 {each}"), format!("2 {each}"), format!("3 {each}")]
    );
    // There are no octets: a message that cannot be had, not an empty one.
    assert_eq!(
        client.command("RETR 1").await,
        "-ERR [SYS/PERM] Message body unavailable"
    );
    client.quit().await;
    server.still_serves().await;
}

/// What is measured of some message; its size is set by the caller.
fn measured() -> Measured {
    Canonicalizer::new().finish(&mut Vec::new())
}

/// A message of which only the index knows.
async fn deliver_row(server: &TestServer, octets: Octets) {
    let backends = &server.backends;
    let maildrop = backends.id(Account::Alice).maildrop();
    let blob = backends
        .index
        .reserve(maildrop, backends.storage())
        .await
        .unwrap();
    let measured = Measured { octets, ..measured() };
    let message = NewMessage {
        storage: backends.storage(),
        blob,
        measured,
        unique_id: None,
        received: SystemClock.wall(),
        needs_utf8: false,
        deduplicate: false,
    };
    backends.index.deliver(maildrop, message).await.unwrap();
}

#[tokio::test]
async fn l07_an_empty_maildrop_is_listed_as_such() {
    let server = TestServer::start().await;
    let mut client = server.alice().await;
    assert_eq!(client.command("STAT").await, "+OK 0 0");
    assert!(client.listing("LIST").await.is_empty());
    assert!(client.listing("UIDL").await.is_empty());
    assert_eq!(client.command("RETR 1").await, "-ERR No such message");
    assert_eq!(client.quit().await, "+OK Goodbye");
    server.still_serves().await;
}

#[tokio::test]
async fn l08_twenty_thousand_tops_leave_others_served() {
    let server = TestServer::start().await;
    server
        .backends
        .deliver(Account::Alice, &letter(100_000, false))
        .await;
    let mut busy = server.alice().await;
    let script = b"TOP 1 0\r\nUIDL 1\r\n".repeat(10_000);
    let greedy = async {
        busy.send(&script).await;
        for _ in 0..10_000 {
            assert_eq!(busy.reply().await, "+OK Top of message follows");
            busy.multiline().await;
            busy.reply().await;
        }
        busy
    };
    let others = async {
        for _ in 0..5 {
            server.still_serves().await;
        }
    };
    // Both on one thread: sending and reading side by side needs the server to hold the sender back.
    let (busy, ()) = tokio::join!(greedy, others);
    busy.quit().await;
}

#[tokio::test]
async fn l09_l10_unique_ids_are_ours_and_never_the_same() {
    let server = TestServer::start().await;
    let message = b"X-UIDL: mine\r\nSubject: twice\r\n\r\nx\r\n";
    for _ in 0..3 {
        server.backends.deliver(Account::Alice, message).await;
    }
    let ids = server.backends.unique_ids(Account::Alice).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3);
    assert!(!ids.iter().any(|id| id == "mine"));
    let mut client = server.alice().await;
    let listed = client.listing("UIDL").await;
    let expected: Vec<String> = (1..).zip(&ids).map(|(n, id)| format!("{n} {id}")).collect();
    assert_eq!(listed, expected);
    client.quit().await;
    assert_eq!(
        server.backends.unique_ids(Account::Alice).await,
        ids,
        "the same in the next session"
    );
    server.still_serves().await;
}

#[tokio::test]
async fn l11_a_delivery_during_a_session_is_invisible_to_it_and_survives_it() {
    let server = TestServer::start().await;
    server.backends.deliver(Account::Alice, b"old\r\n").await;
    let mut client = server.alice().await;
    server.lmtp_client().await.deliver(ALICE, b"new\r\n").await;
    assert_eq!(client.command("STAT").await, "+OK 1 5");
    assert_eq!(client.command("RETR 2").await, "-ERR No such message");
    client.ok("DELE 1").await;
    assert_eq!(client.quit().await, "+OK 1 message deleted");
    let mut client = server.alice().await;
    assert_eq!(client.command("STAT").await, "+OK 1 5");
    assert_eq!(client.message("RETR 1").await, b"new\r\n");
    client.quit().await;
    server.still_serves().await;
}
