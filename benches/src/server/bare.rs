//! What no program on this machine can be faster than: a large message written from memory into a socket, through TLS
//! or not, by a thread that does nothing else.
//!
//! Start at [`serve`].

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::child::Arguments;
use crate::corpus::{Corpus, Kind, Maildrop};
use crate::pair::Pair;

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
