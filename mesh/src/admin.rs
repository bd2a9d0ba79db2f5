//! The admin port of a process: health checks for the kubelet and metrics for Prometheus. Not exposed to the public,
//! but a client that reaches it must not keep the kubelet out.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::metrics::{Format, Metrics};
use crate::readiness::Readiness;
use crate::serve::acceptor;

/// The most connections: a few scrapers and the kubelet.
const MAX_CONNECTIONS: usize = 64;

/// The longest life of a connection: more than a scrape takes, and less than an idle one may occupy its place.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Builds the routes of the admin port.
///
/// `/livez` returns 200 while the process can respond at all: it depends on nothing else, so that neither load nor a
/// dead peer restarts a pod. `/startupz` returns 200 from the end of the warm-ups on, `/readyz` until the process
/// drains.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    let probe =
        |ok: bool| if ok { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not yet\n") };
    let (started, ready) = (readiness.clone(), readiness);
    // Samples repeat their labels: a twentieth of the bytes is left, for which Prometheus asks. The fastest level, as a
    // scrape is made once and runs beside calls.
    let packing = CompressionLayer::new().br(false).quality(CompressionLevel::Fastest);
    Router::new()
        .route("/livez", get(move || async move { probe(true) }))
        .route("/startupz", get(move || async move { probe(started.started()) }))
        .route("/readyz", get(move || async move { probe(ready.ready()) }))
        .route("/metrics", get(encode).with_state(metrics).layer(packing))
}

/// Serves the admin port. It never waits for a client: each connection ends after a while, and the oldest one when
/// there are too many.
pub async fn serve(listener: TcpListener, router: Router) {
    let (mut connections, mut oldest_first) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        let (stream, _) = acceptor::next(Some(&listener)).await;
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        if oldest_first.len() >= MAX_CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = connections.spawn(async move {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(MAX_AGE);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // A scrape that is cut is repeated.
            let _ = timeout(MAX_AGE, connection).await;
        });
        oldest_first.push_back(connection);
    }
}

async fn encode(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let format = Format::accepted(&headers);
    ([(header::CONTENT_TYPE, format.content_type())], metrics.encode_as(format))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::body::Body;
    use axum::http::Request;
    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::dependencies::Criticality;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_follow_readiness_and_liveness_does_not() {
        let readiness = Readiness::default();
        let latch = readiness.latch();
        let router = router(Metrics::default(), readiness.clone());
        let statuses = async |router: &Router| {
            let mut all = Vec::new();
            for path in ["/livez", "/startupz", "/readyz"] {
                all.push(get(router, path).await.0.as_u16());
            }
            all
        };
        assert_eq!(statuses(&router).await, [200, 503, 503]);
        drop(latch);
        assert_eq!(statuses(&router).await, [200, 200, 200]);
        // Nothing outside of the process but what is critical to it counts, and nothing at all for its life.
        let declare = |name, criticality| readiness.dependencies().declare(name, criticality);
        let (optional, critical) =
            (declare("a/b", Criticality::Optional), declare("a/c", Criticality::Critical));
        optional.failed(&"refused");
        assert_eq!(statuses(&router).await, [200, 200, 200]);
        critical.failed(&"refused");
        assert_eq!(statuses(&router).await, [200, 200, 503]);
        critical.succeeded();
        assert_eq!(statuses(&router).await, [200, 200, 200]);
        readiness.drain();
        assert_eq!(statuses(&router).await, [200, 200, 503]);
    }

    #[tokio::test]
    async fn metrics_are_complete() {
        let metrics = Metrics::default();
        let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
        metrics.register("things", "Things", counter.clone());
        counter.inc();
        let router = router(metrics, Readiness::default());
        let (status, text) = get(&router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("# TYPE things_total counter\nthings_total 1\n"), "{text}");
        let open_metrics = "application/openmetrics-text";
        let request =
            Request::get("/metrics").header(header::ACCEPT, open_metrics).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let found = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!(found, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"things_total 1\n# EOF\n"), "{text:?}");
    }

    #[tokio::test]
    async fn metrics_are_packed_for_clients_that_can_unpack_them() {
        let router = router(Metrics::default(), Readiness::default());
        let scrape = async |accepted: &str| {
            let request = Request::get("/metrics").header(header::ACCEPT_ENCODING, accepted);
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let coding = response.headers().get(header::CONTENT_ENCODING).cloned();
            (coding, response.into_body().collect().await.unwrap().to_bytes())
        };
        let (coding, plain) = scrape("br, identity").await;
        assert_eq!(coding, None);
        for accepted in ["gzip", "br;q=1, gzip;q=0.5"] {
            let (coding, packed) = scrape(accepted).await;
            assert_eq!(coding.unwrap(), "gzip", "{accepted}");
            let mut text = String::new();
            GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text.as_bytes(), plain, "{accepted}");
            assert!(packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
        }
        assert_eq!(scrape("gzip;q=0").await, (None, plain));
    }
}
