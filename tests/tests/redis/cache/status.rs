//! The status of a mesh whose Redis does not answer: who asks for it learns that, and soon.

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::{http, redis};
use serde_json::Value;

/// `/health/status` of this mesh, whose status code is that of a mesh which serves.
async fn status(mesh: &Upstream) -> Value {
    let response = http::request(mesh, "GET", "/health/status", &[], b"").await.unwrap();
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.body).unwrap()
}

/// The dependency on Redis, of each role that has it.
fn of_redis(status: &Value) -> Vec<&Value> {
    let processes = status["processes"].as_array().unwrap();
    let all = processes.iter().flat_map(|process| process["dependencies"].as_array().unwrap());
    all.filter(|dependency| dependency["name"].as_str().unwrap().ends_with("/redis")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_while_redis_is_frozen_and_names_redis() {
    if !redis::available() {
        return;
    }
    let redis = redis::Server::start();
    let up = Service::start("up", &["--redis-url", redis.url()]);
    let mesh = format!("http://{}", up.address).parse().unwrap();
    eventually(TIMEOUT, "all is well", async || status(&mesh).await["status"] == "healthy").await;

    redis.pause();
    eventually(TIMEOUT, "the status names Redis", async || {
        // A call that needs Redis finds out that it does not answer.
        http::request(&mesh, "GET", "/v1/rules", &[], b"").await.unwrap();
        let found = status(&mesh).await;
        let failing = of_redis(&found).into_iter().any(|dependency| {
            dependency["failing"] == true && !dependency["lastError"].as_str().unwrap().is_empty()
        });
        found["status"] != "healthy" && failing
    })
    .await;

    redis.resume();
    eventually(TIMEOUT, "all is well again", async || {
        http::request(&mesh, "GET", "/v1/rules", &[], b"").await.unwrap();
        status(&mesh).await["status"] == "healthy"
    })
    .await;
}
