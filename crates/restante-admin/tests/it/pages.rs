//! Long lists in pages: nothing left out, nothing twice.

use serde_json::json;

use crate::world::{PROVIDER, World, new_account};

#[tokio::test]
async fn two_and_a_half_thousand_accounts_come_without_gap_or_double() {
    let world = World::new().await.settled().await;
    for n in 0..2_498 {
        // Names whose order is not that of their adding.
        let account = format!("u{:04}@{}.example", n * 1_009 % 2_503, ["acme", "globex"][n % 2]);
        world.directory.add_account(new_account(&account)).await.unwrap();
    }
    let (mut seen, mut after, mut n_pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = world
            .get(PROVIDER, &format!("/api/v1/accounts?limit=333{after}"))
            .await;
        let names = page.names("name");
        assert!(!names.is_empty(), "no page is empty");
        seen.extend(names);
        n_pages += 1;
        let Some(next) = page.json()["next"].as_str().map(str::to_owned) else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!((seen.len(), n_pages), (2_500, 8));
    assert!(
        seen.is_sorted_by(|one, other| one < other),
        "in the order of names, none twice"
    );
    // A name that comes between two pages neither hides nor doubles another.
    let half = world.get(PROVIDER, "/api/v1/accounts?limit=1000").await.json();
    world
        .directory
        .add_account(new_account("aaa@acme.example"))
        .await
        .unwrap();
    let next = half["next"].as_str().unwrap();
    let rest = world
        .get(PROVIDER, &format!("/api/v1/accounts?limit=1000&after={next}"))
        .await;
    assert_eq!(rest.names("name"), seen[1_000..2_000]);
}

#[tokio::test]
async fn a_page_that_is_just_full_is_the_last_one() {
    let world = World::new().await.settled().await;
    let full = world.get(PROVIDER, "/api/v1/tenants?limit=2").await.ok(200);
    assert_eq!(
        (full["items"].as_array().unwrap().len(), &full["next"]),
        (2, &json!(null))
    );
    let half = world.get(PROVIDER, "/api/v1/tenants?limit=1").await.ok(200);
    assert_eq!(half["next"], "acme");
    let rest = world
        .get(PROVIDER, "/api/v1/tenants?limit=1&after=acme")
        .await
        .ok(200);
    assert_eq!(
        (&rest["items"][0]["name"], &rest["next"]),
        (&json!("globex"), &json!(null))
    );
}

#[tokio::test]
async fn a_page_has_at_least_one_thing_and_at_most_a_thousand() {
    let world = World::new().await.settled().await;
    for (limit, n) in [("0", 1), ("1", 1), ("1000000", 2)] {
        let names = world
            .get(PROVIDER, &format!("/api/v1/tenants?limit={limit}"))
            .await
            .names("name");
        assert_eq!(names.len(), n, "{limit}");
    }
    for wrong in ["-1", "x", ""] {
        world
            .get(PROVIDER, &format!("/api/v1/tenants?limit={wrong}"))
            .await
            .problem(400, "malformed");
    }
}
