//! The audit and its filters.

use serde_json::{Value, json};

use crate::world::{PROVIDER, World};

#[tokio::test]
async fn lines_are_found_by_tenant_account_and_action() {
    let world = World::new().await.settled().await;
    let get = async |query: &str| world.get(PROVIDER, &format!("/api/v1/audit{query}")).await;
    let all = get("").await;
    assert_eq!(all.names("action").len(), 8);
    assert_eq!(all.names("action")[0], "alias-added", "newest first");
    assert_eq!(get("?tenant=acme").await.names("action").len(), 4);
    assert_eq!(
        get("?account=ann@acme.example").await.names("action"),
        ["alias-added", "account-added"]
    );
    let added = get("?action=tenant-added").await;
    assert_eq!(added.names("detail"), ["globex", "acme"]);
    let line = &get("?tenant=acme&action=account-added").await.json()["items"][0];
    let by_key = format!(
        "?tenant_id={}&account_id={}",
        line["tenant_id"], line["account_id"]
    );
    assert_eq!(get(&by_key).await.names("action").len(), 2);
    assert_eq!(
        (&line["actor"], &line["client"]),
        (&json!("system"), &Value::Null)
    );
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_said() {
    let world = World::new().await.settled().await;
    let get = async |query: &str| world.get(PROVIDER, &format!("/api/v1/audit{query}")).await;
    get("?tenant=none").await.problem(404, "not-found");
    get("?account=no@acme.example").await.problem(404, "not-found");
    get("?action=nonsense").await.problem(422, "invalid");
    get("?account_id=3").await.problem(422, "invalid");
    get("?tenant=acme&tenant_id=1").await.problem(422, "invalid");
    get("?tenant_id=-1").await.problem(404, "not-found");
    get("?after=x").await.problem(422, "invalid");
    get("?before=1").await.problem(400, "malformed");
}

#[tokio::test]
async fn older_lines_come_with_the_next_page() {
    let world = World::new().await.settled().await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(PROVIDER, &format!("/api/v1/audit?limit=3{after}"))
            .await
            .ok(200);
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line["id"].as_i64().unwrap()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    let whole = world.get(PROVIDER, "/api/v1/audit").await.ok(200);
    let whole: Vec<i64> = whole["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["id"].as_i64().unwrap())
        .collect();
    assert_eq!(seen, whole);
    assert_eq!(seen.len(), 8);
}
