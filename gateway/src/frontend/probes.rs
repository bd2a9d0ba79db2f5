//! The health paths of the public port, for load balancers and clients of the predecessor. They report the health of
//! this process; the mesh uses the admin port.

use axum::body::Body;
use dataflow_mesh::readiness::Readiness;
use http::{Method, Request, Response, StatusCode};

use crate::json;
use crate::route::RouteError;

/// The path of the status of the mesh, of which the word is for everybody, and the method that has the rest.
pub(super) const STATUS: &str = "/health/status";
pub(super) const STATUS_METHOD: &str = "/dataflow.mesh.v1.MeshService/GetStatus";

/// The path, when it is one of these.
pub(super) fn find(path: &str) -> Option<&'static str> {
    const PATHS: [&str; 7] =
        ["/health", "/health/live", "/health/ready", "/health/startup", STATUS, "/live", "/ready"];
    PATHS.into_iter().find(|known| *known == path)
}

/// The response to a request for one of the paths.
pub(super) fn answer(
    path: &str,
    request: &Request<Body>,
    readiness: &Readiness,
) -> Result<Response<Body>, RouteError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(RouteError::MethodNotAllowed { allowed: ["GET", "HEAD"].map(str::to_owned).into() });
    }
    let (well, word) = match path {
        "/live" | "/health/live" => (true, "alive"),
        "/ready" | "/health/ready" => (readiness.ready(), "ready"),
        "/health/startup" => (readiness.started(), "started"),
        _ => (readiness.ready(), "healthy"),
    };
    let not = if well { "" } else { "not " };
    let version = env!("CARGO_PKG_VERSION");
    let mut response = json::response(format!(r#"{{"status":"{not}{word}","version":"{version}"}}"#));
    if !well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
