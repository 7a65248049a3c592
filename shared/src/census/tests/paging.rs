use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::{World, fixture, ok};
use crate::census::wire::{parse_runs_page, parse_syncs_page};
use crate::census::{Error, ErrorKind, SyncPage};
use crate::observation::SyncId;

#[tokio::test]
async fn syncs_are_paged_to_the_end() {
    let answers = vec![ok(fixture!("v1-new/syncs-page-1.json")), ok(fixture!("v1-new/syncs-page-2.json"))];
    let world = World::new(answers).await;
    let pages: Vec<SyncPage> = world.client.syncs().try_collect().await.unwrap();
    let ids: Vec<u64> = pages.iter().flat_map(|page| &page.syncs).map(|sync| sync.id.0).collect();
    assert_eq!(ids, [15135, 15136, 15139]);
    let expected = ["GET /api/v1/syncs?page=1&per_page=100", "GET /api/v1/syncs?page=2&per_page=100"];
    assert_eq!(world.server.lines().await, expected);
}

#[tokio::test]
async fn next_page_that_does_not_advance_is_an_error() {
    let mut stuck = fixture!("v1-new/syncs-page-1.json");
    stuck["pagination"]["next_page"] = json!(1);
    let world = World::new(vec![ok(stuck)]).await;
    // `take` makes a client that loops fail here instead of hanging.
    let walked: Result<Vec<SyncPage>, Error> = world.client.syncs().take(3).try_collect().await;
    let message = walked.unwrap_err().to_string();
    assert_eq!(
        message,
        "list syncs: unexpected answer at pagination.next_page: 1, which does not come after page 1"
    );
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn empty_page_ends_paging_even_with_a_next_page() {
    let world = World::new(vec![ok(json!({ "data": [], "pagination": { "next_page": 2 } }))]).await;
    let pages: Vec<SyncPage> = world.client.syncs().try_collect().await.unwrap();
    assert_eq!(pages, [SyncPage::default()]);
}

#[test]
fn older_next_address_is_used_without_pagination() {
    let mut answer = fixture!("v1-new/syncs-page-1.json");
    answer.as_object_mut().unwrap().remove("pagination");
    assert_eq!(parse_syncs_page(&answer, 3).unwrap().next, Some(4));
    answer["next"] = Value::Null;
    assert_eq!(parse_syncs_page(&answer, 3).unwrap().next, None);
}

#[test]
fn history_is_complete_only_if_the_answer_states_it() {
    let last = fixture!("v1-new/runs-last-page.json");
    assert!(parse_runs_page(&last, 1).unwrap().complete);
    assert!(!parse_runs_page(&fixture!("v1-old/runs-page.json"), 1).unwrap().complete);
    let silent = json!({ "data": last["data"] });
    assert!(!parse_runs_page(&silent, 1).unwrap().complete);
    assert!(parse_runs_page(&json!({ "data": [] }), 1).unwrap().complete);
}

#[test]
fn runs_are_sorted_newest_first() {
    let mut answer = fixture!("v1-old/runs-page.json");
    answer["data"].as_array_mut().unwrap().reverse();
    let history = parse_runs_page(&answer, 1).unwrap();
    assert_eq!(history.runs.iter().map(|run| run.id.0).collect::<Vec<_>>(), [95, 94]);
}

#[tokio::test]
async fn older_runs_are_on_later_pages() {
    let world = World::new(vec![ok(fixture!("v1-old/runs-page.json"))]).await;
    world.client.runs_of_sync(SyncId(61), 25).await.unwrap();
    world.client.runs_of_sync_page(SyncId(61), 2, 1000).await.unwrap();
    let expected = [
        "GET /api/v1/syncs/61/sync_runs?page=1&per_page=25&order=desc",
        // The vendor silently clamps to 100; requesting more would mislead readers of its logs.
        "GET /api/v1/syncs/61/sync_runs?page=2&per_page=100&order=desc",
    ];
    assert_eq!(world.server.lines().await, expected);
}

#[test]
fn list_in_the_older_generation_is_read() {
    let page = parse_syncs_page(&fixture!("v1-old/syncs-page.json"), 1).unwrap();
    assert_eq!(page.syncs.iter().map(|sync| sync.id.0).collect::<Vec<_>>(), [61, 62]);
    assert_eq!((page.unreadable.len(), page.next, page.total), (0, None, Some(2)));
}

#[tokio::test]
async fn webhooks_are_paged_to_the_end() {
    let mut first = fixture!("v2/webhooks-page.json");
    first["pagination"]["next_page"] = json!(2);
    let world = World::new(vec![ok(first.clone()), ok(fixture!("v2/webhooks-page.json"))]).await;
    assert_eq!(world.client.list_webhooks().await.unwrap().len(), 2);
    let expected = ["GET /api/v1/webhooks?page=1&per_page=100", "GET /api/v1/webhooks?page=2&per_page=100"];
    assert_eq!(world.server.lines().await, expected);
    // The second page still names page 2.
    let world = World::new(vec![ok(first)]).await;
    let error = world.client.list_webhooks().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Shape { .. }));
    assert_eq!(world.server.lines().await.len(), 2);
}
