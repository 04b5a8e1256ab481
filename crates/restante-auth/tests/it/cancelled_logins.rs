//! Logins that nobody waits for any more, and those that wait for others of their network.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use restante_auth::LoginContext;
use restante_testkit::eventually;
use restante_types::ClientAddr;

use crate::world::{ALICE, BOB, CARL, PASSWORD, World, claim, context, told};

/// Polls a future so many times at most, then drops it.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(cx).map(Some);
        if left == 0 && polled.is_pending() {
            return Poll::Ready(None);
        }
        polled
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_logins_dropped_at_every_await_never_lend_an_identity_and_leave_the_gate_empty() {
    let world = Arc::new(World::new().await);
    world.switch.set_delay(Duration::from_millis(1));
    let users = [
        (ALICE, Ok(world.id(ALICE).await)),
        (BOB, Ok(world.id(BOB).await)),
        (CARL, Ok(world.id(CARL).await)),
        ("nobody@one.example", Err("refused")),
    ];
    let logins = (0..200).map(|n| {
        let (world, (name, expected)) = (Arc::clone(&world), users[n % users.len()]);
        tokio::spawn(async move {
            let context = context();
            // Every third one is a guess, so that not everything is cached.
            let password = if n % 3 == 0 {
                format!("guess {n}").into_bytes()
            } else {
                PASSWORD.to_vec()
            };
            let expected = if n % 3 == 0 { Err("refused") } else { expected };
            let login = world.authenticator.verify(claim(name, &password), None, &context);
            let times = if n % 2 == 0 { 1 + n / 2 % 6 } else { usize::MAX };
            let verdict = polled(times, login).await;
            if let Some(verdict) = &verdict {
                assert_eq!(told(verdict), expected, "{name}");
            }
            verdict.is_some()
        })
    });
    let mut n_finished = 0;
    for login in logins.collect::<Vec<_>>() {
        n_finished += usize::from(login.await.unwrap());
    }
    assert!(
        (100..200).contains(&n_finished),
        "some were dropped: {n_finished}"
    );
    let idle = Arc::clone(&world);
    eventually("the gate is empty", move || {
        let load = idle.authenticator.load();
        load.running + load.waiting == 0
    })
    .await;
    for (name, expected) in users {
        assert_eq!(world.log_in(name, PASSWORD).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a11_a_crowd_of_one_network_leaves_the_directory_to_others() {
    let world = Arc::new(World::new().await);
    world.switch.set_delay(Duration::from_hours(1));
    let log_in = |n: u8, network: &str| {
        let (world, client) = (Arc::clone(&world), format!("{network}{n}:4711"));
        tokio::spawn(async move {
            let context = LoginContext {
                client: ClientAddr::new(client.parse().unwrap()),
                ..context()
            };
            let name = format!("nobody{n}@one.example");
            world.verify_on(claim(&name, b"guess"), &context).await
        })
    };
    let mut logins: Vec<_> = (0..100).map(|n| log_in(n, "192.0.2.")).collect();
    eventually("some are looked up", || world.switch.n_look_ups() > 0).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let asked = world.switch.n_look_ups();
    assert!((1..=8).contains(&asked), "{asked} at the same time");
    logins.push(log_in(100, "198.51.100."));
    eventually("another network is served", || {
        world.switch.n_look_ups() == asked + 1
    })
    .await;
    for login in logins {
        login.abort();
    }
}
