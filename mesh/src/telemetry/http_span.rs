//! The span of a request that is no gRPC call yet, by the semantic conventions of OpenTelemetry for HTTP servers. The
//! call that is made of it has no span of its own: it adds its attributes to this one.

use std::net::{IpAddr, SocketAddr};

use http::uri::PathAndQuery;
use http::{Request, StatusCode, Version};
use opentelemetry::KeyValue;
use opentelemetry::trace::TraceId;

use super::call_span::CallSpan;
use super::description::Description;
use super::tail::Reason;

/// Longest path that a span has, in bytes.
const PATH_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct HttpSpan {
    call: CallSpan,
    method: &'static str,
    /// What the span says of the head of the request, if it may be exported.
    head: Option<Head>,
}

#[derive(Debug)]
struct Head {
    path: Option<PathAndQuery>,
    version: Version,
    peer: Option<IpAddr>,
}

// === impl HttpSpan ===

impl HttpSpan {
    /// Begins the span of a request, in the trace of its caller. `method` is that of the request, from a closed set.
    /// The stack finds the span in the extensions of the request, and leaves the record of the call to its owner.
    pub fn begin<B>(request: &mut Request<B>, method: &'static str, peer: Option<SocketAddr>) -> Self {
        crate::propagation::sanitize_trace(request.headers_mut());
        let call = CallSpan::of_request(request.headers_mut());
        request.extensions_mut().insert(call.clone());
        let head = call.may_be_exported().then(|| Head {
            path: request.uri().path_and_query().cloned(),
            version: request.version(),
            peer: peer.map(|peer| peer.ip()),
        });
        Self { call, method, head }
    }

    /// The trace of the request, where it is known: that of the caller, or a new one.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.call.trace_id()
    }

    /// The trace of the request, if it is sampled.
    pub fn sampled_trace(&self) -> Option<String> {
        self.call.sampled_trace().map(|trace| trace.to_string())
    }

    /// The span, for what happens within it.
    pub fn call(&self) -> &CallSpan {
        &self.call
    }

    /// The request has ended; its route is empty where none was found. Its trace is exported for this reason, if there
    /// is one.
    pub fn end(&self, route: &str, status: StatusCode, reason: Option<Reason>) {
        self.call.end(reason, || self.describe(route, status));
    }

    fn describe(&self, route: &str, status: StatusCode) -> Description {
        let method = self.method;
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ];
        if let Some(Head { path, version, peer }) = &self.head {
            // Without the query, in which callers put what they look for.
            let path = path.as_ref().map_or("", PathAndQuery::path);
            attributes.push(KeyValue::new("url.path", path[..path.floor_char_boundary(PATH_MAX)].to_owned()));
            attributes.push(KeyValue::new("network.protocol.version", protocol(*version)));
            attributes.extend(peer.map(|peer| KeyValue::new("client.address", peer.to_string())));
        }
        let name = match route {
            "" => method.to_owned(),
            route => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                format!("{method} {route}")
            }
        };
        let failure = status.is_server_error();
        if failure {
            attributes.push(KeyValue::new("error.type", status.as_str().to_owned()));
        }
        Description { name, attributes, failure }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
