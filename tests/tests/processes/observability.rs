//! What operators see: the metrics of a running mesh, and its status over REST, over gRPC and in the command.

use std::io::Write;
use std::process::{Command, Stdio};

use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_tests::binary::{self, Service as Binary};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http;
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use dataflow_tests::tools;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tokio::net::TcpListener;

/// `/metrics` with this `Accept`: the content type and the text.
async fn scrape(admin: &str, accept: Option<&str>) -> (String, String) {
    let admin = format!("http://{admin}").parse().unwrap();
    let headers: Vec<_> = accept.into_iter().map(|accept| ("accept", accept)).collect();
    let response = http::request(&admin, "GET", "/metrics", &headers, b"").await.unwrap();
    assert_eq!(response.status, 200, "{accept:?}");
    let kind = response.headers["content-type"].to_str().unwrap().to_owned();
    (kind, String::from_utf8(response.body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_shows_every_method_before_its_first_call_in_both_formats() {
    let up = Binary::start("up", &[]);
    let (kind, text) = scrape(&up.admin, None).await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    for service in pool.services() {
        for method in service.methods() {
            let (service, method) = (service.full_name(), method.name());
            let labels = format!("role=\"gateway\",grpc_service=\"{service}\",grpc_method=\"{method}\"");
            for sample in [
                format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 0"),
                format!("grpc_server_in_flight{{{labels}}} 0"),
            ] {
                assert!(text.lines().any(|line| line == sample), "{sample}");
            }
        }
    }
    for start in
        ["dataflow_build_info{version=\"", "process_open_fds ", "rules_revision{ruleset=\"default\"} 1"]
    {
        assert!(text.lines().any(|line| line.starts_with(start)), "{start}\n{text}");
    }
    for (accept, expected) in [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("text/plain", "text/plain; version=0.0.4"),
        ("application/json;q=x, \u{1}", "text/plain; version=0.0.4"),
    ] {
        let accept = accept.replace('\u{1}', &"*/*;q=0.001,".repeat(500));
        let (kind, _) = scrape(&up.admin, Some(&accept)).await;
        assert!(kind.starts_with(expected), "{accept}: {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_metrics() {
    if !tools::available("promtool") {
        return;
    }
    let up = Binary::start("up", &[]);
    let gateway = format!("http://{}", up.address).parse().unwrap();
    for path in ["/v1/rules", "/nowhere", "/health/status"] {
        http::request(&gateway, "GET", path, &[], b"").await.unwrap();
    }
    let (_, text) = scrape(&up.admin, None).await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

/// `/health/status` with these headers: the HTTP status and the document.
async fn status(gateway: &Service, target: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let response = http::request(&gateway.upstream, "GET", target, headers, b"").await.unwrap();
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_that_of_every_role_and_names_what_is_missing() {
    let (gateway, [analysis, cache, config]) = services::mesh(&[]).await;
    let (code, found) = status(&gateway, "/health/status", &[]).await;
    assert_eq!((code, &found["status"], &found["silent"]), (200, &"healthy".into(), &Value::Array(vec![])));
    let processes = found["processes"].as_array().unwrap();
    let roles: Vec<_> = processes.iter().map(|process| process["roles"][0].as_str().unwrap()).collect();
    assert_eq!(roles, ["analysis", "cache", "config", "gateway"]);
    let rulesets = processes[0]["rulesets"].as_array().unwrap();
    assert!(rulesets.iter().any(|set| set["ruleset"] == "default" && set["revision"] == "1"), "{found}");
    // No change has been made, so that the mapping of themes is the one that config has built in.
    assert_eq!(processes[0]["themes"]["revision"], "0", "{found}");
    let dependencies: Vec<_> = processes[0]["dependencies"].as_array().unwrap().iter().collect();
    assert_eq!(dependencies[1]["name"], "analysis/config", "{found}");
    assert_eq!(
        (&dependencies[1]["criticality"], &dependencies[1]["failing"]),
        (&"OPTIONAL".into(), &false.into())
    );

    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let quotas = processes.iter().flat_map(|process| process["quotas"].as_array().unwrap());
    let quotas: Vec<_> = quotas
        .map(|quota| {
            assert!(
                number(&quota["limit"]) > 0 && number(&quota["used"]) <= number(&quota["limit"]),
                "{quota}"
            );
            quota["name"].as_str().unwrap()
        })
        .collect();
    let expected = [
        "analysis/calls",
        "analysis/held_bytes",
        "analysis/parsers",
        "analysis/result_bytes",
        "analysis/streams",
        "analysis/uploads",
        "cache/calls",
        "cache/held_bytes",
        "cache/streams",
        "config/calls",
        "config/held_bytes",
        "config/streams",
        "gateway/calls",
        "gateway/held_bytes",
        "gateway/streams",
    ];
    assert_eq!(quotas, expected, "{found}");
    assert_eq!(processes[1]["cache"]["reads"], "0", "{found}");

    // A call that is served, and one that is the caller's mistake: neither is a fault.
    for target in ["/v1/rules", "/v1/rules/none"] {
        http::request(&gateway.upstream, "GET", target, &[], b"").await.unwrap();
    }
    eventually(TIMEOUT, "both calls are counted", async || {
        let (_, found) = status(&gateway, "/health/status", &[]).await;
        let calls = &found["processes"][2]["calls"][0];
        assert_eq!((&calls["role"], &calls["failed"]), (&"config".into(), &"0".into()), "{found}");
        number(&calls["total"]) >= 2 && calls["meanTime"].as_str().is_some_and(|time| time.ends_with('s'))
    })
    .await;

    let address = config.upstream.to_string();
    config.stop().await;
    eventually(TIMEOUT, "the config service is missing", async || {
        let (code, found) = status(&gateway, "/health/status", &[]).await;
        let of_config = &found["processes"][0]["dependencies"][1];
        (code, &found["status"], &found["silent"][0]) == (200, &"unhealthy".into(), &address.as_str().into())
            && of_config["failing"] == true
            && !of_config["lastError"].as_str().unwrap().is_empty()
    })
    .await;
    // Each process is as ready as before: it works without the others, with less.
    assert!(gateway.readiness.ready() && analysis.readiness.ready() && cache.readiness.ready());
    let ready = http::request(&gateway.upstream, "GET", "/health/ready", &[], b"").await.unwrap();
    assert_eq!(ready.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_callers_that_may_read_get_more_than_the_word() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks()]).await;
    let (read, none) = (issuer.bearer("read"), issuer.bearer("openid"));
    for (target, headers, is_whole) in [
        ("/health/status", &[][..], false),
        ("/health/status", &[("authorization", none.as_str())], false),
        ("/health/status", &[("authorization", read.as_str())], true),
        ("/health/status?verbose", &[("authorization", read.as_str())], false),
        ("/health", &[("authorization", read.as_str())], false),
    ] {
        let (code, found) = status(&gateway, target, headers).await;
        assert_eq!((code, found["processes"].is_array()), (200, is_whole), "{target} {headers:?}: {found}");
        assert_eq!((found["status"] == "healthy", found["version"].is_string()), (true, true), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_answer_is_silent() {
    // It accepts connections, which the kernel completes, and reads nothing.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/", hanging.local_addr().unwrap());
    let cache = services::cache().await;
    let replicas = format!("{},{hanging}", cache.upstream);
    let closed = services::closed_port();
    let closed = closed.upstream.to_string();
    let urls = ["--analysis-url", &closed, "--config-url", &closed];
    let gateway = services::gateway(&[&urls[..], &["--cache-url", &replicas]].concat()).await;
    let mut client = MeshServiceClient::new(gateway.channel());
    let found = client.get_status(pb::GetStatusRequest {}).await.unwrap().into_inner();
    let roles: Vec<_> = found.processes.iter().map(|process| process.roles.join(" ")).collect();
    assert_eq!(roles, ["cache", "gateway"], "{found:?}");
    assert!(found.silent.contains(&hanging) && found.silent.contains(&closed), "{found:?}");
    assert_eq!(found.status, "unhealthy", "analysis and config have no other replica");

    // A service reports its own process.
    let own = MeshServiceClient::new(cache.channel()).get_status(pb::GetStatusRequest {}).await.unwrap();
    let own = own.into_inner();
    assert_eq!((own.processes.len(), own.silent.len(), own.status.as_str()), (1, 0, "healthy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_fails_unless_all_is_well() {
    let closed = services::closed_port();
    let closed = closed.upstream.to_string();
    let urls = ["--analysis-url", &closed, "--cache-url", &closed, "--config-url", &closed];
    let gateway = Binary::start("gateway", &urls);
    let endpoint = format!("http://{}", gateway.address);
    for format in ["table", "json"] {
        let ended = binary::run(&["status", "--endpoint", &endpoint, "--format", format]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stdout.contains("unhealthy") && ended.stdout.contains(&closed), "{ended:?}");
        assert!(format == "json" || ended.stdout.lines().all(|line| line.chars().count() <= 80), "{ended:?}");
    }
}
