//! A rolling restart of all frontends behind a balancer, while clients read and delete: nobody notices, nothing is lost
//! and nothing comes twice.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::http::get;
use crate::support::{
    Fleet, Layout, Lmtp, PASSWORD, PATIENCE, Server, eventually, free_port, program, restante,
};

const N_FRONTENDS: usize = 3;
const N_READERS: usize = 4;
const N_MESSAGES: usize = 60;

/// Ends with the test.
struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The ports of a frontend: the same after its restart.
#[derive(Clone, Copy)]
struct Ports {
    pop3: u16,
    metrics: u16,
    lmtp: u16,
}

fn start_balancer(haproxy: &Path, folder: &Path, port: u16, frontends: &[Ports]) -> Balancer {
    let servers: Vec<String> = frontends
        .iter()
        .enumerate()
        .map(|(nth, ports)| {
            format!(
                "    server f{nth} 127.0.0.1:{} check port {} inter 200ms fall 1 rise 1 send-proxy-v2\n",
                ports.pop3, ports.metrics
            )
        })
        .collect();
    let text = format!(
        "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 15m\n    timeout server 15m\n    \
         retries 3\n    option redispatch\n\
         frontend pop3\n    bind 127.0.0.1:{port}\n    default_backend restante\n\
         backend restante\n    balance leastconn\n    option httpchk GET /readyz\n{}",
        servers.concat()
    );
    let config = folder.join("haproxy.cfg");
    std::fs::write(&config, text).unwrap();
    let mut balancer = Command::new(haproxy);
    balancer.arg("-db").arg("-f").arg(config).stdout(Stdio::null());
    let balancer = Balancer(balancer.spawn().unwrap());
    eventually("the balancer serves", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    balancer
}

/// One session in the clear, as a balancer in the provider's own network passes it on. Every reply must be `+OK`.
struct Reader {
    lines: BufReader<TcpStream>,
}

impl Reader {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = Self {
            lines: BufReader::new(stream),
        };
        reader.good("greeting");
        reader
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn good(&mut self, what: &str) -> String {
        let line = self.line();
        assert!(line.starts_with("+OK"), "{what}: {line:?}");
        line
    }

    fn ask(&mut self, command: &str) -> String {
        self.lines
            .get_mut()
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        self.good(command)
    }

    /// Takes the first message, if there is one, and answers its subject.
    fn take_one(mut self, name: &str) -> Option<String> {
        self.ask(&format!("USER {name}"));
        self.ask(&format!("PASS {PASSWORD}"));
        let stat = self.ask("STAT");
        let is_empty = stat.starts_with("+OK 0 ");
        let mut subject = None;
        if !is_empty {
            self.ask("RETR 1");
            loop {
                let line = self.line();
                if let Some(text) = line.strip_prefix("Subject: ") {
                    subject = Some(text.to_owned());
                }
                if line == "." {
                    break;
                }
            }
            self.ask("DELE 1");
        }
        self.ask("QUIT");
        subject
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_frontends_are_restarted_one_after_another_and_no_client_notices() {
    let Some(haproxy) = program("haproxy", "haproxy") else {
        return;
    };
    let layout = Layout {
        n_frontends: 0,
        tables: "[limits]\nconnections_per_address = 100\n[drain]\nlame_duck_secs = 2\ngrace_secs = 20\n"
            .to_owned(),
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    let names: Vec<String> = (0..N_READERS)
        .map(|n| format!("reader-{n}@acme.example"))
        .collect();
    for name in &names {
        fleet.account(name, PASSWORD);
    }
    let ports: Vec<Ports> = (0..N_FRONTENDS)
        .map(|_| Ports {
            pop3: free_port(),
            metrics: free_port(),
            lmtp: free_port(),
        })
        .collect();
    let start = |nth: usize, run: usize| {
        let Ports { pop3, metrics, lmtp } = ports[nth];
        let listeners = format!(
            "[[listener]]\naddress = \"127.0.0.1:{pop3}\"\nprotocol = \"pop3\"\nallow_plaintext_login = true\n\
             trusted_proxies = [\"127.0.0.0/8\"]\n[[listener]]\naddress = \"127.0.0.1:{lmtp}\"\nprotocol = \"lmtp\"\n"
        );
        let more = format!("[admin]\nmetrics_address = \"127.0.0.1:{metrics}\"\n[lock]\nnode = \"f{nth}\"\n");
        let server = fleet.server_at(restante(), &format!("f{nth}-{run}"), &listeners, &more);
        eventually("ready", || get(metrics, "/readyz").0 == 200);
        server
    };
    let mut frontends: Vec<Server> = (0..N_FRONTENDS).map(|nth| start(nth, 0)).collect();
    let mut lmtp = Lmtp::connect(ports[0].lmtp).unwrap();
    for nth in 0..N_MESSAGES {
        for (reader, name) in names.iter().enumerate() {
            let reply = lmtp
                .send(name, &format!("Subject: {reader}-{nth}\r\n\r\nhello\r\n"))
                .unwrap();
            assert!(reply.starts_with("250 "), "{reply}");
        }
    }
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let _balancer = start_balancer(&haproxy, folder.path(), port, &ports);
    let (is_over, n_sessions) = (AtomicBool::new(false), AtomicUsize::new(0));
    let taken: Vec<Vec<String>> = std::thread::scope(|scope| {
        let readers: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(|| {
                    let mut taken = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        taken.extend(Reader::connect(port).take_one(name));
                        n_sessions.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    // What is left.
                    while let Some(subject) = Reader::connect(port).take_one(name) {
                        taken.push(subject);
                    }
                    taken
                })
            })
            .collect();
        for (nth, frontend) in frontends.iter_mut().enumerate() {
            let before = n_sessions.load(Ordering::Relaxed);
            frontend.signal("TERM");
            frontend.wait_for("\"stopped\"", 1);
            assert!(frontend.log().contains("\"cut\":0"), "{}", frontend.log());
            *frontend = start(nth, 1);
            // The balancer has seen it before the next one goes.
            std::thread::sleep(Duration::from_secs(1));
            assert!(
                n_sessions.load(Ordering::Relaxed) > before,
                "sessions go on meanwhile"
            );
        }
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for (reader, taken) in taken.iter().enumerate() {
        let distinct: BTreeSet<&String> = taken.iter().collect();
        let expected: BTreeSet<String> = (0..N_MESSAGES).map(|nth| format!("{reader}-{nth}")).collect();
        assert_eq!(taken.len(), N_MESSAGES, "each once");
        assert!(distinct.into_iter().eq(expected.iter()), "all of them");
    }
    println!(
        "{} sessions during three restarts",
        n_sessions.load(Ordering::Relaxed)
    );
}
