use serde_json::json;
use wiremock::ResponseTemplate;

use super::{SECRET, TOKEN, World, ok, one, seconds, statement, status};
use crate::sql::ErrorKind;

fn token(name: &str) -> ResponseTemplate {
    ok(json!({ "access_token": name, "token_type": "Bearer", "expires_in": 3600 }))
}

impl World {
    /// Returns the authorization of each statement.
    async fn bearers(&self) -> Vec<String> {
        let api = self
            .server
            .requests()
            .await
            .into_iter()
            .filter(|request| request.url.path().starts_with("/api/"));
        api.map(|request| request.headers["authorization"].to_str().unwrap().to_owned()).collect()
    }

    async fn tokens_fetched(&self) -> usize {
        self.server.lines().await.iter().filter(|line| line.ends_with("/oidc/v1/token")).count()
    }
}

#[tokio::test]
async fn service_principal_fetches_one_token_for_many_statements() {
    let world = World::with_oauth(vec![one()], vec![token("t1"), token("t2")]).await;
    for _ in 0..3 {
        world.client.clone().query(&statement()).await.unwrap();
    }
    assert_eq!(world.bearers().await, ["Bearer t1"; 3]);
    let request = &world.server.requests().await[0];
    assert_eq!(request.url.path(), "/oidc/v1/token");
    // client-1 and the secret, by basic authentication.
    assert_eq!(request.headers["authorization"], "Basic Y2xpZW50LTE6ZG9zZS1jbGllbnQtc2VjcmV0");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.body, b"grant_type=client_credentials&scope=all-apis");
    assert_eq!(request.url.query(), None);
}

#[tokio::test]
async fn token_is_renewed_before_it_expires() {
    let world = World::with_oauth(vec![one()], vec![token("t1"), token("t2")]).await;
    world.client.query(&statement()).await.unwrap();
    world.watch.pass(seconds(3_600 - 121));
    world.client.query(&statement()).await.unwrap();
    world.watch.pass(seconds(2));
    world.client.query(&statement()).await.unwrap();
    assert_eq!(world.bearers().await, ["Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn refused_token_is_renewed_once_also_for_a_write() {
    let world = World::with_oauth(vec![status(401), one()], vec![token("t1"), token("t2")]).await;
    world.client.execute(&statement()).await.unwrap();
    assert_eq!(world.bearers().await, ["Bearer t1", "Bearer t2"]);

    let world = World::with_oauth(vec![status(401)], vec![token("t1"), token("t2")]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Refused));
    assert_eq!(world.bearers().await.len(), 2);
}

/// Databricks's answer to an invalid or expired token; the code is a number.
fn invalid_token() -> ResponseTemplate {
    status(403).set_body_json(json!({ "error_code": 403, "message": "Invalid access token." }))
}

#[tokio::test]
async fn expired_token_behind_a_403_is_renewed_once_also_for_a_write() {
    let world = World::with_oauth(vec![invalid_token(), one()], vec![token("t1"), token("t2")]).await;
    world.client.execute(&statement()).await.unwrap();
    assert_eq!(world.bearers().await, ["Bearer t1", "Bearer t2"]);

    let world = World::with_oauth(vec![invalid_token()], vec![token("t1"), token("t2")]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(world.bearers().await.len(), 2);
}

#[tokio::test]
async fn missing_right_and_blocked_address_renew_no_token() {
    let refused = |message: &str| status(403).set_body_json(json!({ "error_code": 403, "message": message }));
    for message in [
        "You do not have permission to use the SQL Warehouse.",
        "Source IP address: 203.0.113.7 is blocked by Databricks IP ACL",
    ] {
        let world = World::with_oauth(vec![refused(message)], vec![token("t1"), token("t2")]).await;
        let error = world.client.query(&statement()).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NoAccess { .. } | ErrorKind::Blocked { .. }), "{error}");
        assert_eq!((world.bearers().await.len(), world.tokens_fetched().await), (1, 1), "{message}");
    }
}

#[tokio::test]
async fn blocked_token_endpoint_does_not_blame_the_secret() {
    let blocked = status(403).set_body_string("Unauthorized network access to workspace: 1234567890123456");
    let world = World::with_oauth(vec![one()], vec![blocked]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Blocked { .. }), "{error}");
}

#[tokio::test]
async fn refused_personal_token_is_not_retried() {
    let world = World::new(vec![status(401)]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "coverage of properties: the warehouse does not accept the credentials; renew the warehouse secret"
    );
    assert_eq!(world.server.lines().await.len(), 1);
}

#[tokio::test]
async fn refused_client_sends_no_statement() {
    for code in [400, 401, 403] {
        let answer =
            status(code).set_body_json(json!({ "error": "invalid_client", "error_description": SECRET }));
        let world = World::with_oauth(vec![one()], vec![answer]).await;
        let error = world.client.query(&statement()).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Refused), "{code}: {error}");
        assert_eq!((world.bearers().await.len(), world.tokens_fetched().await), (0, 1), "{code}");
    }
}

#[tokio::test]
async fn busy_token_endpoint_is_retried_also_for_a_write() {
    let busy = status(429).insert_header("retry-after", "2");
    let world = World::with_oauth(vec![one()], vec![busy, status(503), token("t1")]).await;
    world.client.execute(&statement()).await.unwrap();
    assert_eq!((world.bearers().await.len(), world.tokens_fetched().await), (1, 3));
    assert_eq!(world.watch.naps()[0], seconds(2));
}

#[tokio::test]
async fn answer_without_a_token_is_reported_without_its_content() {
    for body in [json!({ "access_token": 7 }), json!({ "access_token": "" }), json!([SECRET])] {
        let world = World::with_oauth(vec![one()], vec![ok(body)]).await;
        let error = world.client.query(&statement()).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "coverage of properties: unexpected answer at access_token of the token endpoint: no token"
        );
    }
}

#[tokio::test]
async fn credentials_are_in_no_error_or_debug_text() {
    let quoting = || {
        let text = format!("bad token {TOKEN} of '{SECRET}'");
        status(400).set_body_json(json!({ "error_code": "BAD_REQUEST", "message": text }))
    };
    let world = World::with_oauth(vec![quoting()], vec![token(TOKEN)]).await;
    let error = world.client.query(&statement()).await.unwrap_err();
    let shown = format!("{error} {error:?} {:?}", world.client);
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
}
