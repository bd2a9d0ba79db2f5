//! Errors in gRPC that a proxy of the mesh writes in place of the service. Their texts contain addresses of pods and
//! terms of the proxy, which are for its operator and not for callers; and Envoy says UNAVAILABLE where it means a
//! timeout. Separate from the errors themselves, because it knows two proxies.

use dataflow_mesh::status::{failure_in, http_of};
use http::HeaderMap;
use tonic::{Code, Status};

use super::UpstreamError;

/// Linkerd's proxy says in this header what went wrong.
const OF_LINKERD: &str = "l5d-proxy-error";

/// How the texts of Envoy begin (`source/common/router` and `source/common/http` of Envoy 1.40), and whether each means
/// a timeout.
const OF_ENVOY: [(&str, bool); 7] = [
    ("upstream connect error or disconnect/reset before headers", false),
    ("no healthy upstream", false),
    ("upstream request timeout", true),
    ("upstream max stream duration reached", true),
    ("downstream duration timeout", true),
    ("stream timeout", true),
    ("RBAC: access denied", false),
];

/// What the head of a response means if a proxy wrote it, and the text of the proxy, for the log.
pub(crate) fn error_of_proxy(headers: &HeaderMap, service: &str) -> Option<(UpstreamError, String)> {
    let failure = failure_in(headers)?;
    // What a handler of ours says has details.
    if !failure.details().is_empty() {
        return None;
    }
    let of_linkerd =
        headers.get(OF_LINKERD).map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    let of_envoy = OF_ENVOY.iter().find(|(text, _)| failure.message().starts_with(text));
    let (text, timed_out) = match (of_linkerd, of_envoy) {
        (Some(text), _) => (text, failure.code() == Code::DeadlineExceeded),
        (None, Some((_, timed_out))) => (failure.message().to_owned(), *timed_out),
        (None, None) => return None,
    };
    Some((error(&failure, timed_out, service.to_owned()), text))
}

fn error(failure: &Status, timed_out: bool, service: String) -> UpstreamError {
    if timed_out {
        return UpstreamError::TimedOut { service };
    }
    match failure.code() {
        Code::Unavailable => UpstreamError::Unavailable { service },
        Code::Unauthenticated => UpstreamError::Unauthenticated { service },
        Code::PermissionDenied => UpstreamError::Denied { service },
        Code::NotFound | Code::Unimplemented => UpstreamError::Unrouted { service },
        _ => UpstreamError::Malfunction { status: http_of(failure), service },
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        fields.iter().map(field).collect()
    }

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], reason: Option<&str>) {
        use dataflow_mesh::status::Describe;
        let found = error_of_proxy(&head(fields), "a.v1.B");
        assert_eq!(found.as_ref().map(|(error, _)| error.reason()), reason, "{fields:?}");
        if let Some((error, _)) = found {
            assert!(!error.to_string().contains("10.0.0.7"), "{error}");
        }
    }

    #[test]
    fn texts_of_proxies_become_errors_without_addresses() {
        let lost = "upstream connect error or disconnect/reset before headers. reset reason: connection timeout, \
                    remote address: 10.0.0.7:8081";
        check(&[("grpc-status", "14"), ("grpc-message", lost)], Some("UPSTREAM_UNAVAILABLE"));
        check(
            &[("grpc-status", "14"), ("grpc-message", "no%20healthy%20upstream")],
            Some("UPSTREAM_UNAVAILABLE"),
        );
        check(
            &[("grpc-status", "14"), ("grpc-message", "upstream request timeout")],
            Some("UPSTREAM_TIMED_OUT"),
        );
        check(&[("grpc-status", "7"), ("grpc-message", "RBAC: access denied")], Some("UPSTREAM_DENIED"));
        let linkerd = ("l5d-proxy-error", "logical service 10.0.0.7:8081: HTTP response timeout");
        check(&[("grpc-status", "4"), ("grpc-message", "x"), linkerd], Some("UPSTREAM_TIMED_OUT"));
        check(&[("grpc-status", "14"), ("grpc-message", "x"), linkerd], Some("UPSTREAM_UNAVAILABLE"));
        check(&[("grpc-status", "5"), ("grpc-message", "x"), linkerd], Some("UPSTREAM_UNROUTED"));
        check(&[("grpc-status", "13"), ("grpc-message", "x"), linkerd], Some("UPSTREAM_MALFUNCTION"));
    }

    #[test]
    fn what_a_service_says_stays() {
        check(&[("grpc-status", "0")], None);
        check(&[("content-type", "application/grpc")], None);
        check(&[("grpc-status", "14"), ("grpc-message", "the shop is closed")], None);
        let details = ("grpc-status-details-bin", "CA4SAXg");
        check(&[("grpc-status", "14"), ("grpc-message", "no healthy upstream"), details], None);
    }
}
