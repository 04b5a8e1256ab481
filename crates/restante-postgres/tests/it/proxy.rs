//! Stands between the crate and Postgres and makes trouble on demand.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Trouble {
    /// Which of the coming answers is swallowed, and its connection cut; 0 is none.
    swallow: AtomicU32,
    /// Nothing passes in either direction, and nobody is told.
    is_black_hole: AtomicBool,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    trouble: Arc<Trouble>,
}

impl Proxy {
    pub(crate) async fn start(url: &str) -> Self {
        let server = PgConnectOptions::from_str(url).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!(
            "postgres://{}@127.0.0.1:{port}/{}?sslmode=disable",
            server.get_username(),
            server.get_database().unwrap()
        );
        let trouble = Arc::new(Trouble::default());
        let to = (server.get_host().to_owned(), server.get_port());
        tokio::spawn(serve(listener, to, Arc::clone(&trouble)));
        Self { url, trouble }
    }

    /// Swallows the `nth` answer from now, counted from 1, and cuts its connection.
    pub(crate) fn swallow(&self, nth: u32) {
        self.trouble.swallow.store(nth, Ordering::SeqCst);
    }

    /// Whether the answer to be swallowed has come; none is swallowed any more.
    pub(crate) fn has_swallowed(&self) -> bool {
        self.trouble.swallow.swap(0, Ordering::SeqCst) == 0
    }

    pub(crate) fn black_hole(&self, is_so: bool) {
        self.trouble.is_black_hole.store(is_so, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, to: (String, u16), trouble: Arc<Trouble>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect((to.0.as_str(), to.1)).await else {
            continue;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let asking = tokio::spawn(questions(from_client, to_server, Arc::clone(&trouble)));
        let trouble = Arc::clone(&trouble);
        tokio::spawn(async move {
            answers(from_server, to_client, &trouble).await;
            asking.abort();
        });
    }
}

async fn questions(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trouble: Arc<Trouble>) {
    let mut octets = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut octets).await {
        if !trouble.is_black_hole.load(Ordering::SeqCst) && to.write_all(&octets[..read]).await.is_err() {
            break;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trouble: &Trouble) {
    let mut octets = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut octets).await {
        let count = |left: u32| left.checked_sub(1);
        if trouble
            .swallow
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count)
            == Ok(1)
        {
            break;
        }
        if !trouble.is_black_hole.load(Ordering::SeqCst) && to.write_all(&octets[..read]).await.is_err() {
            break;
        }
    }
}
