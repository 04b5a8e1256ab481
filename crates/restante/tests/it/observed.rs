//! What operators see: metrics, health, traces, logs; and that none of it is ever in the way of a session.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use restante_testkit::Fault;

use crate::support::http::{Collector, Temper, get, value};
use crate::support::{
    ALICE, Demo, Fleet, Layout, PASSWORD, POP3S, Server, eventually, free_port, now, program, restante,
};

const ADMIN: &str = "[admin]\naddress = \"127.0.0.1:0\"\n";
const LMTP: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n";

#[test]
fn metrics_count_what_sessions_and_deliveries_do() {
    let demo = Demo::stopped();
    let more = format!("{ADMIN}metrics_address = \"127.0.0.1:0\"\n[telemetry]\ntenant_metrics = true\n");
    let server = Server::start(&demo, &format!("{POP3S}{LMTP}"), &more);
    let mut guest = server.connect();
    assert!(
        guest
            .try_login("alice@demo.test", "wrong")
            .starts_with("-ERR [AUTH]")
    );
    let mut pop3 = server.connect();
    assert!(
        pop3.try_login("bob@demo.test", &demo.password("bob"))
            .starts_with("+OK")
    );
    let mut second = server.connect();
    assert!(
        second
            .try_login("bob@demo.test", &demo.password("bob"))
            .starts_with("-ERR [IN-USE]")
    );
    let octets = pop3.retr(1).len();
    pop3.ask("RETR 99");
    pop3.ok("DELE 1");
    let mut lmtp = crate::support::Lmtp::connect(server.ports[1]).unwrap();
    lmtp.send("bob@demo.test", "Subject: counted\r\n\r\nhello\r\n")
        .unwrap();
    lmtp.ask("MAIL FROM:<sender@example.org>").unwrap();
    let refused = lmtp.ask("RCPT TO:<nobody@demo.test>").unwrap();
    assert!(refused.starts_with("550 "), "{refused}");

    let listener = "listener=\"127.0.0.1:0\"";
    let metrics = server.metrics();
    let shows = |metrics: &str, series: &str, n: f64| {
        assert_eq!(value(metrics, series), Some(n), "{series}\n{metrics}");
    };
    shows(
        &metrics,
        &format!("restante_sessions_open{{{listener},state=\"transaction\"}}"),
        1.0,
    );
    shows(
        &metrics,
        &format!("restante_sessions_open{{{listener},state=\"authorization\"}}"),
        2.0,
    );
    shows(&metrics, "restante_tenant_sessions_open{tenant=\"1\"}", 1.0);
    assert_eq!(pop3.ok("QUIT"), "+OK 1 message deleted");
    for mut others in [guest, second] {
        others.ok("QUIT");
    }
    server.wait_for("session ended", 3);
    let metrics = server.metrics();
    for (series, n) in [
        (
            "restante_logins_total{mechanism=\"USER\",result=\"granted\"}",
            2.0,
        ),
        (
            "restante_logins_total{mechanism=\"USER\",result=\"refused\"}",
            1.0,
        ),
        ("restante_maildrop_opens_total{result=\"opened\"}", 1.0),
        ("restante_maildrop_opens_total{result=\"in_use\"}", 1.0),
        (
            "restante_refusals_total{code=\"AUTH\",reason=\"credentials\"}",
            1.0,
        ),
        ("restante_refusals_total{code=\"IN-USE\",reason=\"in_use\"}", 1.0),
        (
            "restante_refusals_total{code=\"none\",reason=\"no_such_message\"}",
            1.0,
        ),
        ("restante_commands_total{result=\"refused\",verb=\"PASS\"}", 2.0),
        ("restante_commands_total{result=\"ok\",verb=\"RETR\"}", 1.0),
        ("restante_commands_total{result=\"refused\",verb=\"RETR\"}", 1.0),
        ("restante_messages_sent_total{verb=\"RETR\"}", 1.0),
        ("restante_updates_total{result=\"committed\"}", 1.0),
        ("restante_messages_deleted_total", 1.0),
        ("restante_deliveries_total{result=\"delivered\"}", 1.0),
        ("restante_deliveries_total{result=\"no_such_user\"}", 1.0),
        ("restante_tenant_sessions_open{tenant=\"1\"}", 0.0),
        ("restante_tenant_refused_logins_total{tenant=\"1\"}", 1.0),
        ("restante_tenant_sessions_total{tenant=\"1\"}", 1.0),
        ("restante_ready", 1.0),
        ("restante_draining", 0.0),
    ] {
        shows(&metrics, series, n);
    }
    let sent = value(&metrics, "restante_body_octets_total{verb=\"RETR\"}").unwrap();
    assert!(
        (sent - f64::from(u32::try_from(octets).unwrap())).abs() < 1.0,
        "{sent} for {octets}"
    );
    let open = metrics
        .lines()
        .filter(|line| line.starts_with("restante_sessions_open{"));
    for line in open {
        assert!(line.ends_with(" 0"), "nobody is left: {line}");
    }
    let alone = server.metrics_port();
    assert_eq!(get(alone, "/metrics").0, 200);
    assert_eq!(get(alone, "/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(get(alone, "/api/v1/tenants").0, 404, "metrics and health alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_fails_with_the_database_and_not_with_the_collector_or_redis() {
    let collector = Collector::start(Temper::Silent);
    let tables = format!(
        "{ADMIN}[telemetry]\notlp_endpoint = \"http://127.0.0.1:{}\"\nsample_percent = 100.0\n",
        collector.port
    );
    let layout = Layout {
        n_frontends: 1,
        tables,
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    let port = fleet.frontend(0).admin_port();
    fleet.to_redis.set(&Fault::Reject);
    let (mut pop3, reply) = fleet.log_in(0, ALICE, PASSWORD);
    assert!(reply.starts_with("+OK"), "{reply}");
    pop3.ok("QUIT");
    eventually("the lost limits are told", || {
        value(&fleet.frontend(0).metrics(), "restante_shared_limits_lost") == Some(1.0)
    });
    assert_eq!(get(port, "/readyz"), (200, "ready\n".to_owned()));

    fleet.to_database.set(&Fault::BlackHole);
    eventually("not ready", || get(port, "/readyz").0 == 503);
    let (_, reasons) = get(port, "/readyz");
    assert_eq!(reasons.lines().count(), 1, "{reasons}");
    assert!(reasons.starts_with("database:"), "{reasons}");
    assert_eq!(get(port, "/livez").0, 200);
    let metrics = get(port, "/metrics").1;
    assert_eq!(value(&metrics, "restante_ready"), Some(0.0));
    fleet.to_database.set(&Fault::Pass);
    eventually("ready again", || get(port, "/readyz").0 == 200);
}

/// FAULTS.md X08.
#[test]
fn x08_the_ports_of_operators_are_not_there_for_others() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, "");
    assert!(
        !server.log().contains("\"admin\":"),
        "none unless it is asked for"
    );
    drop(server);
    let more = format!("{ADMIN}metrics_address = \"127.0.0.1:0\"\n");
    let server = Server::start(&demo, POP3S, &more);
    for port in [server.admin_port(), server.metrics_port()] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(
            TcpStream::connect(("127.0.0.2", port)).is_err(),
            "bound to its own address alone"
        );
    }
    // Tokens do not cross a network in the clear.
    let text = fs::read_to_string(server.configuration()).unwrap();
    let open = text.replace(
        "[admin]\naddress = \"127.0.0.1:0\"",
        "[admin]\naddress = \"0.0.0.0:0\"",
    );
    let config = demo.folder().join("open.toml");
    fs::write(&config, open).unwrap();
    let refused = restante()
        .args(["check-config", "--offline", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("certificate_file"), "{said}");
}

#[test]
fn f23_sigterm_fails_readiness_first_then_drains_and_a_second_one_hurries() {
    let demo = Demo::stopped();
    let more = format!("{ADMIN}[drain]\nlame_duck_secs = 2\ngrace_secs = 300\ndeadline_secs = 600\n");
    let server = Server::start(&demo, POP3S, &more);
    let port = server.admin_port();
    let mut inside = server.connect();
    inside.try_login("bob@demo.test", &demo.password("bob"));
    inside.ok("DELE 1");
    server.signal("TERM");
    eventually("not ready", || get(port, "/readyz").0 == 503);
    let mut late = server.connect();
    late.ok("QUIT");
    eventually("the listeners are closed", || {
        TcpStream::connect(("127.0.0.1", server.ports[0])).is_err()
    });
    assert!(
        inside.ok("NOOP").starts_with("+OK"),
        "an open maildrop has its grace"
    );
    assert_eq!(get(port, "/readyz").0, 503, "operators look on");
    assert_eq!(value(&server.metrics(), "restante_draining"), Some(1.0));
    let begun = now();
    server.signal("TERM");
    server.wait_for("\"stopped\"", 1);
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "hurried, not after ten minutes"
    );
    drop(inside);
    let server = Server::start(&demo, POP3S, "");
    let mut after = server.connect();
    after.try_login("bob@demo.test", &demo.password("bob"));
    assert_eq!(
        after.stat().0,
        1,
        "without QUIT nothing is deleted, and the maildrop is free"
    );
}

#[test]
fn a_reload_says_what_took_effect_and_what_waits_for_the_next_start() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, ADMIN);
    let before = fs::read_to_string(server.configuration()).unwrap();
    let changed =
        format!("{before}[limits]\nconnections = 7\nidle_timeout_secs = 700\n[log]\naudit = false\n");
    fs::write(server.configuration(), &changed).unwrap();
    server.signal("HUP");
    let taken = server.wait_for("configuration reloaded", 1);
    assert!(
        taken[0].contains("\"limits.connections, log.audit\""),
        "{}",
        taken[0]
    );
    let waits = server.wait_for("take effect at the next start", 1);
    assert!(waits[0].contains("\"limits.idle_timeout_secs\""), "{}", waits[0]);
    let metrics = server.metrics();
    let limit = "restante_connections_limit{budget=\"pop3\",state=\"open\"}";
    assert_eq!(value(&metrics, limit), Some(7.0));
    assert_eq!(value(&metrics, "restante_last_reload_successful"), Some(1.0));
    let mut pop3 = server.connect();
    pop3.try_login("bob@demo.test", &demo.password("bob"));
    pop3.ok("QUIT");
    server.wait_for("session ended", 1);
    assert!(
        !server.log().contains("\"target\":\"audit\""),
        "the audit is not told any more"
    );

    fs::write(server.configuration(), "[limits]\nconnections = \"many\"\n").unwrap();
    server.signal("HUP");
    server.wait_for("configuration not reloaded", 1);
    let metrics = server.metrics();
    assert_eq!(value(&metrics, "restante_last_reload_successful"), Some(0.0));
    assert_eq!(
        value(&metrics, "restante_reloads_total{result=\"failed\"}"),
        Some(1.0)
    );
    assert_eq!(value(&metrics, limit), Some(7.0), "the old stays in force");
}

