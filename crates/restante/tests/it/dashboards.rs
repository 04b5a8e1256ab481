//! A real Prometheus scrapes frontends that serve every kind of storage, with the rules of `deploy/` loaded; every panel
//! of the dashboards gets data from it, and what it scraped is what the reference of the metrics says.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use restante_testkit::{Fault, S3, component};

use crate::support::http::{Collector, Temper, get};
use crate::support::{
    ALICE, Fleet, Layout, Lmtp, PASSWORD, PATIENCE, eventually, free_port, now, program, run, succeed,
};

const KEPT: &str = "bob@kept.example";
const BUCKET: &str = "carol@bucket.example";
const ROWS: &str = "dan@rows.example";
/// Tenants whose plugin does what it should not, each in its own way.
const MISDEEDS: [&str; 3] = ["trap", "log-flood", "wrong"];

/// Ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(path)
}

impl Prometheus {
    /// One that scrapes and evaluates every second; the rules are otherwise those that are shipped.
    fn start(program: &Path, folder: &Path, targets: &[u16]) -> Self {
        let rules = std::fs::read_to_string(deploy("prometheus/rules.yml")).unwrap();
        let rules = rules
            .lines()
            .filter(|line| !line.trim_start().starts_with("interval:"));
        std::fs::write(folder.join("rules.yml"), rules.collect::<Vec<_>>().join("\n")).unwrap();
        let targets: Vec<String> = targets
            .iter()
            .map(|port| format!("\"127.0.0.1:{port}\""))
            .collect();
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n  \
             - job_name: restante\n    static_configs: [{{targets: [{}]}}]\n",
            targets.join(", ")
        );
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, text).unwrap();
        let port = free_port();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, port };
        eventually("Prometheus listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        prometheus
    }
}

/// What users and senders do in a minute, good and bad.
fn traffic(fleet: &Fleet, round: usize) {
    for frontend in 0..2 {
        let server = fleet.frontend(frontend);
        let mut lmtp = Lmtp::connect(server.ports[2]).unwrap();
        for to in [ALICE, KEPT, BUCKET, ROWS] {
            let text = format!("Subject: {round}\r\n\r\nfor {to}\r\n");
            let reply = lmtp.send(to, &text).unwrap();
            assert!(reply.starts_with("250 "), "{reply}");
        }
        for name in [ALICE, KEPT, BUCKET, ROWS] {
            let (mut pop3, reply) = fleet.log_in(frontend, name, PASSWORD);
            assert!(reply.starts_with("+OK"), "{reply}");
            let (n_messages, _) = pop3.stat();
            pop3.listing("UIDL");
            pop3.retr(n_messages);
            pop3.ok(&format!("DELE {n_messages}"));
            pop3.ok("QUIT");
        }
        let nobody = format!("nobody-{round}@acme.example");
        let guess = fleet.stranger(frontend).try_login(&nobody, "a guess");
        assert!(guess.starts_with("-ERR"), "{guess}");
    }
}

/// What goes wrong now and then: panels of faults have nothing to show before.
fn trouble(fleet: &Fleet) {
    let server = fleet.frontend(0);
    for port in &server.ports[..2] {
        // No TLS where it belongs, and no PROXY header.
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
        stream
            .write_all(b"CAPA and nothing else that belongs here\r\n")
            .unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    }
    for misdeed in MISDEEDS {
        let name = format!("eve@{misdeed}.example");
        fleet.deliver(&name, b"Subject: a\r\n\r\nas it was\r\n");
        for _ in 0..2 {
            let (mut pop3, reply) = fleet.log_in(0, &name, PASSWORD);
            assert!(reply.starts_with("+OK"), "{reply}");
            pop3.send("RETR 1\r\nQUIT\r\n");
            pop3.last_line();
        }
    }
    let (_, refused) = fleet.log_in(0, ALICE, "not hers");
    assert!(refused.starts_with("-ERR [AUTH]"), "{refused}");
    // A session that loses its maildrop, and one that loses the database before its UPDATE.
    let (mut kicked, _) = fleet.log_in(0, ALICE, PASSWORD);
    fleet.tool(&["kick", ALICE], b"");
    kicked.last_line();
    fleet.deliver(ROWS, b"Subject: a\r\n\r\nto be kept\r\n");
    let (mut cut, _) = fleet.log_in(0, ROWS, PASSWORD);
    cut.ok("DELE 1");
    fleet.to_database.set(&Fault::Reject);
    let reply = cut.ask("QUIT");
    assert!(reply.starts_with("-ERR [SYS/TEMP]"), "{reply}");
    fleet.to_database.set(&Fault::Pass);
    eventually("ready again", || get(server.admin_port(), "/readyz").0 == 200);
}

