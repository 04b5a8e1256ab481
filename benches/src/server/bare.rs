//! What no program on this machine can be faster than: a large message written from memory into a socket, through TLS
//! or not, by a thread that does nothing else.
//!
//! It runs as a child of the measurement, so that it is measured as the others are. Start at [`start`] and [`serve`].

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Frontend, Refill, Server, folder};
use crate::corpus::{Corpus, Kind, Maildrop, Plan};
use crate::pair::Pair;
use crate::process::{Ending, Process};

/// Arguments of the child.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder with the certificate.
    #[arg(long)]
    folder: PathBuf,
    /// What the messages are made of.
    #[arg(long)]
    seed: u64,
    #[command(flatten)]
    plan: Plan,
}

/// Starts it.
pub(crate) async fn start(within: &Path, seed: u64, corpus: &Corpus) -> anyhow::Result<Server> {
    let folder = folder(within, "bare")?;
    let mut arguments = vec![
        "bare".to_owned(),
        "--folder".to_owned(),
        within.display().to_string(),
        "--seed".to_owned(),
        seed.to_string(),
    ];
    arguments.extend(corpus.plan().arguments());
    let program = std::env::current_exe()?;
    let mut process = Process::start(&program, &arguments, &folder.join("log"), Ending::Kill)?;
    let ports = process.ports(2).await.context("the bare writer")?;
    let client = Pair::of(within).client()?;
    Ok(Server {
        name: "bare",
        frontends: vec![Frontend::new(process, ports[0], ports[1], client)],
        beside: None,
        lmtp: None,
        refill: Refill::Never,
    })
}

/// Serves until it is ended. Its parent reads the ports that it prints.
pub(crate) fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let maildrop = Maildrop {
        kind: Kind::Large,
        nth: 0,
    };
    let corpus = Corpus::new(arguments.seed, arguments.plan);
    // All maildrops of the kind have the same message.
    let wire = corpus.message(maildrop, 0).wire.clone();
    let config = Pair::of(&arguments.folder).server()?;
    let plain = TcpListener::bind("127.0.0.1:0")?;
    let tls = TcpListener::bind("127.0.0.1:0")?;
    for listener in [&plain, &tls] {
        println!("{{\"address\":\"{}\"}}", listener.local_addr()?);
    }
    let octets = wire.clone();
    std::thread::spawn(move || {
        each(&plain, move |mut stream| stream.write_all(&octets));
    });
    each(&tls, move |stream| through_tls(stream, &config, &wire));
    Ok(())
}

/// Gives every connection to a thread of its own. A client that breaks off ends it.
fn each(listener: &TcpListener, write: impl Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static) {
    while let Ok((stream, _)) = listener.accept() {
        let write = write.clone();
        std::thread::spawn(move || write(stream));
    }
}

fn through_tls(stream: TcpStream, config: &Arc<ServerConfig>, wire: &[u8]) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(wire)?;
    stream.conn.send_close_notify();
    stream.flush()
}
