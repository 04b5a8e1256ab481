//! What is behind the frontends goes away, hangs or talks nonsense: logins fail closed or go on, and nobody is punished.

use restante_testkit::Fault;

use crate::support::{ALICE, Fleet, Layout, PASSWORD, eventually};

const REFUSED: &str = "-ERR [AUTH] Authentication failed";
const TOO_MANY: &str = "-ERR [SYS/TEMP] Too many attempts, try later";
const NOT_NOW: &str = "-ERR [SYS/TEMP] Service temporarily unavailable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_without_postgres_logins_wait_and_sessions_stay_and_no_guess_counts() {
    for pooled in [false, true] {
        let layout = Layout {
            pooled,
            n_frontends: 1,
            ..Layout::default()
        };
        let Some(fleet) = Fleet::of(layout).await else {
            return;
        };
        fleet.account("bob@acme.example", PASSWORD);
        fleet.deliver("bob@acme.example", b"Subject: kept\r\n\r\n");
        let (mut idle, reply) = fleet.log_in(0, "bob@acme.example", PASSWORD);
        assert!(reply.starts_with("+OK"), "{reply}");
        for fault in [Fault::Reject, Fault::BlackHole] {
            fleet.to_database.set(&fault);
            // More than would close an account's password.
            let mut strangers: Vec<_> = (0..22).map(|_| fleet.stranger(0)).collect();
            for (nth, stranger) in strangers.iter_mut().enumerate() {
                stranger.ok(&format!("USER {ALICE}"));
                stranger.send(&format!("PASS guess {nth}\r\n"));
            }
            for stranger in &mut strangers {
                assert_eq!(stranger.line(), NOT_NOW, "{fault:?}");
            }
            assert_eq!(idle.stat().0, 1, "{fault:?}");
            idle.ok("NOOP");
        }
        fleet.to_database.set(&Fault::Pass);
        eventually("the frontend recovers", || {
            let mut stranger = fleet.stranger(0);
            let reply = stranger.try_login(ALICE, PASSWORD);
            assert_ne!(reply, REFUSED, "no guess was judged, none counts");
            reply.starts_with("+OK") && stranger.ask("QUIT").starts_with("+OK")
        });
        assert_eq!(idle.retr(1), b"Subject: kept\r\n\r\n");
        idle.ok("QUIT");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_without_redis_the_frontends_go_by_their_own_limits() {
    for fault in [Fault::Reject, Fault::BlackHole, Fault::Garble] {
        let Some(fleet) = Fleet::start().await else {
            return;
        };
        fleet.account("bob@acme.example", PASSWORD);
        // A connection that is broken in its use, not before.
        assert!(fleet.stranger(0).try_login(ALICE, PASSWORD).starts_with("+OK"));
        fleet.to_redis.set(&fault);
        let mut bob = fleet.stranger(0);
        let reply = bob.try_login("bob@acme.example", PASSWORD);
        assert!(reply.starts_with("+OK"), "{fault:?}: {reply}");
        bob.ok("QUIT");
        // Not open: as many guesses as close a password close it.
        fleet.close_password("bob@acme.example", &[0]);
        let reply = fleet.stranger(0).try_login("bob@acme.example", PASSWORD);
        assert_eq!(reply, TOO_MANY, "{fault:?}: guarded");
        // Not closed: the others, and the other frontend, go on.
        let reply = fleet.stranger(1).try_login("bob@acme.example", PASSWORD);
        assert!(reply.starts_with("+OK"), "{fault:?}: {reply}");
    }
}
