//! What machines do to frontends: disks that are full, clocks that jump, networks that part, files that run out.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use restante_testkit::{Cable, Cramped, Namespace, Postgres, PostgresOptions, SmallDisk};

use crate::support::{
    ALICE, Demo, Fleet, Layout, Lmtp, PASSWORD, PATIENCE, POP3S, RESTANTE, Server, eventually, now, program,
    restante, restante_by,
};

const LMTP: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n";
const IN_USE: &str = "-ERR [IN-USE]";
const NOT_DELETED: &str = "-ERR [SYS/TEMP]";

fn mail(n: u32) -> String {
    format!("Subject: number {n}\r\n\r\n{}\r\n", "x".repeat(70))
}

/// The reply that decides about one message.
fn send(port: u16, message: &str) -> std::io::Result<String> {
    let mut lmtp = Lmtp::connect(port)?;
    lmtp.ask("MAIL FROM:<s@example.org>")?;
    let recipient = lmtp.ask(&format!("RCPT TO:<{ALICE}>"))?;
    if !recipient.starts_with("250 ") {
        return Ok(recipient);
    }
    lmtp.ask("DATA")?;
    lmtp.ask(&format!("{message}."))
}

/// A fleet of one frontend over a cluster with little room, and the port where it takes mail.
async fn cramped(cramped: Cramped, tables: &str) -> Option<(Postgres, Fleet, u16)> {
    let cluster = Postgres::start(PostgresOptions {
        cramped: Some(cramped),
        ..PostgresOptions::default()
    })
    .await?;
    let layout = Layout {
        pooled: false,
        n_frontends: 1,
        listeners: LMTP.to_owned(),
        tables: tables.to_owned(),
        ..Layout::default()
    };
    let fleet = Fleet::over(&cluster, layout).await?;
    let port = fleet.frontend(0).ports[2];
    Some((cluster, fleet, port))
}

/// FAULTS.md F12: the log of the database has no room. The server of the database ends and comes back as it likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_while_the_log_of_the_database_is_full_mail_is_put_off_and_read() {
    let Some(disk) = SmallDisk::new(24).map(Arc::new) else {
        return;
    };
    let Some((cluster, fleet, port)) = cramped(Cramped::Log(Arc::clone(&disk)), "").await else {
        return;
    };
    let mut n_taken = 0;
    for n in 1..=3 {
        assert!(send(port, &mail(n)).unwrap().starts_with("250 "));
        n_taken += 1;
    }
    let (mut inside, _) = fleet.log_in(0, ALICE, PASSWORD);
    inside.ok("DELE 1");
    disk.fill();
    // What is left of the log is used up by mail that is still taken.
    let until = now() + PATIENCE;
    let refusal = loop {
        let reply = send(port, &mail(n_taken + 1)).unwrap();
        if !reply.starts_with("250 ") {
            break reply;
        }
        n_taken += 1;
        fleet.database.try_execute("SELECT pg_switch_wal()").await;
        assert!(now() < until, "the log is not full");
    };
    assert!(refusal.starts_with("45"), "{refusal}");
    assert_eq!(inside.retr(2), mail(2).into_bytes(), "reading goes on");
    let reply = inside.ask("QUIT");
    assert!(reply.starts_with(NOT_DELETED), "{reply}");
    disk.clear();
    // Its supervisor starts the database again, if it ended for good; nobody touches the frontend.
    if fleet.database.try_execute("SELECT 1").await.is_none() {
        cluster.stop_immediately();
        cluster.start_again().await;
    }
    eventually("mail is taken again", || {
        send(port, &mail(0)).unwrap().starts_with("250 ")
    });
    eventually("and read", || {
        let (mut pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
        reply.starts_with("+OK") && {
            let (n_messages, _) = pop3.stat();
            assert_eq!(
                n_messages,
                n_taken as usize + 1,
                "what was acknowledged and no more"
            );
            assert_eq!(pop3.retr(1), mail(1).into_bytes(), "nothing was deleted");
            pop3.ok("DELE 1");
            pop3.ok("QUIT") == "+OK 1 message deleted"
        }
    });
}