#[test]
fn a_certificate_for_an_admin_port_that_began_without_tls_waits_for_the_next_start() {
    let demo = Demo::stopped();
    let server = Server::start(&demo, POP3S, ADMIN);
    let before = fs::read_to_string(server.configuration()).unwrap();
    // The second time it differs from what was read last, and not only from what is in force.
    for (nth, certificate) in ["first.pem", "second.pem"].into_iter().enumerate() {
        let certificate = demo.folder().join(certificate);
        fs::copy(server.certificate(), &certificate).unwrap();
        let key = demo.folder().join(format!("key-{nth}.pem"));
        fs::copy(server.key(), &key).unwrap();
        let pair = format!("certificate_file = {certificate:?}\nkey_file = {key:?}\n");
        fs::write(server.configuration(), format!("{before}{pair}")).unwrap();
        server.signal("HUP");
        let taken = &server.wait_for("configuration reloaded", nth + 1)[nth];
        assert!(taken.contains("\"taken_over\":\"\""), "{taken}");
        let waits = &server.wait_for("take effect at the next start", nth + 1)[nth];
        assert!(
            waits.contains("\"admin.certificate_file, admin.key_file\""),
            "{waits}"
        );
    }
    assert!(
        server.metrics().contains("process_cpu_seconds_total"),
        "still without TLS"
    );
}

