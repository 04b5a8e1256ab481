//! SIGKILL at any moment: what was acknowledged is there, what was not asked for did not happen.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Demo, Lmtp, PATIENCE, Pop3, now};

/// How often the server is killed.
const ROUNDS: u64 = 15;
const SENDERS: u64 = 3;

/// A message whose every line bears its token; some are larger than a page or a spool in memory.
fn message(token: &str, number: u64) -> String {
    let lines = [1, 3, 200, 12_000][usize::try_from(number % 4).unwrap()];
    format!(
        "Subject: {token}\r\n\r\n{}",
        format!("{token} stays\r\n").repeat(lines)
    )
}

/// Sends until the server is gone; tells every acknowledged token.
fn send_until_killed(port: u16, name: &str, acknowledged: &mpsc::Sender<(String, u64)>) {
    let Ok(mut lmtp) = Lmtp::connect(port) else { return };
    for number in 0.. {
        let token = format!("{name}-{number}");
        let Ok(reply) = lmtp.send("bob@demo.test", &message(&token, number)) else {
            return;
        };
        assert!(reply.starts_with("250 "), "{reply}");
        acknowledged.send((token, number)).unwrap();
    }
}

/// Every message of bob's, by its subject.
fn delivered(demo: &Demo) -> HashMap<String, Vec<String>> {
    let mut pop3 = demo.log_in("bob");
    let mut messages: HashMap<String, Vec<String>> = HashMap::new();
    for number in 1..=pop3.stat().0 {
        let message = String::from_utf8(pop3.retr(number)).unwrap();
        let subject = message
            .lines()
            .next()
            .unwrap()
            .strip_prefix("Subject: ")
            .unwrap()
            .to_owned();
        messages.entry(subject).or_default().push(message);
    }
    messages
}

/// A number that a seed and a round decide.
fn chance(seed: u64, round: u64) -> u64 {
    let mut z = seed.wrapping_add(round.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}

#[test]
fn acknowledged_deliveries_survive_sigkill_at_any_moment() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    Demo::start_in(&data, &[]).empty("bob");
    let (acknowledge, acknowledged) = mpsc::channel();
    for round in 0..ROUNDS {
        let demo = Demo::start_in(&data, &[]);
        let port = demo.lmtp;
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let acknowledge = acknowledge.clone();
                let name = format!("token-{round}-{sender}");
                std::thread::spawn(move || send_until_killed(port, &name, &acknowledge))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20 + chance(seed, round) % 400));
        demo.kill();
        for sender in senders {
            sender.join().unwrap();
        }
    }
    drop(acknowledge);
    let acknowledged: Vec<(String, u64)> = acknowledged.iter().collect();
    let demo = Demo::start_in(&data, &[]);
    let delivered = delivered(&demo);
    for (token, number) in &acknowledged {
        let messages = delivered
            .get(token)
            .unwrap_or_else(|| panic!("{token} was acknowledged and is lost"));
        assert_eq!(
            messages,
            &[message(token, *number)],
            "{token} is there once and whole"
        );
    }
    for (token, messages) in &delivered {
        let number = token.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(
            messages,
            &[message(token, number)],
            "{token}: unacknowledged, then whole or not at all"
        );
    }
    println!(
        "{} acknowledged, {} delivered in {ROUNDS} rounds",
        acknowledged.len(),
        delivered.len()
    );
    assert!(acknowledged.len() > 50, "the rounds did something");
}

/// A demo on `data` whose bob has `n` messages, the unique-ids of which are returned.
fn with_messages(data: &Path, n: usize) -> (Demo, Vec<String>) {
    let demo = Demo::start_in(data, &[]);
    demo.empty("bob");
    let mut lmtp = Lmtp::connect(demo.lmtp).unwrap();
    for number in 0..n {
        let message = format!("Subject: {number}\r\n\r\nhello\r\n");
        assert!(lmtp.send("bob@demo.test", &message).unwrap().starts_with("250 "));
    }
    let unique_ids = demo.log_in("bob").listing("UIDL");
    assert_eq!(unique_ids.len(), n);
    (demo, unique_ids)
}

#[test]
fn sigkill_before_quit_deletes_nothing_and_after_its_ok_everything_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (demo, unique_ids) = with_messages(&data, 20);
    let mut pop3 = demo.log_in("bob");
    pop3.dele(1..=20);
    demo.kill();

    let demo = Demo::start_in(&data, &[]);
    let mut pop3 = demo.log_in("bob");
    assert_eq!(
        pop3.listing("UIDL"),
        unique_ids,
        "nothing is gone, the unique-ids are the same"
    );
    pop3.dele(1..=10);
    assert_eq!(pop3.ok("QUIT"), "+OK 10 messages deleted");
    demo.kill();

    let demo = Demo::start_in(&data, &[]);
    let left: Vec<String> = demo
        .log_in("bob")
        .listing("UIDL")
        .iter()
        .map(|line| unique_id(line))
        .collect();
    let kept: Vec<String> = unique_ids[10..].iter().map(|line| unique_id(line)).collect();
    assert_eq!(left, kept);
}

fn unique_id(line: &str) -> String {
    line.split_once(' ').unwrap().1.to_owned()
}

#[test]
fn sigkill_during_quit_deletes_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut outcomes = [0; 2];
    for round in 0..ROUNDS {
        let (demo, unique_ids) = with_messages(&data, 40);
        let mut pop3 = demo.log_in("bob");
        pop3.dele(1..=40);
        pop3.send("QUIT\r\n");
        std::thread::sleep(Duration::from_micros(chance(seed, round) % 4000));
        demo.kill();
        let left = Demo::start_in(&data, &[]).log_in("bob").listing("UIDL");
        assert!(left.is_empty() || left == unique_ids, "{} of 40 left", left.len());
        outcomes[usize::from(left.is_empty())] += 1;
    }
    println!("none deleted {} times, all {} times", outcomes[0], outcomes[1]);
}

#[test]
fn a_maildrop_is_free_at_once_after_its_client_or_the_server_crashed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let demo = Demo::start_in(&data, &[]);
    let first = demo.log_in("bob");
    assert_eq!(
        second_login(&demo),
        "-ERR [IN-USE] Maildrop is locked by another session"
    );
    drop(first);
    // The server notices the end of the connection by itself; nothing is waited out.
    let until = now() + PATIENCE;
    while !second_login(&demo).starts_with("+OK") {
        assert!(now() < until, "the maildrop stays locked");
    }
    let _held = demo.log_in("bob");
    demo.kill();
    assert!(second_login(&Demo::start_in(&data, &[])).starts_with("+OK"));
}

fn second_login(demo: &Demo) -> String {
    let mut pop3 = Pop3::connect(demo.pop3s, &demo.certificate());
    pop3.ok("USER bob@demo.test");
    let reply = pop3.ask(&format!("PASS {}", demo.password("bob")));
    if reply.starts_with("+OK") {
        pop3.ok("QUIT");
    }
    reply
}
