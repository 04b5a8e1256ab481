//! Large maildrops, large messages, many sessions: what they cost is measured, printed and bounded.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use restante_auth::password::{self, Password};
use restante_testkit::memory::resident_octets;
use restante_types::Secret;

use crate::support::http::value;
use crate::support::{Demo, PATIENCE, Pop3, Server, eventually, now, restante, succeed, with_database};

const MIB: u64 = 1 << 20;

#[test]
fn a_hundred_thousand_messages_are_listed_and_deleted_without_a_blob() {
    const N: usize = 100_000;
    let stopped = Demo::stopped();
    // Messages whose blobs do not exist: whoever touches one fails.
    let made = with_database(
        stopped.data(),
        &format!(
            "bob = db.execute(\"select account_id, tenant_id from account where local_part = 'bob'\").fetchone()\n\
             storage = db.execute('select storage_id from storage').fetchone()[0]\n\
             for n in range({N}):\n    \
                 uid = 'uid-%08d' % n\n    \
                 db.execute('insert into unique_id values (?, ?)', (bob[0], uid))\n    \
                 db.execute('insert into message (tenant_id, maildrop_id, unique_id, octets, header_octets, \
                     has_dot_lines, needs_utf8, crc64, header_crc64, sha256, storage_id, blob, received_at) \
                     values (?, ?, ?, ?, 2, 0, 0, 0, 0, ?, ?, ?, 0)', \
                     (bob[1], bob[0], uid, 100000 + n, b'0' * 32, storage, os.urandom(16)))\n\
             n, octets = db.execute('select count(*), sum(octets) from message where maildrop_id = ? and deleted_at is \
                 null', (bob[0],)).fetchone()\n\
             db.execute('update maildrop set messages = ?, octets = ? where maildrop_id = ?', (n, octets, bob[0]))"
        ),
    );
    if !made {
        return;
    }
    let demo = Demo::start_in(stopped.data(), &[]);
    let before = resident_octets(demo.pid());
    let begun = now();
    let mut pop3 = demo.log_in("bob");
    let logged_in = begun.elapsed();
    // One message is the demo's own.
    let (messages, octets) = pop3.stat();
    assert_eq!(messages, N + 1);
    assert!(octets > 4 << 30, "more than 32 bits count");
    pop3.send("LIST\r\n");
    assert!(pop3.line().starts_with("+OK"));
    let first = pop3.line();
    let first_octet = begun.elapsed();
    let mut list = vec![first];
    while let Some(line) = Some(pop3.line()).filter(|line| line != ".") {
        list.push(line);
    }
    let listed = begun.elapsed();
    assert_eq!(list.len(), N + 1);
    assert_eq!(list[N], format!("{} {}", N + 1, 100_000 + N - 1));
    let unique_ids = pop3.listing("UIDL");
    assert_eq!(unique_ids[N], format!("{} uid-{:08}", N + 1, N - 1));
    let peak = resident_octets(demo.pid());
    let begun = now();
    for block in 0..=N / 1000 {
        let numbers = block * 1000 + 1..=((block + 1) * 1000).min(N + 1);
        let commands: Vec<String> = numbers
            .clone()
            .map(|number| format!("DELE {number}\r\n"))
            .collect();
        pop3.send(&commands.concat());
        for _ in numbers {
            assert!(pop3.line().starts_with("+OK"));
        }
    }
    let marked = begun.elapsed();
    assert_eq!(pop3.ok("QUIT"), format!("+OK {} messages deleted", N + 1));
    let committed = begun.elapsed();
    assert_eq!(demo.log_in("bob").stat(), (0, 0));
    let growth = peak.saturating_sub(before);
    println!(
        "{N} messages: login {logged_in:?}, first LIST octet {first_octet:?}, LIST {listed:?}, DELE of all {marked:?}, \
         with QUIT {committed:?}; resident memory grew by {} KiB",
        growth / 1024
    );
    assert!(growth < 100 * MIB, "{} MiB", growth / MIB);
}