/// FAULTS.md F12 and PROMISES.md section 4.2: the disk that has the messages too is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_while_the_disk_of_the_database_is_full_senders_hear_452_and_reading_goes_on() {
    let Some(disk) = SmallDisk::new(192).map(Arc::new) else {
        return;
    };
    let rows = "[storage.rows]\nkind = \"postgres\"\n";
    let Some((_cluster, fleet, port)) = cramped(Cramped::Everything(Arc::clone(&disk)), rows).await else {
        return;
    };
    fleet.tool(&["tenant", "set", "acme", "--storage", "rows"], b"");
    let large = format!(
        "Subject: large\r\n\r\n{}",
        format!("{}\r\n", "y".repeat(998)).repeat(300)
    );
    assert!(send(port, &large).unwrap().starts_with("250 "));
    let (mut inside, _) = fleet.log_in(0, ALICE, PASSWORD);
    disk.fill();
    let mut n_taken = 1;
    let refusal = loop {
        let reply = send(port, &large).unwrap();
        if !reply.starts_with("250 ") {
            break reply;
        }
        n_taken += 1;
        assert!(n_taken < 600, "the disk is not full");
    };
    assert!(refusal.starts_with("452 4.3.1"), "{refusal}");
    assert_eq!(inside.retr(1), large.as_bytes());
    inside.ok("QUIT");
    disk.clear();
    assert!(
        send(port, &large).unwrap().starts_with("250 "),
        "without anybody's doing"
    );
    let (mut pop3, _) = fleet.log_in(0, ALICE, PASSWORD);
    assert_eq!(pop3.stat().0, n_taken + 1, "what was acknowledged");
}

/// FAULTS.md F11: packets between a frontend and everything else are lost, and nobody is told.
#[test]
fn f11_a_frontend_that_the_network_cuts_off_holds_up_nobody_and_deletes_nothing() {
    let (Some(near), Some(far)) = (Namespace::network(), Namespace::network()) else {
        return;
    };
    let cable = Cable::between(&near, &far);
    in_network(&near, || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(cut_off(&cable, &far));
    });
}

/// Runs something on a thread whose sockets and processes are in that network.
fn in_network<T: Send>(network: &Namespace, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            network.enter();
            run()
        });
        thread.join().unwrap()
    })
}

