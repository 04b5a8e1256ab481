//! Nothing of a test process is left when it was killed.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use restante_testkit::{Redis, eventually};

/// Set in the process that is to be killed.
const VICTIM: &str = "RESTANTE_TESTKIT_VICTIM";
const NAME: &str = "leftovers::a_killed_process_leaves_no_server_and_no_folder";

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_folder() {
    if std::env::var_os(VICTIM).is_some() {
        return be_killed().await;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VICTIM, "1")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.ok()?.split_once("redis at ")?.1.to_owned()));
    let found = url.as_deref().and_then(port_of);
    if let Some(port) = found {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(entries(folder.path()), 1);
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    // Without Redis on this host the victim has ended by itself.
    if let Some(port) = found {
        eventually("the server has ended", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
        })
        .await;
    }
    eventually("the folder is empty", || entries(folder.path()) == 0).await;
}

#[expect(clippy::print_stdout, reason = "the other process reads it")]
async fn be_killed() {
    let Some(redis) = Redis::start().await else { return };
    println!("redis at {}", redis.url());
    std::future::pending::<()>().await;
}

fn port_of(url: &str) -> Option<u16> {
    let authority = url.strip_prefix("redis://")?.split('/').next()?;
    authority.rsplit(':').next()?.parse().ok()
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