#[test]
fn a_message_of_100_mb_passes_through_without_being_held() {
    const LINES: usize = 1_400_000;
    const LINE: &[u8; 75] = b".23456789 123456789 123456789 123456789 123456789 123456789 123456789 123\r\n";
    let demo = Demo::start();
    demo.empty("bob");
    let before = resident_octets(demo.pid());
    let stream = TcpStream::connect(("127.0.0.1", demo.lmtp)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut stream = std::io::BufWriter::with_capacity(1 << 16, stream);
    stream
        .write_all(b"LHLO t\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<bob@demo.test>\r\nDATA\r\nSubject: large\r\n\r\n")
        .unwrap();
    for _ in 0..LINES {
        stream.write_all(b".").unwrap();
        stream.write_all(LINE).unwrap();
    }
    stream.write_all(b".\r\nQUIT\r\n").unwrap();
    stream.flush().unwrap();
    let mut said = String::new();
    replies.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("\r\n354 ") && said.matches("\r\n250 2.").count() >= 3,
        "{said}"
    );
    let taken = resident_octets(demo.pid());

    let mut pop3 = demo.log_in("bob");
    let size = b"Subject: large\r\n\r\n".len() + LINES * LINE.len();
    assert_eq!(pop3.stat(), (1, size as u64));
    let mut rest = pop3.retr_lines(1);
    assert_eq!(
        (rest.next().unwrap(), rest.next().unwrap()),
        (b"Subject: large\r\n".to_vec(), b"\r\n".to_vec())
    );
    let mut n_lines = 0;
    for line in rest {
        assert_eq!(line, LINE);
        n_lines += 1;
    }
    assert_eq!(n_lines, LINES);
    let sent = resident_octets(demo.pid());
    println!(
        "{size} octets: resident memory {} KiB before, {} KiB after delivery, {} KiB after RETR",
        before / 1024,
        taken / 1024,
        sent / 1024
    );
    assert!(sent.max(taken).saturating_sub(before) < 64 * MIB);
}

const CROWD_PASSWORD: &str = "one for all";

