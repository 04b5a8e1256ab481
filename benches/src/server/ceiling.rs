//! What no server can be faster than: the same octets from memory, without storage, lock or hash.
//!
//! Start at [`serve`].

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::child::Arguments;
use crate::corpus::{Corpus, Maildrop};
use crate::pair::Pair;

/// Answers are collected up to this before they are sent.
const HIGH_WATER: usize = 64 * 1024;

/// Serves until it is ended. Its parent reads the ports that it prints.
pub(crate) async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let corpus = Arc::new(Corpus::new(arguments.seed, arguments.plan));
    let acceptor = TlsAcceptor::from(Pair::of(&arguments.folder).server()?);
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    let tls = TcpListener::bind("127.0.0.1:0").await?;
    for listener in [&plain, &tls] {
        println!("{{\"address\":\"{}\"}}", listener.local_addr()?);
    }
    loop {
        let corpus = Arc::clone(&corpus);
        tokio::select! {
            accepted = plain.accept() => {
                let stream = accepted?.0;
                tokio::spawn(async move { session(quick(stream)?, &corpus).await });
            }
            accepted = tls.accept() => {
                let (stream, acceptor) = (accepted?.0, acceptor.clone());
                tokio::spawn(async move { session(acceptor.accept(quick(stream)?).await?, &corpus).await });
            }
        }
    }
}

fn quick(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One session. A client that breaks off ends it.
async fn session<S>(mut stream: S, corpus: &Corpus) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Vec::with_capacity(4_096);
    let mut maildrop = None;
    stream.write_all(b"+OK\r\n").await?;
    stream.flush().await?;
    let mut out = String::new();
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        let mut taken = 0;
        while let Some(end) = memchr::memchr(b'\n', &input[taken..]) {
            let line = String::from_utf8_lossy(&input[taken..taken + end]).into_owned();
            taken += end + 1;
            if line.starts_with("QUIT") {
                out.push_str("+OK\r\n");
                stream.write_all(out.as_bytes()).await?;
                stream.flush().await?;
                return stream.shutdown().await;
            }
            if let Some(name) = line.strip_prefix("USER ") {
                maildrop = Maildrop::of_name(name.trim_end());
            }
            answer(&mut stream, &mut out, corpus, maildrop, line.trim_end()).await?;
        }
        stream.write_all(out.as_bytes()).await?;
        stream.flush().await?;
        out.clear();
        input.drain(..taken);
    }
}

/// Puts the answer to a line into `out`, which is sent before what is long.
async fn answer<S>(
    stream: &mut S,
    out: &mut String,
    corpus: &Corpus,
    maildrop: Option<Maildrop>,
    line: &str,
) -> std::io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let Some(maildrop) = maildrop else {
        out.push_str("-ERR\r\n");
        return Ok(());
    };
    let n = corpus.len(maildrop);
    // Writing to a string does not fail.
    let put = |out: &mut String, text: std::fmt::Arguments<'_>| out.write_fmt(text).unwrap_or(());
    if let Some(number) = line.strip_prefix("RETR ") {
        match number.parse::<usize>() {
            Ok(number) if (1..=n).contains(&number) => {
                let wire = &corpus.message(maildrop, number - 1).wire;
                out.push_str("+OK\r\n");
                if wire.len() > HIGH_WATER {
                    stream.write_all(out.as_bytes()).await?;
                    out.clear();
                    return stream.write_all(wire).await;
                }
                // The corpus is ASCII.
                out.push_str(std::str::from_utf8(wire).unwrap_or(""));
            }
            _ => out.push_str("-ERR\r\n"),
        }
    } else if line == "STAT" {
        put(out, format_args!("+OK {n} {}\r\n", corpus.octets(maildrop)));
    } else if line == "UIDL" || line == "LIST" {
        out.push_str("+OK\r\n");
        for index in 0..n {
            if line == "UIDL" {
                put(out, format_args!("{} {index:026}\r\n", index + 1));
            } else {
                let octets = corpus.message(maildrop, index).octets.len();
                put(out, format_args!("{} {octets}\r\n", index + 1));
            }
            if out.len() > HIGH_WATER {
                stream.write_all(out.as_bytes()).await?;
                out.clear();
            }
        }
        out.push_str(".\r\n");
    } else {
        out.push_str("+OK\r\n");
    }
    if out.len() > HIGH_WATER {
        stream.write_all(out.as_bytes()).await?;
        out.clear();
    }
    Ok(())
}
