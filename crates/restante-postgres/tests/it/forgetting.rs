//! What the database forgets by itself, so that it does not grow by what nobody can ask for any more.

use std::time::Duration;

use restante_store::{BlobLedger, MailIndex, NewMessage, REPEAT_WINDOW};

use crate::scene::{STORAGE, Scene, clock, deliver, message};

const WEEK: Duration = Duration::from_hours(7 * 24);

async fn count(scene: &Scene, statement: &'static str) -> i64 {
    let mut conn = scene.connect().await;
    sqlx::query_scalar(statement).fetch_one(&mut conn).await.unwrap()
}

#[tokio::test]
async fn what_came_to_be_deduplicated_is_remembered_for_a_day() {
    const REMEMBERED: &str = "SELECT count(*) FROM recent_message";
    let scene = Scene::new().await;
    let (index, maildrop) = (scene.index(), scene.maildrop().await);
    deliver(&index, maildrop).await.unwrap();
    assert_eq!(count(&scene, REMEMBERED).await, 0, "nobody asked for it");
    let blob = index.reserve(maildrop, STORAGE).await.unwrap();
    let message = NewMessage {
        deduplicate: true,
        ..message(blob)
    };
    let received = message.received;
    index.deliver(maildrop, message).await.unwrap();
    for (age, expected) in [(REPEAT_WINDOW / 2, 1), (REPEAT_WINDOW * 2, 0)] {
        index.condemned(received + age, 1).await.unwrap();
        assert_eq!(count(&scene, REMEMBERED).await, expected);
    }
}

#[tokio::test]
async fn what_became_of_a_session_is_remembered_for_a_week() {
    const LOGGED: &str = "SELECT count(*) FROM update_log";
    let scene = Scene::new().await;
    scene
        .write("INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at) VALUES (decode(repeat('07', 16), 'hex'), 1, 1, 0, clock_timestamp())")
        .await;
    for (age, expected) in [(WEEK / 2, 1), (WEEK * 2, 0)] {
        scene.index().condemned(clock().wall() + age, 1).await.unwrap();
        assert_eq!(count(&scene, LOGGED).await, expected);
    }
}