/// The listeners of a server for a crowd: the first trusted, without TLS, the second with.
const CROWD_LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\n\
     [[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\n";

const CROWD_LIMITS: &str = "[limits]\nconnections = 15000\nconnections_per_address = 15000\n\
     unauthenticated_share_percent = 100\n[admin]\naddress = \"127.0.0.1:0\"\n";

/// Adds accounts `user-0@demo.test` and so on to a demo that is not running.
fn add_crowd(demo: &Demo, n: usize) -> bool {
    let mut add = restante();
    add.args(["account", "add", "user-0@demo.test", "--config"]);
    succeed(add.arg(demo.configuration()), b"");
    with_database(
        demo.data(),
        &format!(
            "db.execute(\"update account set password = '{hash}' where local_part = 'user-0'\")\n\
             first = db.execute(\"select tenant_id, domain_id, domain_name, password from account where local_part = \
                 'user-0'\").fetchone()\n\
             for n in range(1, {n}):\n    \
                 maildrop = db.execute('insert into maildrop (tenant_id) values (?)', first[:1]).lastrowid\n    \
                 db.execute('insert into account (account_id, tenant_id, domain_id, domain_name, local_part, password) \
                     values (?, ?, ?, ?, ?, ?)', (maildrop, *first[:3], 'user-%d' % n, first[3]))",
            hash = cheap_hash().expose()
        ),
    )
}

/// A hash that takes no time: ten thousand logins are not what is measured.
fn cheap_hash() -> Secret<String> {
    let password = Password::prepare(CROWD_PASSWORD.as_bytes()).unwrap();
    password::hash(&password, &restante_testkit::quick_rule()).unwrap()
}

/// Keeps `n` sessions open on threads of their own, each logged in as a user of its own.
fn log_in_many<T: Send>(users: std::ops::Range<usize>, log_in: impl Fn(usize) -> T + Sync) -> Vec<T> {
    const THREADS: usize = 8;
    std::thread::scope(|scope| {
        let log_in = &log_in;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mine = users.clone().skip(thread).step_by(THREADS);
                scope.spawn(move || mine.map(log_in).collect::<Vec<_>>())
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn log_in_plain(port: u16, user: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("USER user-{user}@demo.test\r\nPASS {CROWD_PASSWORD}\r\n").as_bytes())
        .unwrap();
    let mut replies = BufReader::new(&stream);
    for _ in 0..3 {
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        assert!(line.starts_with("+OK"), "user {user}: {line}");
    }
    stream
}

fn log_in_tls(port: u16, certificate: &Path, user: usize) -> Pop3 {
    let mut pop3 = Pop3::connect(port, certificate);
    pop3.ok(&format!("USER user-{user}@demo.test"));
    pop3.ok(&format!("PASS {CROWD_PASSWORD}"));
    pop3
}

/// The names and labels of all series.
fn series(metrics: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

/// What a scrape costs, in milliseconds of CPU.
fn scrape_much(server: &Server) -> f64 {
    const N: u32 = 300;
    let cpu = |metrics: &str| value(metrics, "process_cpu_seconds_total").unwrap();
    let first = server.metrics();
    let mut last = String::new();
    for _ in 0..N {
        last = server.metrics();
    }
    (cpu(&last) - cpu(&first)) / f64::from(N) * 1e3
}

#[test]
fn f21_ten_thousand_idle_tls_sessions_cost_little_and_disturb_nobody() {
    const TLS: usize = 10_000;
    const PLAIN: usize = 1_000;
    let limit = restante_net::raise_open_file_limit().unwrap_or(u64::MAX);
    assert!(
        limit >= 12_000,
        "this test needs 12,000 open files, {limit} are permitted: ulimit -Hn"
    );
    let demo = Demo::stopped();
    if !add_crowd(&demo, TLS + PLAIN + 1) {
        return;
    }
    let server = Server::start(&demo, CROWD_LISTENERS, CROWD_LIMITS);
    let (plain_port, tls_port) = (server.ports[0], server.ports[1]);
    let certificate = server.certificate();
    // What the crowd does was done once; the plain one hangs up.
    drop(log_in_plain(plain_port, 0));
    let mut first = log_in_tls(tls_port, &certificate, 0);
    first.stat();
    first.ok("QUIT");
    eventually("the first sessions are counted", || {
        let metrics = server.metrics();
        let is_counted = |reason: &str| metrics.contains(&format!("reason=\"{reason}\""));
        is_counted("quit") && is_counted("disconnected")
    });
    let with_none = series(&server.metrics());
    let have_none_of_their_own = || {
        let with_all = series(&server.metrics());
        let added: Vec<_> = with_all.difference(&with_none).collect();
        assert!(
            added.is_empty(),
            "sessions have no series of their own: {added:?}"
        );
    };
    let before = resident_octets(server.pid());
    let plain = log_in_many(0..PLAIN, |user| log_in_plain(plain_port, user));
    let with_plain = resident_octets(server.pid());
    let begun = now();
    let tls = log_in_many(PLAIN..PLAIN + TLS, |user| {
        log_in_tls(tls_port, &certificate, user)
    });
    let logged_in = begun.elapsed();
    let with_tls = resident_octets(server.pid());
    have_none_of_their_own();
    let begun = now();
    let mut another = log_in_tls(tls_port, &certificate, PLAIN + TLS);
    assert_eq!(another.stat(), (0, 0));
    another.ok("QUIT");
    let elapsed = begun.elapsed();
    let each_plain = with_plain.saturating_sub(before) / plain.len() as u64;
    let each_tls = with_tls.saturating_sub(with_plain) / tls.len() as u64;
    println!(
        "idle sessions in TRANSACTION: {} without TLS at {each_plain} octets of resident memory, {} with TLS at \
         {each_tls}, logged in within {logged_in:?}; a whole session beside them took {elapsed:?}",
        plain.len(),
        tls.len()
    );
    assert!(each_plain < 16 * 1024 && each_tls < 28 * 1024);
    have_none_of_their_own();
    let scrape = scrape_much(&server);
    println!(
        "a scrape of {} series took {scrape:.2} ms of CPU, which is {:.3} % of a core at one in 10 s",
        with_none.len(),
        scrape / 100.0
    );
    assert!(scrape < 100.0, "more than 1 % of a core: {scrape} ms");
    for mut session in tls {
        session.ok("NOOP");
    }
}
