//! PgBouncer 1.18 in transaction mode, the harshest that operators have.

use std::sync::Arc;

use restante_lock::{LockError, LockManager};
use restante_postgres::{LeaseOptions, Pg, PgError, PgMailIndex, PgOptions, Pooler};
use restante_store::{MailIndex, Quota};
use restante_types::{MaildropId, Octets, Secret};

use restante_testkit::PgBouncer;

use crate::scene::{
    Scene, add_maildrop, add_tenant, bouncer, clock, deliver, empty, migrated, options, session, start,
};

const STATEMENTS: u64 = 16_000;
const CALLERS: u64 = 16;

fn through(bouncer: &PgBouncer, pooler: Pooler) -> PgOptions {
    PgOptions {
        pooler,
        ..options(&bouncer.url())
    }
}

#[tokio::test]
async fn f31_a_wrong_setting_is_refused_at_start_with_the_right_one_named() {
    let database = migrated().await;
    let bouncer = bouncer(&database).await;
    for set in [Pooler::None, Pooler::Prepared] {
        let error = Pg::open(&through(&bouncer, set)).await.unwrap_err();
        assert!(matches!(error, PgError::WrongPooler { .. }), "{set:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("set database.pooler = \"transaction\""), "{text}");
        assert!(!text.contains(&bouncer.url()), "{text}");
    }
    Pg::open(&through(&bouncer, Pooler::Transaction)).await.unwrap();
}

/// Each maildrop's quota is its number, so an answer says whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f31_of_mixed_statements_each_gets_its_own_answer() {
    let scene = Scene::pooled().await;
    let mut conn = scene.connect().await;
    let tenant = add_tenant(&mut conn, std::time::Duration::ZERO).await;
    let mut maildrops: Vec<MaildropId> = Vec::new();
    for n in 1..=20 {
        let quota = Quota {
            messages: Some(n),
            octets: Some(Octets(n * 1000)),
        };
        maildrops.push(add_maildrop(&mut conn, tenant, quota).await);
        scene.db.storage_id(&format!("storage {n}")).await.unwrap();
    }
    let maildrops: Arc<[MaildropId]> = maildrops.into();
    let locks = scene.frontend("a").await;
    let mut fences = Vec::new();
    for maildrop in maildrops.iter() {
        fences.push(locks.open(*maildrop, session(1)).await.unwrap());
    }
    let fences: Arc<[_]> = fences.into();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (db, locks, index) = (scene.db.clone(), locks.clone(), scene.index());
            let (maildrops, fences) = (Arc::clone(&maildrops), Arc::clone(&fences));
            tokio::spawn(async move {
                for n in 0..STATEMENTS / CALLERS {
                    let at = usize::try_from((caller * 7 + n) % 20).unwrap();
                    let nth = u64::try_from(at).unwrap() + 1;
                    match n % 4 {
                        0 => {
                            let id = db.storage_id(&format!("storage {nth}")).await.unwrap();
                            let name = db.storage_name(id).await.unwrap();
                            assert_eq!(name, Some(format!("storage {nth}")));
                        }
                        1 => {
                            let listing = index.snapshot(&fences[at]).await.unwrap();
                            assert!(listing.bodies.is_empty());
                        }
                        2 => assert!(locks.probe(&[fences[at]]).await.unwrap().is_empty()),
                        _ => {
                            let (_, quota) = index.usage(maildrops[at]).await.unwrap();
                            assert_eq!(
                                (quota.messages, quota.octets),
                                (Some(nth), Some(Octets(nth * 1000)))
                            );
                        }
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn f33_migrations_go_past_the_pooler_or_say_what_is_missing() {
    let database = empty().await;
    let bouncer = bouncer(&database).await;
    let mut options = through(&bouncer, Pooler::Transaction);
    let error = Pg::migrate(&options).await.unwrap_err();
    assert!(matches!(error, PgError::NoDirectUrl), "{error}");
    assert!(error.to_string().contains("database.direct_url"), "{error}");
    let error = Pg::open(&options).await.unwrap_err();
    assert!(matches!(error, PgError::NotMigrated { .. }), "{error}");
    options.direct_url = Some(Secret::new(database.url()));
    assert!(!Pg::migrate(&options).await.unwrap().is_empty());
    assert!(Pg::open(&options).await.unwrap().direct().is_some());
}

#[tokio::test]
async fn f33_without_a_direct_url_there_is_no_direct_way_and_locks_work_all_the_same() {
    let scene = Scene::pooled().await;
    let maildrop = scene.maildrop().await;
    let bouncer = scene.bouncer.as_ref().unwrap();
    let db = Pg::open(&through(bouncer, Pooler::Transaction)).await.unwrap();
    assert!(db.direct().is_none());
    let one = start(&db, "one", LeaseOptions::default()).await;
    let two = scene.frontend("two").await;
    let index = PgMailIndex::new(&db, clock());
    deliver(&index, maildrop).await.unwrap();
    let fence = one.open(maildrop, session(1)).await.unwrap();
    one.heartbeat().await.unwrap();
    let refused = two.open(maildrop, session(2)).await;
    assert!(matches!(refused, Err(LockError::InUse)), "{refused:?}");
    assert_eq!(index.snapshot(&fence).await.unwrap().bodies.len(), 1);
    one.release(&fence).await.unwrap();
    two.open(maildrop, session(2)).await.unwrap();
}
