//! Where the demo keeps its things: data, certificate, passwords, and a configuration for the other commands.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use restante_config::{Certificate, Config, ServiceUrl, Storage};

pub(super) const TENANT: &str = "demo";
pub(super) const DOMAIN: &str = "demo.test";
pub(super) const ACCOUNTS: [&str; 2] = ["alice", "bob"];

/// Marks a folder as the demo's own, so that nothing else is ever thrown away.
const MARK: &str = "this-is-a-restante-demo";
const FURNISHED: &str = "furnished";
const DATABASE: &str = "restante.db";

/// The demo's folder.
#[derive(Debug)]
pub(in crate::command) struct Place {
    root: PathBuf,
}

impl Place {
    /// Refuses a folder in which a demo is running: neither its data nor its configuration may be changed under it.
    pub(super) fn check_idle(root: &Path) -> anyhow::Result<()> {
        let mut lock = root.join(DATABASE).into_os_string();
        lock.push(".lock");
        match File::open(&lock).map(|file| file.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => bail!(
                "a demo is running in {}; stop it first, or name another folder with --data",
                root.display()
            ),
            // Not there, or not to be locked: whoever opens the database says so.
            _ => Ok(()),
        }
    }

    /// Removes what an earlier demo left in `root`.
    pub(super) fn clear(root: &Path) -> anyhow::Result<()> {
        if !root.exists() {
            return Ok(());
        }
        if !root.join(MARK).exists() {
            bail!(
                "{} was not made by the demo and is left alone; name another folder with --data",
                root.display()
            );
        }
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))
    }

    /// Makes the folder with a certificate and passwords, or finds them.
    pub(super) fn prepare(root: &Path) -> anyhow::Result<Self> {
        let occupied = root.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !root.join(MARK).exists() {
            bail!(
                "{} is not empty and was not made by the demo; name another folder with --data",
                root.display()
            );
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("cannot make {}; name another folder with --data", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot open {}", root.display()))?;
        let place = Self { root };
        write_new(&place.root.join(MARK), "")?;
        place.prepare_certificate()?;
        for account in ACCOUNTS {
            write_new(&place.password_file(account), &super::fresh_password()?)?;
        }
        Ok(place)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.root.join("certificate.pem")
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.root.join("restante.toml")
    }

    pub(super) fn password(&self, account: &str) -> anyhow::Result<String> {
        let file = self.password_file(account);
        fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}; start with --fresh", file.display()))
    }

    /// Points a configuration at this folder.
    pub(super) fn furnish_configuration(&self, config: &mut Config) {
        config.database.url = ServiceUrl::new(format!("sqlite://{}", self.root.join(DATABASE).display()));
        config.storage = [(
            config.default_storage.clone(),
            Storage::File {
                path: self.root.join("blobs"),
            },
        )]
        .into();
        config.tls.certificate = vec![Certificate {
            certificate_file: self.certificate(),
            key_file: self.root.join("key.pem"),
            names: Vec::new(),
        }];
        config.lmtp.spool_path = Some(self.root.join("spool"));
        config.log.level = restante_config::Level::Warn;
        // Whoever presses Ctrl-C does not want to wait for an idle mail program.
        config.drain.grace_secs = 1;
    }

    /// Leaves the configuration for `restante deliver --config` and the other commands.
    pub(super) fn write_configuration(&self, config: &Config) -> anyhow::Result<()> {
        let text = toml::to_string(config)?;
        let file = self.configuration();
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Whether tenant, accounts and mail were all made.
    pub(super) fn is_furnished(&self) -> bool {
        self.root.join(FURNISHED).exists()
    }

    /// They were.
    pub(super) fn mark_furnished(&self) -> anyhow::Result<()> {
        write_new(&self.root.join(FURNISHED), "")
    }

    fn password_file(&self, account: &str) -> PathBuf {
        self.root.join(format!("password-of-{account}"))
    }

    fn prepare_certificate(&self) -> anyhow::Result<()> {
        if self.certificate().exists() {
            return Ok(());
        }
        // A key whose certificate was never written belongs to no certificate.
        let key = self.root.join("key.pem");
        if key.exists() {
            fs::remove_file(&key).with_context(|| format!("cannot remove {}", key.display()))?;
        }
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        write_new(&key, &made.signing_key.serialize_pem())?;
        write_new(&self.certificate(), &made.cert.pem())
    }
}

/// Writes a file that only its owner reads, unless it is there.
fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match opened {
        Ok(mut opened) => opened
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", file.display())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", file.display())),
    }
}
