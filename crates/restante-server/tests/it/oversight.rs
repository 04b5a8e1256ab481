//! Sessions that do nothing learn what became of their maildrop.

use std::time::Duration;

use restante_session::CloseReason;
use restante_telemetry::Counter;
use restante_testkit::{Account, TENANT, TestServer, eventually};
use tokio::time::sleep;

use crate::support::Held;

#[tokio::test]
async fn f03_an_idle_session_is_told_that_its_maildrop_was_taken_and_one_that_quits_meanwhile_is_not() {
    let held = Held::new();
    let probing = held.clone();
    let builder = TestServer::builder().wrap_locks(move |inner| probing.locks(inner));
    let server = builder.start().await;
    let mut idle = server.alice().await;
    let leaving = server.bob().await;
    tokio::time::pause();
    let maildrop = server.backends.id(Account::Alice).maildrop();
    assert!(server.backends.locks.supersede(maildrop).await.unwrap());

    // A busy directory is no reason to look at the locks.
    for n in 0..15 {
        let domain = format!("more-{n}.test");
        let added = server.backends.admin.add_domain(TENANT, &domain);
        added.await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(held.n_begun(), 0);

    eventually("the locks are looked at", || held.n_begun() == 1).await;
    // It holds its maildrop when the question is asked, and not any more when it is answered.
    leaving.quit().await;
    held.let_one_through();
    assert_eq!(idle.reply().await, "-ERR [SYS/TEMP] Session superseded");
    idle.expect_closed().await;
    let telemetry = &server.ports.telemetry;
    let n_ended = |reason: CloseReason| telemetry.counter(Counter::Sessions, &["trusted", reason.as_str()]);
    eventually("both have ended", || {
        n_ended(CloseReason::Quit) == 1 && n_ended(CloseReason::Superseded) == 1
    })
    .await;
}
