//! Forty secrets go through everything at the highest log level, and none comes out: not in a log, a metric, a trace,
//! an answer of the admin port, the audit or the list of processes; neither plain nor in base64, hex or URL form.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use restante_testkit::component;

use crate::support::http::{Collector, Temper, get, request};
use crate::support::{ALICE, Fleet, Layout, Pop3, eventually, restante, run};

const N_CANARIES: usize = 40;

/// Behind a load balancer: inside TLS, and in the clear without leave to log in.
const LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n\
     [[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
     [[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n";

/// Not the same in any two of the forms, and with octets that each form has to escape.
fn canary(n: usize) -> String {
    assert!(n < N_CANARIES);
    format!("Canary{n:02}/+&=?Zq{n:02}~xWv{n:02}kJhGfD")
}

/// The forms in which a secret could come out: as it is, in base64 wherever it begins, in hex, in a URL, in JSON and in
/// Rust's `Debug`.
fn forms(secret: &str) -> Vec<String> {
    let octets = secret.as_bytes();
    let mut forms = vec![secret.to_owned()];
    for shift in 0..3 {
        let padded = [&vec![b'x'; shift][..], octets].concat();
        let text = BASE64.encode(padded);
        // Only what the secret alone decides.
        let inside = text.get(if shift == 0 { 0 } else { 4 }..text.len() - 4).unwrap();
        forms.push(inside.to_owned());
        forms.push(inside.replace('+', "-").replace('/', "_"));
    }
    let hex = hex(octets);
    forms.push(hex.to_uppercase());
    forms.push(hex);
    let escaped = |octet: &u8| match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*octet).to_string(),
        octet => format!("%{octet:02X}"),
    };
    forms.push(octets.iter().map(escaped).collect());
    let list: Vec<String> = octets.iter().map(ToString::to_string).collect();
    forms.push(list.join(", "));
    forms
}

#[test]
fn forms_of_a_secret_are_found_where_they_stand() {
    let secret = canary(7);
    for text in [
        format!("plain {secret}"),
        BASE64.encode(format!("\0alice\0{secret}")),
        BASE64.encode(format!("n,,\u{1}auth=Bearer {secret}\u{1}\u{1}")),
        format!("{:?}", secret.as_bytes()),
        hex(secret.as_bytes()),
    ] {
        assert!(forms(&secret).iter().any(|form| text.contains(form)), "{text}");
    }
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| {
            char::from_digit(u32::from(octet >> 4), 16)
                .into_iter()
                .chain(char::from_digit(u32::from(octet & 15), 16))
                .collect::<String>()
        })
        .collect()
}

/// Everything that came out, by where.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    fn add(&mut self, what: &str, octets: impl Into<Vec<u8>>) {
        self.0.push((what.to_owned(), octets.into()));
    }

    /// What a command of the operator said, and how it was called.
    fn output(&mut self, what: &str, output: Output) {
        self.add(what, [output.stdout, output.stderr].concat());
    }

    fn search(&self, secret: &str) {
        for (what, octets) in &self.0 {
            for form in forms(secret) {
                let found = octets
                    .windows(form.len())
                    .position(|window| window == form.as_bytes());
                let Some(at) = found else { continue };
                let around = &octets[at.saturating_sub(200)..(at + form.len() + 50).min(octets.len())];
                panic!("{form} came out in {what}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

/// Lines of a client who gives secrets away in every way there is, right or wrong.
fn indiscreet(pop3: &mut Pop3, lines: &[String]) {
    for line in lines {
        pop3.try_send(&format!("{line}\r\n"));
        if pop3.next_line().is_none() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_of_anything() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let file = |name: &str, text: &str| {
        fs::write(at(name), text).unwrap();
        fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        at(name).display().to_string()
    };
    let collector = Collector::start(Temper::Willing);
    let admin_token = canary(0).repeat(2);
    // 32 octets: what the sealing plugin takes as its key.
    let seal_key = format!("{}012", canary(1));
    assert_eq!(seal_key.len(), 32);
    let tables = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[[admin.token]]\nname = \"portal\"\ntoken_file = {:?}\n\
         [telemetry]\notlp_endpoint = \"http://127.0.0.1:{}\"\notlp_headers_file = {:?}\nsample_percent = 100.0\n\
         tenant_metrics = true\n[log]\nlevel = \"trace\"\n\
         [plugin.keeper]\ngrants = [\"inner\"]\nsecrets = {{ kek = {:?} }}\n\
         [storage.beneath]\nkind = \"file\"\npath = {:?}\n\
         [storage.kept]\nkind = \"plugin\"\nplugin = \"keeper\"\ninner = \"beneath\"\nconfig = {{ key = \"kek\" }}\n\
         [storage.bucket]\nkind = \"s3\"\nbucket = \"mail\"\nregion = \"nowhere\"\nendpoint = \"http://127.0.0.1:9\"\n\
         path_style = true\nallow_http = true\ncredentials_file = {:?}\n",
        file("token", &admin_token),
        collector.port,
        file("headers", &format!("authorization: Bearer {}\n", canary(2))),
        file("kek", &seal_key),
        at("beneath").display().to_string(),
        file(
            "credentials",
            &format!(
                "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                canary(3),
                canary(4)
            )
        ),
    );
    let layout = Layout {
        pooled: false,
        n_frontends: 0,
        tables,
        listeners: LISTENERS.to_owned(),
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    let mut heard = Heard::default();
    let tool = |arguments: &[&str], input: &str| {
        let output = run(&mut fleet.command(arguments), input.as_bytes());
        let made = String::from_utf8_lossy(&output.stdout).into_owned();
        (made, output)
    };
    // What an operator sets up.
    let (right, later) = (canary(5), canary(6));
    for (arguments, input) in [
        (&["tenant", "set", "acme", "--storage", "kept"][..], ""),
        (
            &["plugin", "install", "keeper", component("seal").to_str().unwrap()],
            "",
        ),
        (&["account", "set", ALICE, "--password-stdin"], right.as_str()),
        (
            &["account", "add", "bob@acme.example", "--password-stdin"],
            &later,
        ),
        (
            &["account", "set", "bob@acme.example", "--password-stdin"],
            &right,
        ),
        (
            &["deliver", "--to", ALICE],
            &format!("Subject: {}\r\n\r\n{}\r\n", canary(7), canary(8)),
        ),
        (&["tenant", "list", "--json"], ""),
        (&["storage", "list"], ""),
        (&["check-config"], ""),
        (
            &["account", "add", "carol@nowhere.example", "--password-stdin"],
            &canary(9),
        ),
    ] {
        let (_, output) = tool(arguments, input);
        heard.output(&arguments.join(" "), output);
    }
    let password_file = file("database-password", &canary(10));
    let url = fleet.database.url().replace("127.0.0.1", "localhost");
    let database = format!("url = \"{url}\"\npassword_file = {password_file:?}");
    let server = fleet.frontend_by(restante(), "watched", &database);
    let admin = server.admin_port();
    let [_, _, lmtp, tls, clear] = server.ports[..] else {
        panic!("five listeners")
    };

    // What clients say: each on a connection of its own, where it may be closed.
    let plain = |secret: &str| BASE64.encode(format!("\0{ALICE}\0{secret}"));
    let bearer = |secret: &str| BASE64.encode(format!("n,a={ALICE},\u{1}auth=Bearer {secret}\u{1}\u{1}"));
    let xoauth2 = |secret: &str| BASE64.encode(format!("user={ALICE}\u{1}auth=Bearer {secret}\u{1}\u{1}"));
    let user = format!("USER {ALICE}");
    let said: Vec<Vec<String>> = vec![
        vec![user.clone(), format!("PASS {}", canary(11))],
        vec![user.clone(), format!("PASS {}\u{1}", canary(12))],
        vec![user.clone(), format!("PASS  {} ", canary(13))],
        vec![format!("PASS {}", canary(14))],
        vec![format!("USER {}", canary(15)), format!("PASS {}", canary(15))],
        vec![format!("AUTH PLAIN {}", plain(&canary(16)))],
        vec!["AUTH PLAIN".to_owned(), plain(&canary(17))],
        vec!["AUTH PLAIN".to_owned(), canary(18)],
        vec![
            "AUTH LOGIN".to_owned(),
            BASE64.encode(ALICE),
            BASE64.encode(canary(19)),
        ],
        vec![format!("AUTH LOGIN {}", BASE64.encode(ALICE)), canary(20)],
        vec![format!("AUTH XOAUTH2 {}", xoauth2(&canary(21))), String::new()],
        vec![format!("AUTH OAUTHBEARER {}", bearer(&canary(22))), String::new()],
        vec![format!(
            "AUTH SCRAM-SHA-256 {}",
            BASE64.encode(format!("n,,n={ALICE},r={}", canary(23)))
        )],
        vec![format!("AUTH {} {}", canary(24), canary(24))],
        vec![canary(25)],
        vec![format!("APOP {ALICE} {}", canary(26))],
        vec![format!("PASS {}", canary(27).repeat(40))],
        vec![format!("AUTH PLAIN {}", BASE64.encode(canary(28).repeat(900)))],
        vec![format!(
            "AUTH PLAIN {}",
            BASE64.encode(format!("{ALICE}\0{ALICE}\0{}", canary(29)))
        )],
        vec![
            user.clone(),
            format!("PASS {right}"),
            format!("RETR {}", canary(30)),
            "RETR 1".to_owned(),
        ],
        vec![format!("STLS {}", canary(31))],
        vec![format!("GET /?password={} HTTP/1.1", canary(32))],
    ];
    for (nth, lines) in said.iter().enumerate() {
        // From networks of their own, so that the failures of one do not delay the next.
        let client = Ipv4Addr::new(10, 2, u8::try_from(nth).unwrap(), 1);
        let mut pop3 = Pop3::behind_balancer_tls(tls, client, &server.certificate());
        indiscreet(&mut pop3, lines);
    }
    // In the clear, where nothing may be said.
    let mut clear = Pop3::behind_balancer(clear, Ipv4Addr::new(10, 1, 1, 1));
    for line in [user, format!("PASS {}", canary(33))] {
        let reply = clear.ask(&line);
        assert_eq!(reply, "-ERR [SYS/PERM] TLS required, use STLS or port 995");
    }
    let mut sender = crate::support::Lmtp::connect(lmtp).unwrap();
    for line in [
        format!("MAIL FROM:<{}@example.org>", "x".repeat(3)),
        format!("RCPT TO:<{}@acme.example>", canary(34)),
        format!("AUTH PLAIN {}", plain(&canary(35))),
    ] {
        sender.ask(&line).unwrap();
    }
    let message = format!("Subject: {}\r\n\r\n{}\r\n", canary(36), canary(36));
    // Somebody whom nobody has guessed at.
    let reply = sender.send("bob@acme.example", &message).unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    let mut reader = server.connect();
    let reply = reader.try_login("bob@acme.example", &right);
    assert!(reply.starts_with("+OK"), "{reply}");
    let read = String::from_utf8(reader.retr(1)).unwrap();
    assert!(read.contains(&canary(36)), "{read}");
    reader.ok("DELE 1");
    reader.ok("QUIT");
    // Its end is read: a connection that is closed before it is a client that has gone.
    reader.last_line();

    // What people say to the admin port, and what it answers.
    for (nth, (head, body)) in [
        (format!("GET /api/v1/tenants HTTP/1.1\r\nAuthorization: Bearer {admin_token}"), String::new()),
        (format!("GET /api/v1/tenants HTTP/1.1\r\nAuthorization: Bearer {}", canary(37)), String::new()),
        (format!("GET /{} HTTP/1.1", canary(38).replace('?', "")), String::new()),
        (
            format!("POST /api/v1/accounts HTTP/1.1\r\nAuthorization: Bearer {admin_token}\r\nContent-Type: application/json"),
            format!("{{\"name\":\"dave@acme.example\",\"password\":{:?}}}", canary(39)),
        ),
        (format!("GET /api/v1/audit?limit=500 HTTP/1.1\r\nAuthorization: Bearer {admin_token}"), String::new()),
        ("GET / HTTP/1.1".to_owned(), String::new()),
        ("GET /metrics HTTP/1.1".to_owned(), String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let length = body.len();
        let text = format!("{head}\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let (status, answer) = request(admin, &text);
        assert!(nth != 0 || status == 200, "{status} {answer}");
        heard.add(&format!("the answer to request {nth} of the admin port"), answer);
    }
    server.wait_for("session ended", said.len());
    eventually("spans have come", || collector.has("update"));
    eventually("the audit is written", || {
        get(admin, "/metrics").1.contains("restante_audit_records_total")
    });
    let (_, output) = tool(&["audit", "list", "--json"], "");
    heard.output("audit list", output);
    heard.add(
        "the command line of the server",
        fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap(),
    );
    heard.add(
        "the environment of the server",
        fs::read(format!("/proc/{}/environ", server.pid())).unwrap(),
    );
    server.signal("HUP");
    server.wait_for("configuration reloaded", 1);
    heard.add("the log", server.log());
    // The collector must be told its own header, and nothing else.
    let spans = collector.received();
    let own = format!("Bearer {}", canary(2));
    let spans = String::from_utf8_lossy(&spans).replace(&own, "");
    heard.add("the spans", spans);
    assert!(
        server
            .log()
            .lines()
            .any(|line| line.contains("\"TRACE\"") || line.contains("\"DEBUG\"")),
        "at the highest level"
    );
    for n in 0..N_CANARIES {
        heard.search(&canary(n));
    }
    heard.search(&seal_key);
}
