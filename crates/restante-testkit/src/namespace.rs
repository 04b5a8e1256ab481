//! Namespaces of the kernel: a network that is cut off, a disk that is small, for programs that are started in it.
//!
//! Nothing of the host changes, and all of it ends with the value or with the test process. Only root may; without
//! root a test that wants one says so and does nothing. Start at [`Namespace::network`] and [`SmallDisk::new`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::require;
use crate::service::Folder;

/// Says that it is there, and waits for the end of its input, that is of the test process.
const HOLD: &str = "echo here && exec cat";

/// A namespace, kept by a process that does nothing.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
    kind: &'static str,
}

impl Namespace {
    /// A network with nothing but its loopback. `None`, after a loud line, where that is not permitted.
    pub fn network() -> Option<Self> {
        Self::new("net", "ip link set lo up", Path::new(""))
    }

    /// What `setup` makes of a fresh namespace, with `path` as its `$1`.
    fn new(kind: &'static str, setup: &str, path: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            require::not_permitted(&format!("a namespace of kind {kind} is for root"));
            return None;
        }
        let mut holder = Command::new("unshare")
            .arg(format!("--{}", if kind == "mnt" { "mount" } else { kind }))
            .args(["sh", "-c", &format!("{setup} && {HOLD}"), "holder"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there");
        let mut line = String::new();
        let said = holder.stdout.take().expect("it was piped");
        BufReader::new(said)
            .read_line(&mut line)
            .expect("a pipe can be read");
        let namespace = Self { holder, kind };
        if line != "here\n" {
            require::not_permitted(&format!("no namespace of kind {kind} can be made here"));
            return None;
        }
        Some(namespace)
    }

    /// A command that runs in here.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!(
                "--{}={}",
                if self.kind == "mnt" { "mount" } else { self.kind },
                self.place().display()
            ))
            .arg("--")
            .arg(program);
        command
    }

    /// Moves the calling thread into this network, and with it every socket and process that it makes from now on.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn enter(&self) {
        let place = File::open(self.place()).expect("the namespace is there");
        move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may enter a network");
    }

    fn place(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{}", self.holder.id(), self.kind))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        // One that cannot be waited for was never started.
        drop(self.holder.wait());
    }
}

/// A cable between two networks that can be pulled.
#[derive(Debug)]
pub struct Cable<'a> {
    near: &'a Namespace,
}

impl<'a> Cable<'a> {
    /// The address of the near end; of the net 192.0.2.0/30, which is nobody's (RFC 5737).
    pub const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    /// Lays it between two networks that have none yet.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn between(near: &'a Namespace, far: &Namespace) -> Self {
        let far_place = far.holder.id().to_string();
        let link = [
            "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
        ];
        ip(near, link.into_iter().chain([far_place.as_str()]));
        for (network, name, address) in [(near, "near", "192.0.2.1/30"), (far, "far", "192.0.2.2/30")] {
            ip(network, ["addr", "add", address, "dev", name]);
            ip(network, ["link", "set", name, "up"]);
        }
        Self { near }
    }

    /// From now on packets are lost in both directions, and nobody is told.
    pub fn pull(&self) {
        ip(self.near, ["link", "set", "near", "down"]);
    }

    /// Puts it back.
    pub fn plug(&self) {
        ip(self.near, ["link", "set", "near", "up"]);
    }
}

fn ip<'a>(network: &Namespace, arguments: impl IntoIterator<Item = &'a str>) {
    let done = network.command("ip").args(arguments).status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "ip fails in a namespace"
    );
}

/// A file system of a few MiB that only programs within it see.
#[derive(Debug)]
pub struct SmallDisk {
    namespace: Namespace,
    folder: Folder,
}

impl SmallDisk {
    /// One that belongs to the unprivileged user. `None`, after a loud line, where that is not permitted.
    pub fn new(mebibytes: u32) -> Option<Self> {
        let folder = Folder::new();
        let mount =
            format!("mount -t tmpfs -o size={mebibytes}m,mode=700,uid=nobody,gid=nogroup small \"$1\"");
        let namespace = Namespace::new("mnt", &mount, folder.path())?;
        Some(Self { namespace, folder })
    }

    /// Where it is, for programs within it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command that sees it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// If it cannot be written at all.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file can be made");
        for piece in [vec![0; 1 << 20], vec![0; 4096], vec![0; 1]] {
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Panics
    /// If it took nothing.
    pub fn clear(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    /// Seen from outside.
    fn ballast(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.namespace.holder.id()));
        let path = self.path().strip_prefix("/").expect("an absolute path");
        root.join(path).join("ballast")
    }
}
