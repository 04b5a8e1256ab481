use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use restante_types::TenantId;

use super::*;
use crate::NameKey;

const PATIENT: Duration = Duration::from_mins(1);

fn place(tenant: i64, name: u8, network: u8) -> Place {
    Place {
        tenant: TenantId::new(tenant),
        name: (name > 0).then_some(NameKey([name; 16])),
        network: IpAddr::V4(Ipv4Addr::new(192, 0, network, 0)),
    }
}

fn order(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
    let mut order = Vec::new();
    while let Some(turn) = queue.next() {
        queue.done(turn.place.as_ref());
        order.push(turn.work);
    }
    order
}

#[test]
fn a_tenant_with_10_000_waiting_logins_delays_another_by_one_turn() {
    let mut queue = Queue::new(20_000);
    for _ in 0..10_000 {
        queue.push(place(1, 0, 1), "many").unwrap();
    }
    for work in ["second", "fourth"] {
        queue.push(place(2, 0, 2), work).unwrap();
    }
    queue.push(place(0, 0, 3), "unknown").unwrap();
    let order = order(&mut queue);
    assert_eq!(
        order[..6],
        ["many", "second", "unknown", "many", "fourth", "many"]
    );
    assert_eq!(order.len(), 10_003);
}

#[test]
fn one_verification_per_account_and_two_per_network_run_at_a_time() {
    let mut queue = Queue::new(10);
    queue.push(place(1, 1, 1), "first").unwrap();
    queue.push(place(1, 1, 2), "same account").unwrap();
    queue.push(place(1, 2, 1), "second of the network").unwrap();
    queue.push(place(2, 3, 1), "third of the network").unwrap();
    let first = queue.next().unwrap();
    assert_eq!(first.work, "first");
    let third = queue.next().unwrap();
    assert_eq!(
        third.work, "third of the network",
        "it is the turn of the other tenant"
    );
    assert!(
        queue.next().is_none(),
        "one waits for the account, one for the network"
    );
    queue.done(first.place.as_ref());
    assert_eq!(queue.next().unwrap().work, "same account");
    assert_eq!(queue.next().unwrap().work, "second of the network");
    assert_eq!((queue.waiting(), queue.running()), (0, 3));
}

#[test]
fn a_full_queue_takes_from_the_tenant_that_has_most_waiting() {
    let mut queue = Queue::new(3);
    for work in ["first", "second", "third"] {
        queue.push(place(1, 0, 1), work).unwrap();
    }
    assert_eq!(
        queue.push(place(1, 0, 1), "fourth"),
        Err("fourth"),
        "nobody gives way to the same tenant"
    );
    let (_, gave_way) = queue.push(place(2, 0, 2), "other").unwrap();
    assert_eq!(gave_way, Some("third"), "the newest of the longest lane");
    assert_eq!(
        queue.push(place(2, 0, 2), "again"),
        Err("again"),
        "no lane gives way to one as long"
    );
    assert_eq!(order(&mut queue), ["first", "other", "second"]);
}

#[test]
fn work_of_low_priority_waits_for_everything_else_and_is_bounded() {
    let mut queue = Queue::new(3);
    assert!((0..64).all(|_| queue.push_later("later").is_ok()));
    assert_eq!(queue.push_later("too much"), Err("too much"));
    let (ticket, _) = queue.push(place(1, 1, 1), "withdrawn").unwrap();
    queue.push(place(1, 1, 1), "first").unwrap();
    assert_eq!(queue.withdraw(ticket), Some("withdrawn"));
    assert_eq!(queue.withdraw(ticket), None);
    let first = queue.next().unwrap();
    queue.push(place(1, 1, 1), "second").unwrap();
    assert!(queue.next().is_none(), "something waits, if only for its account");
    queue.done(first.place.as_ref());
    assert_eq!(order(&mut queue)[..2], ["second", "later"]);
}

/// A gate with one thread, which is kept busy until the sender goes.
async fn busy_gate(queue: usize, wait: Duration) -> (Arc<HashGate>, mpsc::Sender<()>) {
    let gate = Arc::new(HashGate::new(GateLimits {
        permits: 1,
        queue,
        wait,
    }));
    let (finish, finished) = mpsc::channel::<()>();
    assert!(gate.run_later(move || assert!(finished.recv().is_err())));
    until(
        &gate,
        GateLoad {
            running: 1,
            waiting: 0,
        },
    )
    .await;
    (gate, finish)
}

