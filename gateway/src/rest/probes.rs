//! The health paths of the public port, for load balancers and for those who used the predecessor's. They speak of this
//! process; the mesh asks the admin port.

use axum::body::Body;
use dataflow_mesh::readiness::Readiness;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

/// The answer, and the path that was asked; none for a request that is no probe.
pub(super) fn answer(
    request: &Request<Body>,
    readiness: &Readiness,
) -> Option<(&'static str, Response<Body>)> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let (path, well, word) = match request.uri().path() {
        "/live" => ("/live", true, "alive"),
        "/health/live" => ("/health/live", true, "alive"),
        "/ready" => ("/ready", readiness.ready(), "ready"),
        "/health/ready" => ("/health/ready", readiness.ready(), "ready"),
        "/health/startup" => ("/health/startup", readiness.started(), "started"),
        "/health" => ("/health", readiness.ready(), "healthy"),
        "/health/status" => ("/health/status", readiness.ready(), "healthy"),
        _ => return None,
    };
    let not = if well { "" } else { "not " };
    let version = env!("CARGO_PKG_VERSION");
    let mut answer =
        Response::new(Body::from(format!(r#"{{"status":"{not}{word}","version":"{version}"}}"#)));
    if !well {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some((path, answer))
}