async fn cut_off(cable: &Cable<'_>, far: &Namespace) {
    let options = PostgresOptions {
        at_cable: true,
        ..PostgresOptions::default()
    };
    let Some(cluster) = Postgres::start(options).await else {
        return;
    };
    let layout = Layout {
        pooled: false,
        n_frontends: 1,
        ..Layout::default()
    };
    let Some(fleet) = Fleet::over(&cluster, layout).await else {
        return;
    };
    for n in 1..=3 {
        fleet.deliver(ALICE, mail(n).as_bytes());
    }
    let database = fleet
        .database
        .url()
        .replace("127.0.0.1", &Cable::NEAR.to_string());
    let serve = restante_by(far.command(RESTANTE));
    let remote = fleet.frontend_by(serve, "remote", &format!("url = \"{database}\""));
    let connect = || in_network(far, || remote.connect());
    let mut held = connect();
    assert!(held.try_login(ALICE, PASSWORD).starts_with("+OK"));
    let unique_ids = held.listing("UIDL");
    held.ok("DELE 1");

    cable.pull();
    let begun = now();
    let mut other = loop {
        let (pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
        if reply.starts_with("+OK") {
            break pop3;
        }
        assert!(reply.starts_with(IN_USE), "{reply}");
        assert!(begun.elapsed() < PATIENCE, "the maildrop is never free");
        std::thread::sleep(Duration::from_millis(100));
    };
    other.ok("DELE 2");
    assert_eq!(other.ok("QUIT"), "+OK 1 message deleted");
    assert_eq!(
        held.retr(3),
        mail(3).into_bytes(),
        "what needs no database goes on"
    );
    let reply = held.ask("QUIT");
    assert!(reply.starts_with(NOT_DELETED), "{reply}");

    cable.plug();
    eventually("the frontend is back", || {
        let mut pop3 = connect();
        pop3.try_login(ALICE, PASSWORD).starts_with("+OK") && {
            let expected = [unique_ids[0].clone(), unique_ids[2].replacen('3', "2", 1)];
            assert_eq!(pop3.listing("UIDL"), expected, "the first and the third");
            pop3.ok("QUIT").starts_with("+OK")
        }
    });
}

/// FAULTS.md F26. Leases are measured by the database, and here by a clock that nobody sets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_a_frontend_whose_clock_jumps_keeps_its_locks_and_takes_no_others() {
    const HOLDER: &str =
        "SELECT f.expires_at::text FROM maildrop_lock l JOIN frontend f USING (node, incarnation)
        WHERE l.session_id IS NOT NULL";
    let Some(library) = faketime() else { return };
    let layout = Layout {
        n_frontends: 1,
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    fleet.deliver(ALICE, mail(1).as_bytes());
    fleet.account("bob@acme.example", PASSWORD);
    let shift = fleet.write("shift", "+0");
    let mut serve = restante();
    serve
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &shift)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let odd = fleet.frontend_by(serve, "odd", fleet.settings());
    let mut held = odd.connect();
    assert!(held.try_login(ALICE, PASSWORD).starts_with("+OK"));
    held.ok("DELE 1");
    for hours in ["+1h", "-1h"] {
        fs::write(&shift, hours).unwrap();
        let before = hour_of_the_last_line(&odd.log());
        eventually("the log has the other hour", || {
            odd.connect().ok("QUIT");
            hour_of_the_last_line(&odd.log()) != before
        });
        // The lease is renewed by a frontend of another hour, twice.
        for _ in 0..2 {
            let (before, until) = (fleet.database.ask(HOLDER).await, now() + PATIENCE);
            while fleet.database.ask(HOLDER).await == before {
                assert!(now() < until, "the lease is not renewed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let (_, reply) = fleet.log_in(0, ALICE, PASSWORD);
        assert!(reply.starts_with(IN_USE), "{hours}: {reply}");
        let (mut theirs, _) = fleet.log_in(0, "bob@acme.example", PASSWORD);
        let reply = odd.connect().try_login("bob@acme.example", PASSWORD);
        assert!(reply.starts_with(IN_USE), "{hours}: {reply}");
        theirs.ok("QUIT");
        held.ok("NOOP");
    }
    assert_eq!(held.ok("QUIT"), "+OK 1 message deleted");
    assert_eq!(fleet.log_in(0, ALICE, PASSWORD).0.stat().0, 0);
}

/// With the date, as in `2024-05-01T13`.
fn hour_of_the_last_line(log: &str) -> String {
    let line = log.lines().last().unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["timestamp"].as_str().unwrap().chars().take(13).collect()
}

/// The library that makes a program believe in another time.
fn faketime() -> Option<std::path::PathBuf> {
    program("faketime", "faketime")?;
    let places = fs::read_dir("/usr/lib").unwrap();
    let mut libraries = places.map(|place| place.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    Some(
        libraries
            .find(|library| library.exists())
            .expect("it comes with the program"),
    )
}

/// FAULTS.md F20.
#[test]
fn f20_with_256_descriptors_the_rest_are_told_and_those_inside_are_served() {
    let Some(prlimit) = program("prlimit", "util-linux") else {
        return;
    };
    let demo = Demo::stopped();
    let mut limited = Command::new(prlimit);
    limited.args(["--nofile=256:256", "--", RESTANTE]);
    let clear =
        "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\n";
    let limits = "[limits]\nconnections_per_address = 1000\nunauthenticated_share_percent = 100\n";
    let server = Server::start_with(restante_by(limited), &demo, &format!("{POP3S}{clear}"), limits);
    let mut inside = server.connect();
    inside.try_login("alice@demo.test", &demo.password("alice"));
    let crowd: Vec<TcpStream> = (0..400)
        .map(|_| TcpStream::connect(("127.0.0.1", server.ports[1])).unwrap())
        .collect();
    let told: Vec<bool> = crowd.iter().map(greeted).collect();
    let n_greeted = told.iter().filter(|greeted| **greeted).count();
    // The rest is for files: messages, the database, the log.
    assert_eq!(n_greeted, 127);
    let used = cpu_ticks(server.pid());
    std::thread::sleep(Duration::from_secs(2));
    // Of some 200 ticks.
    let used = cpu_ticks(server.pid()) - used;
    assert!(used < 20, "{used} ticks");
    for number in 1..=inside.stat().0 {
        inside.retr(number);
    }
    drop(crowd);
    eventually("there is room again", || {
        greeted(&TcpStream::connect(("127.0.0.1", server.ports[1])).unwrap())
    });
    inside.ok("QUIT");
}

/// Whether the first line is a greeting and not a refusal.
fn greeted(stream: &TcpStream) -> bool {
    use std::io::{BufRead as _, BufReader};
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(
        line.starts_with("+OK") || line == "-ERR [SYS/TEMP] Too many connections\r\n",
        "{line:?}"
    );
    line.starts_with("+OK")
}

/// How much of a processor a process has used, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