/// A plugin and its storage.
fn misdeed(name: &str) -> String {
    format!(
        "[plugin.{name}]\ngrants = [\"key-value\"]\n\
         [storage.{name}]\nkind = \"plugin\"\nplugin = \"{name}\"\n\
         config = {{ misdeed = \"{name}\" }}\n"
    )
}

/// Names of metrics, without what Prometheus' client libraries bring.
fn own(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.filter(|name| name.starts_with("restante_")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_has_data_and_every_metric_is_in_the_reference() {
    let (Some(prometheus), Some(python)) =
        (program("prometheus", "prometheus"), program("python3", "python3"))
    else {
        return;
    };
    let s3 = S3::own().await;
    let collector = Collector::start(Temper::Willing);
    let tables = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[telemetry]\ntenant_metrics = true\nsample_percent = 100.0\n\
         otlp_endpoint = \"http://127.0.0.1:{}\"\n[collector]\ninterval_secs = 1\n\
         [plugin.keeper]\ngrants = [\"key-value\"]\n[storage.kept]\nkind = \"plugin\"\nplugin = \"keeper\"\n\
         {}\
         [storage.bucket]\nkind = \"s3\"\nbucket = \"{}\"\nregion = \"{}\"\nendpoint = \"{}\"\nprefix = \"boards-{}\"\n\
         credentials_file = \"{}\"\n[storage.rows]\nkind = \"postgres\"\n",
        collector.port,
        MISDEEDS.map(misdeed).concat(),
        s3.bucket(),
        s3.region(),
        s3.endpoint(),
        std::process::id(),
        s3.credentials_file().display()
    );
    let layout = Layout {
        listeners: "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"lmtp\"\n".to_owned(),
        tables,
        ..Layout::default()
    };
    let Some(fleet) = Fleet::of(layout).await else {
        return;
    };
    let plugins = [("keeper", "memory")]
        .into_iter()
        .chain(MISDEEDS.map(|name| (name, "hostile")));
    for (name, file) in plugins {
        fleet.tool(
            &["plugin", "install", name, component(file).to_str().unwrap()],
            b"",
        );
    }
    for frontend in 0..2 {
        fleet
            .frontend(frontend)
            .wait_for("plugin in force", 1 + MISDEEDS.len());
    }
    let misdeeds = MISDEEDS.map(|name| (name, format!("eve@{name}.example")));
    let users = [KEPT, BUCKET, ROWS].map(str::to_owned);
    for (tenant, user) in ["kept", "bucket", "rows"].into_iter().zip(users).chain(misdeeds) {
        fleet.tenant(tenant);
        fleet.tool(&["tenant", "set", tenant, "--storage", tenant], b"");
        fleet.account(&user, PASSWORD);
    }
    let targets = [0, 1].map(|frontend| fleet.frontend(frontend).admin_port());
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&prometheus, folder.path(), &targets);

    traffic(&fleet, 0);
    trouble(&fleet);
    // Rates need two scrapes.
    let until = now() + 2 * PATIENCE;
    for round in 1.. {
        traffic(&fleet, round);
        let mut live = Command::new(&python);
        live.arg(deploy("prometheus/live"))
            .arg(format!("http://127.0.0.1:{}", prometheus.port))
            .arg(folder.path().join("live"))
            .args(["--minutes", "3", "--step", "1", "--rate-interval", "30s"]);
        let output = run(&mut live, b"");
        if output.status.success() {
            break;
        }
        assert!(
            now() < until,
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    let list = restante_telemetry::metrics_list();
    let known = own(list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned));
    let mut shown = BTreeSet::new();
    for port in targets {
        let (_, metrics) = get(port, "/metrics");
        let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        shown.extend(own(types
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)));
    }
    assert_eq!(shown, known);

    // FAULTS.md P11: what a plugin writes into the log is escaped, and cut where it is too much.
    let log = fleet.frontend(0).log();
    let flood: Vec<&str> = log.lines().filter(|line| line.contains("plugin: ")).collect();
    assert!(flood.iter().any(|line| line.contains("plugin: again")));
    // Once by the plugin's host, and its backslash once more by JSON, which writes an escape that it is given as \u001b.
    let escaped = r"plugin: \\u{1b}[31m\\r\\n\\u{1b}[31m";
    assert!(flood.iter().any(|line| line.contains(escaped)), "escaped");
    assert!(!log.contains(r"\u001b") && !log.contains('\u{1b}'), "escaped");
    let longest = flood.iter().map(|line| line.len()).max().unwrap_or_default();
    assert!(longest < 4096, "cut: {longest}");
    assert!(log.len() < 32 << 20, "{}", log.len());

    // The text form is what Prometheus itself calls well formed.
    let Some(promtool) = program("promtool", "prometheus") else {
        return;
    };
    let (_, metrics) = get(targets[0], "/metrics");
    succeed(
        Command::new(promtool).args(["check", "metrics"]),
        metrics.as_bytes(),
    );
}