#[test]
fn a_session_is_one_trace_with_what_it_waited_for() {
    let collector = Collector::start(Temper::Willing);
    let demo = Demo::stopped();
    let headers = demo.folder().join("headers");
    fs::write(&headers, "x-token: of-the-collector\n").unwrap();
    let more = format!(
        "{ADMIN}[telemetry]\notlp_endpoint = \"http://127.0.0.1:{}\"\notlp_headers_file = \"{}\"\nsample_percent = 100.0\n",
        collector.port,
        headers.display()
    );
    let server = Server::start(&demo, POP3S, &more);
    let mut pop3 = server.connect();
    pop3.try_login("bob@demo.test", &demo.password("bob"));
    pop3.retr(1);
    pop3.ok("DELE 1");
    pop3.ok("QUIT");
    let record = &server.wait_for("session ended", 1)[0];
    let record: serde_json::Value = serde_json::from_str(record).unwrap();
    let trace = record["trace"].as_str().unwrap();
    assert_eq!(trace.len(), 32, "{trace}");
    eventually("the spans have come", || collector.has("update"));
    for name in [
        "/v1/traces",
        "x-token: of-the-collector",
        "session",
        "login",
        "lock",
        "listing",
        "storage",
        "snapshot",
        "send",
    ] {
        assert!(collector.has(name), "{name}");
    }
    let id = u128::from_str_radix(trace, 16).unwrap().to_be_bytes();
    let received = collector.received();
    assert!(
        received.windows(16).any(|window| window == id),
        "the record names the trace"
    );
    assert!(!collector.has("bob@demo.test"), "numbers, no names");
    eventually("they are counted", || {
        value(&server.metrics(), "restante_spans_exported_total{result=\"ok\"}").is_some_and(|n| n >= 8.0)
    });
}

