//! `restante serve` as a test runs it: over a demo's data, with its own listeners and certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::http;
use super::{Demo, PATIENCE, Pop3, now, restante, signal};

/// A running server with its log in a file.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    /// Where it listens, in the order of the configuration.
    pub(crate) ports: Vec<u16>,
}

impl Server {
    /// Serves the data of a demo that has ended; `listeners` and `more` are parts of the configuration.
    pub(crate) fn start(demo: &Demo, listeners: &str, more: &str) -> Self {
        Self::start_with(restante(), demo, listeners, more)
    }

    /// The same by a command of [`restante_by`](super::restante_by).
    pub(crate) fn start_with(serve: Command, demo: &Demo, listeners: &str, more: &str) -> Self {
        let data = demo.data().display();
        let database = format!("url = \"sqlite://{data}/restante.db\"");
        let blobs = demo.data().join("blobs");
        Self::start_by(serve, demo.folder(), &database, &blobs, listeners, more)
    }

    /// Serves any database from a folder of its own; `database` is that part of the configuration.
    pub(crate) fn start_by(
        mut serve: Command,
        folder: &Path,
        database: &str,
        blobs: &Path,
        listeners: &str,
        more: &str,
    ) -> Self {
        let folder = folder.to_owned();
        write_pair(&folder);
        let (blobs, place) = (blobs.display(), folder.display());
        let text = format!(
            "{listeners}\n[[tls.certificate]]\ncertificate_file = \"{place}/c.pem\"\nkey_file = \"{place}/k.pem\"\n\
             [database]\n{database}\n[storage.main]\nkind = \"file\"\npath = \"{blobs}\"\n{more}"
        );
        let config = folder.join("serve.toml");
        fs::write(&config, text).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        serve
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stderr(Stdio::from(log));
        let mut server = Self {
            child: serve.spawn().unwrap(),
            folder,
            ports: Vec::new(),
        };
        let lines = server.wait_for(LISTENING, listeners.matches("\"127.0.0.1:").count());
        server.ports = lines.iter().map(|line| port(line)).collect();
        server
    }

    /// Where the certificate in force at the start came from.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("c.pem")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("serve.toml")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("k.pem")
    }

    /// Puts a new certificate and key where the old ones were, and a copy of the certificate at `copy`.
    pub(crate) fn replace_pair(&self, copy: &Path) {
        write_pair(&self.folder);
        fs::copy(self.certificate(), copy).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// The first `n` log lines with `text`, once there are so many.
    pub(crate) fn wait_for(&self, text: &str, n: usize) -> Vec<String> {
        let until = now() + PATIENCE;
        loop {
            let log = self.log();
            let lines = log.lines().filter(|line| line.contains(text)).take(n);
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            if lines.len() == n {
                return lines;
            }
            assert!(now() < until, "no {n} of {text:?} in {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The port for operators, where the configuration has `[admin]`.
    pub(crate) fn admin_port(&self) -> u16 {
        self.port_of("\"admin\":\"127.0.0.1:")
    }

    /// The port with metrics and health alone.
    pub(crate) fn metrics_port(&self) -> u16 {
        self.port_of("\"metrics\":\"127.0.0.1:")
    }

    fn port_of(&self, text: &str) -> u16 {
        let [line] = &self.wait_for(text, 1)[..] else {
            panic!("one line")
        };
        let (_, rest) = line.split_once(text).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    }

    pub(crate) fn metrics(&self) -> String {
        http::get(self.admin_port(), "/metrics").1
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A session with the first listener, over TLS.
    pub(crate) fn connect(&self) -> Pop3 {
        Pop3::connect(self.ports[0], &self.certificate())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// One listener, for POP3S.
pub(crate) const POP3S: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"pop3s\"\n";

const LISTENING: &str = "\"address\":\"127.0.0.1:";

fn port(line: &str) -> u16 {
    let (_, rest) = line.split_once(LISTENING).unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

fn write_pair(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
}
