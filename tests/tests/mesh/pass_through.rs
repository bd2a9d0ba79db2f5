//! What passes through the gateway is seen by its caller as its upstream said it, frame by frame.

use std::net::SocketAddr;

use dataflow_tests::services::{self, Service};
use tonic::Code;

use crate::caller::{Caller, GET, fate, trailers_only};
use crate::stub::{LONG, Stub};

/// A gateway before a stub, and a caller of it.
async fn through(stub: &Stub, flags: &[&str]) -> (Service, Caller) {
    let url = format!("http://{}", stub.address);
    let gateway = services::gateway(&[&["--cache-url", &url], flags].concat()).await;
    let address = gateway.upstream.to_string();
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    (gateway, Caller::connect(address, 65_535).await)
}

#[tokio::test]
async fn a_failing_call_is_one_frame_whoever_refused_it() {
    let stub = Stub::start(&[]).await;
    let (_gateway, caller) = through(&stub, &["--analysis-url", "http://127.0.0.1:1"]).await;
    let check = |answer: &_, code: Code, reason: &str| {
        assert_eq!(trailers_only(answer), (code, reason.to_owned()));
    };
    check(&caller.get("fail", &[]).await, Code::InvalidArgument, "GRPC_TIMEOUT_MALFORMED");
    check(&caller.get("wait", &[("grpc-timeout", "50m")]).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let unknown = caller.send("/dataflow.cache.v1.CacheService/Purge", b"", &[]).await.unwrap();
    check(&unknown, Code::Unimplemented, "METHOD_UNKNOWN");
    let unknown = caller.send("/dataflow.secret.v1.SecretService/Get", b"", &[]).await.unwrap();
    check(&unknown, Code::Unimplemented, "METHOD_UNKNOWN");
    let dead = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";
    check(&caller.send(dead, b"", &[]).await.unwrap(), Code::Unavailable, "UPSTREAM_UNAVAILABLE");
    // What is no message is for the upstream to say: the gateway does not look.
    check(&caller.send(GET, b"\xff\xff", &[]).await.unwrap(), Code::InvalidArgument, "MESSAGE_MALFORMED");
}

#[tokio::test]
async fn a_long_answer_comes_whole_and_with_its_status() {
    let stub = Stub::start(&[]).await;
    let (_gateway, caller) = through(&stub, &[]).await;
    let mut body = caller.get("long", &[]).await.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        length += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(length > LONG);
    assert_eq!(fate(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}

#[tokio::test]
async fn a_call_under_way_outlives_the_gateways_stop() {
    let stub = Stub::start(&[]).await;
    let (gateway, caller) = through(&stub, &[]).await;
    let readiness = gateway.readiness.clone();
    let (answer, ()) = tokio::join!(caller.get("wait", &[]), async {
        let stopping = tokio::spawn(gateway.stop());
        while readiness.ready() {
            tokio::task::yield_now().await;
        }
        stub.go_on.notify_one();
        stopping.await.unwrap();
    });
    let mut body = answer.into_body();
    while body.data().await.is_some() {}
    assert_eq!(fate(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}
