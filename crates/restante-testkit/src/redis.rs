//! A real Redis on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::service::{Folder, Service, free_port, unprivileged};
use crate::{PATIENCE, require};

/// A running Redis that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    service: Mutex<Option<Service>>,
    port: u16,
    folder: Folder,
}

impl Redis {
    /// Starts one; `None`, after a loud line, without it on this host.
    ///
    /// # Panics
    /// If it cannot be started, or is missing where everything is required.
    pub async fn start() -> Option<Self> {
        require::program("redis-server", "redis-server")?;
        let redis = Self {
            service: Mutex::new(None),
            port: free_port(),
            folder: Folder::new(),
        };
        redis.start_again().await;
        Some(redis)
    }

    /// How to connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills it; what it knew is gone.
    pub fn kill(&self) {
        self.service().take();
    }

    /// Starts it on the same port after [`Redis::kill`], and waits until it answers.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub async fn start_again(&self) {
        let program = require::program("redis-server", "redis-server").expect("it was found before");
        let port = self.port.to_string();
        let folder = self.folder.path().display().to_string();
        let mut command = unprivileged(&program);
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &folder,
        ]);
        let log = self.folder.path().join("log");
        *self.service() = Some(Service::start(command, &log));
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            assert!(Instant::now() < deadline, "Redis does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it from answering; connections stay open.
    pub fn pause(&self) {
        if let Some(service) = &*self.service() {
            service.signal(Signal::STOP);
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        if let Some(service) = &*self.service() {
            service.signal(Signal::CONT);
        }
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.write_all(b"PING\r\n")?;
            let mut reply = [0; 7];
            stream.read_exact(&mut reply)?;
            Ok(&reply == b"+PONG\r\n")
        };
        ask().unwrap_or(false)
    }

    fn service(&self) -> std::sync::MutexGuard<'_, Option<Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_dies_and_comes_back_on_the_same_port() {
        let Some(redis) = Redis::start().await else {
            return;
        };
        assert!(redis.answers());
        redis.kill();
        assert!(!redis.answers());
        redis.start_again().await;
        assert!(redis.answers());
    }
}
