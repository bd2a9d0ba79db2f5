//! A process is killed while it writes: acknowledged changes survive, and none is partial.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::binary::Service;
use dataflow_tests::editor::new;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use nix::sys::signal::Signal;
use tonic::transport::Channel;

/// Number of kills.
const KILLS: usize = 8;

async fn client(service: &Service) -> RuleServiceClient<Channel> {
    RuleServiceClient::connect(format!("http://{}", service.address)).await.unwrap()
}

/// Kills `dataflow ROLE FLAGS` repeatedly while rules are written, and checks the result.
async fn kill_in_mid_write(role: &str, flags: &[&str]) {
    let mut acknowledged: Vec<String> = Vec::new();
    for kill in 0..KILLS {
        let service = Service::start(role, flags);
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (address, stop) = (service.address.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut client = RuleServiceClient::connect(format!("http://{address}")).await.unwrap();
                    let mut done = Vec::new();
                    for write in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let id = format!("r-{kill}-{writer}-{write}");
                        match client.create_rule(new(&id, Category::Health, "care")).await {
                            Ok(_) => done.push(id),
                            Err(_) => break,
                        }
                    }
                    done
                })
            })
            .collect();
        let mut watching = client(&service).await;
        let enough = 5 + fastrand::i64(0..20);
        eventually(TIMEOUT, "enough rules are written", async || {
            let list = pb::ListRevisionsRequest {
                ruleset: "default".to_owned(),
                page_size: 1,
                ..Default::default()
            };
            let newest = watching.list_revisions(list).await.unwrap().into_inner().revisions[0].revision;
            newest > i64::try_from(acknowledged.len()).unwrap() + enough
        })
        .await;
        service.signal(Signal::SIGKILL);
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        drop(service);
    }
    let service = Service::start(role, flags);
    let sets = client(&service).await.list_rulesets(pb::ListRulesetsRequest {}).await.unwrap().into_inner();
    let set = sets.rulesets.into_iter().find(|set| set.ruleset == "default").unwrap();
    let there: std::collections::HashSet<_> = set.rules.iter().map(|rule| rule.rule_id.as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !there.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let written = set.rules.iter().filter(|rule| rule.rule_id.starts_with("r-")).count();
    assert_eq!(set.revision, i64::try_from(written).unwrap() + 1, "one revision per rule");
    println!("{} acknowledged, {written} there after {KILLS} kills", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_atomic_in_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    kill_in_mid_write("up", &["--data-dir", directory.to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_atomic_in_redis() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    kill_in_mid_write("config", &["--redis-url", server.url(), "--redis-timeout", "20s"]).await;
}
