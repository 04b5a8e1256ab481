//! Dovecot as Debian packages it, with a configuration, folders and ports of its own. Start at [`start`].

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use restante_auth::password::HashParams;
use restante_testkit::free_port;

use super::{Frontend, Refill, Server, folder, hash, login_name, names, params};
use crate::corpus::{Corpus, Kind, Maildrop};
use crate::pair::Pair;
use crate::process::{Ending, Process};

/// As little as the scheme allows: nothing keeps a password in memory here.
const CHEAP: HashParams = HashParams {
    memory_kib: 8,
    iterations: 1,
    parallelism: 1,
};
/// Who the files belong to.
const OWNER: &str = "nobody:nogroup";
const PROGRAM: &str = "/usr/sbin/dovecot";
const PACKAGES: [&str; 2] = ["dovecot-core", "dovecot-pop3d"];

/// How it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Setup {
    /// As the package leaves it: a process for each login and each session.
    Installed,
    /// Processes that wait and are used again, no writes that can be spared.
    Tuned,
    /// The same, with many sessions in each process.
    Shared,
    /// Tuned, and what it answers is on the disk.
    Durable,
}

/// Maildirs, shared by all set-ups: only one of them is at work at any time.
#[derive(Clone, Debug)]
pub(crate) struct Store(PathBuf);

impl Setup {
    const fn name(self) -> &'static str {
        match self {
            Self::Installed => "dovecot, as installed",
            Self::Tuned => "dovecot, tuned",
            Self::Shared => "dovecot, shared",
            Self::Durable => "dovecot, fsync on",
        }
    }

    /// What is set beside the package's defaults.
    const fn settings(self) -> &'static str {
        match self {
            Self::Installed => "",
            Self::Tuned => {
                "pop3_no_flag_updates = yes\nmaildir_very_dirty_syncs = yes\n\
                 service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}\n\
                 service pop3 {\n  service_count = 0\n  process_min_avail = 8\n}\n"
            }
            Self::Shared => {
                "pop3_no_flag_updates = yes\nmaildir_very_dirty_syncs = yes\n\
                 service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}\n\
                 service pop3 {\n  service_count = 0\n  client_limit = 500\n  process_min_avail = 2\n}\n"
            }
            Self::Durable => {
                "pop3_no_flag_updates = yes\nmaildir_very_dirty_syncs = yes\nmail_fsync = always\n\
                 service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}\n\
                 service pop3 {\n  service_count = 0\n  process_min_avail = 8\n}\n"
            }
        }
    }
}

/// Installs the packages if that is needed and allowed. No service of the system starts.
pub(crate) fn ensure_installed() -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "dovecot is started as root, and drops what it does not need itself: run this as root"
    );
    let is_there = || {
        [PROGRAM, "/usr/lib/dovecot/pop3"]
            .iter()
            .all(|file| Path::new(file).is_file())
    };
    if is_there() {
        return Ok(());
    }
    let _nothing_starts = ServicesStayDown::begin()?;
    for arguments in [
        &["-qq", "update"][..],
        &[
            "-qq",
            "install",
            "-y",
            "--no-install-recommends",
            PACKAGES[0],
            PACKAGES[1],
        ],
    ] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("dovecot is needed: packages {}", PACKAGES.join(" ")))?;
        ensure!(status.success(), "apt-get {}: {status}", arguments.join(" "));
    }
    ensure!(is_there(), "dovecot was installed, and is not found");
    Ok(())
}

/// While it lives, installing a package starts no daemon (Debian's `policy-rc.d`). One that was there already stays.
struct ServicesStayDown(Option<PathBuf>);

impl ServicesStayDown {
    fn begin() -> anyhow::Result<Self> {
        let file = PathBuf::from("/usr/sbin/policy-rc.d");
        if file.exists() {
            return Ok(Self(None));
        }
        std::fs::write(&file, "#!/bin/sh\nexit 101\n").with_context(|| file.display().to_string())?;
        let guard = Self(Some(file.clone()));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // If it cannot be removed it does no harm but that services wait for their administrator.
            drop(std::fs::remove_file(file));
        }
    }
}