async fn until(gate: &HashGate, load: GateLoad) {
    let reached = async {
        while gate.load() != load {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENT, reached).await.unwrap();
}

#[tokio::test]
async fn the_queue_is_bounded_and_waiting_ends() {
    let (gate, finish) = busy_gate(1, Duration::from_millis(20)).await;
    let waiting = gate.run(place(1, 1, 1), || ());
    let refused = async {
        until(
            &gate,
            GateLoad {
                running: 1,
                waiting: 1,
            },
        )
        .await;
        gate.run(place(1, 2, 2), || ()).await
    };
    let (waiting, refused) = tokio::join!(waiting, refused);
    assert_eq!(refused, Err(GateBusy), "the queue has one place");
    assert_eq!(waiting, Err(GateBusy), "waiting has an end");
    assert_eq!(
        gate.load(),
        GateLoad {
            running: 1,
            waiting: 0
        }
    );
    drop(finish);
    until(&gate, GateLoad::default()).await;
    assert_eq!(gate.run(place(1, 1, 1), || 7).await, Ok(7), "places come back");
}

#[tokio::test]
async fn a17_the_work_of_a_cancelled_caller_is_not_run_and_takes_no_place() {
    let (gate, finish) = busy_gate(1, PATIENT).await;
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..1_000 {
        let runs = Arc::clone(&runs);
        let work = gate.run(place(1, 1, 1), move || runs.fetch_add(1, Ordering::Relaxed));
        tokio::select! {
            biased;
            _ = work => unreachable!("the only thread is busy"),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(
        gate.load(),
        GateLoad {
            running: 1,
            waiting: 0
        }
    );
    drop(finish);
    assert_eq!(gate.run(place(1, 1, 1), || 7).await, Ok(7));
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_panic_is_an_answer_to_its_caller_alone() {
    let gate = HashGate::new(GateLimits {
        permits: 1,
        queue: 1,
        wait: PATIENT,
    });
    let died = gate.run(place(1, 1, 1), || panic!("a test of panics")).await;
    assert_eq!(died, Err::<(), _>(GateBusy));
    let thread = || std::thread::current().name().map(String::from);
    assert_eq!(
        gate.run(place(1, 1, 1), thread).await,
        Ok(Some("hash-0".into())),
        "the thread lives on"
    );
}

#[tokio::test]
async fn a_1000_logins_at_once_never_run_more_than_the_permits_or_two_of_a_network() {
    let gate = HashGate::new(GateLimits {
        permits: 4,
        queue: 1_000,
        wait: PATIENT,
    });
    let counts: Arc<[AtomicUsize; 3]> = Arc::default();
    let peaks: Arc<[AtomicUsize; 3]> = Arc::default();
    let logins = (0..1_000_u16).map(|number| {
        let network = u8::try_from(number % 2).unwrap();
        let name = u8::try_from(number % 200).unwrap();
        let (counts, peaks) = (Arc::clone(&counts), Arc::clone(&peaks));
        gate.run(place(i64::from(number % 7), name, network), move || {
            for at in [usize::from(network), 2] {
                let now = counts[at].fetch_add(1, Ordering::SeqCst) + 1;
                peaks[at].fetch_max(now, Ordering::SeqCst);
            }
            std::thread::yield_now();
            for at in [usize::from(network), 2] {
                counts[at].fetch_sub(1, Ordering::SeqCst);
            }
        })
    });
    let mut tasks: Vec<_> = logins.map(Box::pin).collect();
    for login in &mut tasks {
        // Polled once, each stands in the queue.
        tokio::select! {
            biased;
            _ = login => {}
            () = std::future::ready(()) => {}
        }
    }
    until(&gate, GateLoad::default()).await;
    let peaks: Vec<_> = peaks.iter().map(|peak| peak.load(Ordering::SeqCst)).collect();
    assert!(
        peaks[0] <= 2 && peaks[1] <= 2 && (1..=4).contains(&peaks[2]),
        "{peaks:?}"
    );
}

#[tokio::test]
async fn the_threads_end_with_the_gate() {
    let (gate, finish) = busy_gate(1, PATIENT).await;
    let shared = Arc::downgrade(&gate.shared);
    assert!(gate.run_later(|| unreachable!("the gate is gone before")));
    drop(gate);
    drop(finish);
    let ended = async {
        while shared.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENT, ended).await.unwrap();
}