/// FAULTS.md F28: a collector that is slow or gone costs spans, a log that nobody reads costs lines; both are counted,
/// and sessions go on as before.
#[test]
fn f28_neither_a_lost_collector_nor_a_blocked_log_is_in_the_way() {
    let demo = Demo::stopped();
    let silent = Collector::start(Temper::Silent);
    let folder = demo.folder().join("blocked");
    fs::create_dir(&folder).unwrap();
    let metrics_port = free_port();
    let config = folder.join("serve.toml");
    let pop3_port = free_port();
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:{pop3_port}\"\nprotocol = \"pop3\"\nstls = false\nallow_plaintext_login = true\n\
         [database]\nurl = \"sqlite://{data}/restante.db\"\n[storage.main]\nkind = \"file\"\npath = \"{data}/blobs\"\n\
         [admin]\nmetrics_address = \"127.0.0.1:{metrics_port}\"\n[log]\nlevel = \"trace\"\n\
         [telemetry]\notlp_endpoint = \"http://127.0.0.1:{}\"\nsample_percent = 100.0\n",
        silent.port,
        data = demo.data().display(),
    );
    fs::write(&config, text).unwrap();
    // A pipe that is never read.
    let mut child = restante()
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it listens", || {
        TcpStream::connect(("127.0.0.1", pop3_port)).is_ok()
    });
    let session = || {
        let stream = TcpStream::connect(("127.0.0.1", pop3_port)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        stream.write_all(b"QUIT\r\n").unwrap();
        for expected in ["+OK Restante", "+OK Goodbye"] {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert!(line.starts_with(expected), "{line}");
        }
    };
    let lost = |signal: &str| {
        let metrics = get(metrics_port, "/metrics").1;
        value(
            &metrics,
            &format!("restante_telemetry_dropped_total{{signal=\"{signal}\"}}"),
        )
        .unwrap()
            > 0.0
    };
    let mut n_sessions = 0;
    while !(lost("logs") && lost("spans")) {
        for _ in 0..500 {
            session();
        }
        n_sessions += 500;
        assert!(n_sessions < 40_000, "nothing is dropped: is anything bounded?");
    }
    // Nothing waits for the log or the collector: a thousand sessions more, each answered.
    for _ in 0..1000 {
        session();
    }
    let metrics = get(metrics_port, "/metrics").1;
    assert_eq!(value(&metrics, "restante_ready"), Some(1.0));
    assert_eq!(get(metrics_port, "/readyz").0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_service_manager_is_told_and_its_sockets_are_served() {
    let Some(python) = program("python3", "python3") else {
        return;
    };
    let demo = Demo::stopped();
    let manager = demo.folder().join("notify");
    let notify = UnixDatagram::bind(&manager).unwrap();
    notify.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let (port, lmtp) = (free_port(), demo.folder().join("lmtp.sock"));
    // What systemd does: opens sockets, and starts the program with them.
    let script = format!(
        "import os, socket, sys\n\
         tcp = socket.create_server(('127.0.0.1', {port}))\n\
         unix = socket.socket(socket.AF_UNIX)\nunix.bind({:?})\nunix.listen()\n\
         os.dup2(tcp.fileno(), 3); os.dup2(unix.fileno(), 4)\n\
         os.set_inheritable(3, True); os.set_inheritable(4, True)\n\
         os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), WATCHDOG_USEC='2000000', WATCHDOG_PID=str(os.getpid()))\n\
         os.execv(sys.argv[1], sys.argv[1:])\n",
        lmtp.display().to_string()
    );
    let activated = || {
        let mut command = Command::new(&python);
        command
            .args(["-c", &script, crate::support::RESTANTE])
            .env("NOTIFY_SOCKET", &manager);
        command
    };
    let listeners = format!(
        "[[listener]]\naddress = \"127.0.0.1:{port}\"\nprotocol = \"pop3s\"\n\
         [[listener]]\naddress = \"unix:{}\"\nprotocol = \"lmtp\"\n",
        lmtp.display()
    );
    let told = |notify: &UnixDatagram| {
        let mut octets = [0; 256];
        let n = notify.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..n]).into_owned()
    };
    let server = Server::start_with(activated(), &demo, &listeners, "");
    let mut first = told(&notify);
    while first.starts_with("WATCHDOG=1") {
        first = told(&notify);
    }
    assert!(first.starts_with("READY=1"), "{first}");
    let mut pop3 = server.connect();
    assert!(
        pop3.try_login("bob@demo.test", &demo.password("bob"))
            .starts_with("+OK")
    );
    pop3.ok("QUIT");
    std::os::unix::net::UnixStream::connect(&lmtp).unwrap();
    let mut said: Vec<String> = Vec::new();
    let at = |said: &[String], what: &str| said.iter().position(|text| text.starts_with(what));
    server.signal("HUP");
    while ["RELOADING=1", "WATCHDOG=1", "READY=1"]
        .iter()
        .any(|what| at(&said, what).is_none())
    {
        said.push(told(&notify));
    }
    assert!(at(&said, "RELOADING=1") < at(&said, "READY=1"), "{said:?}");
    server.signal("INT");
    while !told(&notify).starts_with("STOPPING=1") {}
    server.wait_for("\"stopped\"", 1);
    assert!(lmtp.exists(), "the path belongs to whoever opened it");
    drop(server);

    // A socket that no listener has.
    let config = demo.folder().join("other.toml");
    let text = fs::read_to_string(demo.folder().join("serve.toml")).unwrap();
    fs::write(&config, text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0")).unwrap();
    fs::remove_file(&lmtp).unwrap();
    let refused = activated()
        .args(["serve", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&format!("passed a socket on 127.0.0.1:{port}")),
        "{said}"
    );
}