/// Starts it in one of its set-ups.
pub(crate) async fn start(
    setup: Setup,
    within: &Path,
    store: &Store,
    corpus: &Corpus,
) -> anyhow::Result<Server> {
    let folder = folder(within, setup.name())?;
    let pair = Pair::of(within);
    let (plain, tls) = (free_port(), free_port());
    let mut users = String::new();
    let (cheap, dear) = (
        hash(params(Kind::User, CHEAP))?,
        hash(params(Kind::Login, CHEAP))?,
    );
    for maildrop in names(corpus.plan()) {
        let hash = if maildrop.kind == Kind::Login {
            &dear
        } else {
            &cheap
        };
        // `{ARGON2ID}` takes the same string as the other servers.
        writeln!(users, "{}:{{ARGON2ID}}{hash}::::::", login_name(maildrop))?;
    }
    std::fs::write(folder.join("users"), users)?;
    let file = folder.join("dovecot.conf");
    std::fs::write(&file, configuration(setup, &folder, &pair, store, [plain, tls]))?;
    let arguments = ["-F", "-c", &file.display().to_string()].map(str::to_owned);
    let mut process = Process::start(Path::new(PROGRAM), &arguments, &folder.join("log"), Ending::Ask)?;
    for port in [plain, tls] {
        process.open(port).await.context(setup.name())?;
    }
    Ok(Server {
        name: setup.name(),
        frontends: vec![Frontend::new(process, plain, tls, pair.client()?)],
        beside: None,
        lmtp: None,
        refill: Refill::Files(store.clone()),
    })
}

fn configuration(setup: Setup, folder: &Path, pair: &Pair, store: &Store, [plain, tls]: [u16; 2]) -> String {
    format!(
        "protocols = pop3\n\
         listen = 127.0.0.1\n\
         base_dir = {folder}/run\n\
         state_dir = {folder}/state\n\
         log_path = {folder}/dovecot.log\n\
         instance_name = {instance}\n\
         ssl = yes\n\
         ssl_cert = <{certificate}\n\
         ssl_key = <{key}\n\
         ssl_dh = </usr/share/dovecot/dh.pem\n\
         disable_plaintext_auth = no\n\
         auth_mechanisms = plain\n\
         passdb {{\n  driver = passwd-file\n  args = username_format=%u {folder}/users\n}}\n\
         userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={mail}/%n\n}}\n\
         first_valid_uid = 1\n\
         mail_location = maildir:~/Maildir\n\
         mail_max_userip_connections = 0\n\
         default_process_limit = 10000\n\
         default_client_limit = 15000\n\
         service pop3-login {{\n  inet_listener pop3 {{\n    port = {plain}\n  }}\n  \
         inet_listener pop3s {{\n    port = {tls}\n    ssl = yes\n  }}\n}}\n{}",
        setup.settings(),
        folder = folder.display(),
        instance = setup.name().replace([' ', ','], "-"),
        certificate = pair.certificate.display(),
        key = pair.key.display(),
        mail = store.0.display(),
    )
}

impl Store {
    /// Writes the Maildirs of a corpus as Dovecot's own delivery does: lines end with LF, both sizes in the name.
    pub(crate) fn fill(within: &Path, corpus: &Corpus) -> anyhow::Result<Self> {
        let store = Self(folder(within, "maildirs")?);
        // The servers' own users pass through.
        std::fs::set_permissions(within, std::fs::Permissions::from_mode(0o755))?;
        for maildrop in names(corpus.plan()) {
            if corpus.len(maildrop) > 0 {
                store.write(corpus, maildrop)?;
            }
        }
        store.hand_over(&store.0)?;
        Ok(store)
    }

    /// Fills the maildrop that is emptied.
    pub(super) fn refill(&self, corpus: &Corpus) -> anyhow::Result<()> {
        for maildrop in corpus.plan().all(Kind::Wipe) {
            let folder = self.0.join(maildrop.local_part());
            std::fs::remove_dir_all(&folder)?;
            self.write(corpus, maildrop)?;
            self.hand_over(&folder)?;
        }
        Ok(())
    }

    fn write(&self, corpus: &Corpus, maildrop: Maildrop) -> anyhow::Result<()> {
        let maildir = self.0.join(maildrop.local_part()).join("Maildir");
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(maildir.join(part))?;
        }
        for index in 0..corpus.len(maildrop) {
            let crlf = &corpus.message(maildrop, index).octets;
            let lf: Vec<u8> = crlf.iter().copied().filter(|octet| *octet != b'\r').collect();
            // Seen already: the first reading would rename it.
            let name = format!(
                "{}.M{index:06}P1.bench,S={},W={}:2,S",
                1_700_000_000 + index,
                lf.len(),
                crlf.len()
            );
            std::fs::write(maildir.join("cur").join(name), lf)?;
        }
        Ok(())
    }

    fn hand_over(&self, what: &Path) -> anyhow::Result<()> {
        let status = Command::new("chown").args(["-R", OWNER]).arg(what).status()?;
        if !status.success() {
            bail!("{} cannot be handed over", self.0.display());
        }
        Ok(())
    }
}
