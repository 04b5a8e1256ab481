//! A Redis of the test's own, and a meddler before it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

/// A server on a socket in a directory of its own. Ends with the value.
pub(super) struct Redis {
    server: Child,
    directory: TempDir,
}

impl Redis {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Self::launch(&directory);
        Self { server, directory }
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Kills it; what it knew is gone.
    pub(super) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.server = Self::launch(&self.directory);
    }

    /// Stops it without closing its connections.
    pub(super) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(super) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn launch(directory: &TempDir) -> Child {
        let socket = directory.path().join("socket");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket);
        command.arg("--dir").arg(directory.path()).stdout(Stdio::null());
        let mut server = command
            .spawn()
            .expect("these tests need redis-server (Debian: redis-server)");
        for _ in 0..1_000 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        server.kill().unwrap();
        server.wait().unwrap();
        panic!("redis-server does not listen");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.server.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Killed before by its test, perhaps.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// A port before a Redis on which all answers are changed by `meddle`; gives its address.
pub(super) async fn meddler(
    redis: &Redis,
    meddle: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (socket, meddle) = (redis.socket(), Arc::new(meddle));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&socket).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let meddle = Arc::clone(&meddle);
            tokio::spawn(async move {
                tokio::io::copy(&mut from_client, &mut to_server).await.ok();
            });
            tokio::spawn(async move {
                let mut answer = vec![0; 4_096];
                while let Ok(length @ 1..) = from_server.read(&mut answer).await {
                    if to_client
                        .write_all(&meddle(answer[..length].to_vec()))
                        .await
                        .is_err()
                    {
                        break;
                    }
                }
            });
        }
    });
    url
}
