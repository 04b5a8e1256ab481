//! The process runs out of file descriptors: clients are told, nothing spins, service resumes. A file of its own,
//! because the limit is the whole process's.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use restante_net::{
    AcceptEvent, AcceptRules, BudgetLimits, ConnectionBudget, Drain, ListenerSpec, ProxyPolicy, bind,
    open_file_limit, raise_open_file_limit, serve,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const REFUSAL: &[u8] = b"-ERR [SYS/TEMP] Too many connections\r\n";
const LIMIT: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(20);

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("CPU time is never negative")
}

fn limit_to(n_files: u64, hard: Option<u64>) {
    let limit = Rlimit {
        current: Some(n_files),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, limit).expect("a lower limit is always allowed");
}

/// A client that has been served.
async fn greeted(address: SocketAddr) -> TcpStream {
    let mut greeting = [0; 5];
    let mut client = TcpStream::connect(address).await.expect("connect");
    timeout(PATIENCE, client.read_exact(&mut greeting))
        .await
        .expect("no service")
        .expect("greeting");
    assert_eq!(&greeting, b"+OK\r\n");
    client
}

/// Watches the process for a second in which it has nothing it could do.
async fn assert_at_rest() {
    let watch = Duration::from_secs(1);
    let before = cpu_time();
    tokio::time::sleep(watch).await;
    let used = cpu_time().saturating_sub(before);
    assert!(used < watch / 20, "used {used:?} of {watch:?}");
}

#[tokio::test]
async fn f20_out_of_descriptors_clients_are_told_nothing_spins_and_service_resumes() {
    let hard = getrlimit(Resource::Nofile).maximum;
    limit_to(LIMIT, hard);
    assert_eq!(open_file_limit(), Some(LIMIT));

    let limits = BudgetLimits {
        total: 10_000,
        per_client: 10_000,
        unauthenticated: 10_000,
    };
    let n_exhausted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_exhausted);
    let rules = AcceptRules {
        proxy: ProxyPolicy::default(),
        budget: ConnectionBudget::new(limits),
        refusal: REFUSAL.into(),
        on_event: Arc::new(move |event| {
            if event == AcceptEvent::DescriptorsExhausted {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }),
    };
    let listener = bind(&ListenerSpec::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
    let address = listener.tcp_address().unwrap();
    tokio::spawn(serve(listener, rules, Drain::new(), |mut accepted| async move {
        accepted.stream.write_all(b"+OK\r\n").await.unwrap();
        // Holds the connection until the client goes.
        accepted.stream.read_to_end(&mut Vec::new()).await.unwrap();
    }));

    let served = greeted(address).await;
    // Both ends live in this process: take every descriptor, then give back the one that the next client needs.
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.pop();
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut told = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut told))
        .await
        .expect("no answer")
        .unwrap();
    assert_eq!(told, REFUSAL);
    assert!(n_exhausted.load(Ordering::Relaxed) >= 1);
    assert_at_rest().await;

    // Now not even the descriptor in reserve helps: a client waits, cannot be told, and nobody may spin over it.
    hoard.pop();
    let waiting = std::net::TcpStream::connect(address).unwrap();
    limit_to(3, hard);
    assert_at_rest().await;
    limit_to(LIMIT, hard);

    drop((hoard, client, waiting, served));
    greeted(address).await;

    assert_eq!(raise_open_file_limit(), hard);
}
