//! The trace context of a call, in all formats that meshes use: W3C Trace Context, B3, and gRPC's binary header.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_propagator_b3::{B3Encoding, Propagator as B3};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::merge;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A list that may arrive in several headers, and is propagated as one.
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that is propagated, in bytes: the minimum that W3C Trace Context requires of a platform.
const TRACESTATE_MAX: usize = 512;

/// Longest value of the other headers, in bytes; none needs as much. A longer one is dropped.
const HEADER_MAX: usize = 128;

/// All trace headers, those of W3C first.
pub(super) static HEADERS: [HeaderName; 9] = [
    TRACEPARENT,
    TRACESTATE,
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
    HeaderName::from_static("x-b3-spanid"),
    HeaderName::from_static("x-b3-parentspanid"),
    HeaderName::from_static("x-b3-sampled"),
    HeaderName::from_static("x-b3-flags"),
    HeaderName::from_static("grpc-trace-bin"),
];

/// Extraction tries the propagators in order and the last match wins, therefore W3C is last.
static CONTEXT: LazyLock<TextMapCompositePropagator> = LazyLock::new(|| {
    TextMapCompositePropagator::new(vec![
        Box::new(B3::with_encoding(B3Encoding::SingleAndMultiHeader)),
        Box::new(TraceContextPropagator::new()),
    ])
});

static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Reads the trace context that a caller sent.
pub(crate) fn extract(headers: &HeaderMap) -> opentelemetry::Context {
    // Most calls have none, and the propagators look up each by its name.
    if !headers.keys().any(|name| HEADERS.contains(name)) {
        return opentelemetry::Context::current();
    }
    // The usual case: its context would be the one in any case.
    let from_w3c = headers.contains_key(&TRACEPARENT).then(|| W3C.extract(&HeaderExtractor(headers)));
    let is_valid = |context: &opentelemetry::Context| context.span().span_context().is_valid();
    from_w3c.filter(is_valid).unwrap_or_else(|| CONTEXT.extract(&HeaderExtractor(headers)))
}

/// Writes the context of a trace that begins here and is not sampled.
pub(crate) fn set_unsampled(context: &SpanContext, headers: &mut HeaderMap) {
    let value = format!("00-{:032x}-{:016x}-00", context.trace_id(), context.span_id());
    headers.insert(TRACEPARENT, HeaderValue::try_from(value).expect("digits are a header value"));
}

/// Writes our trace context over the one that was received.
pub(crate) fn inject(context: &opentelemetry::Context, headers: &mut HeaderMap) {
    CONTEXT.inject_context(context, &mut HeaderInjector(headers));
}

/// Drops headers that are too long, and a malformed `traceparent`: they would be propagated to every service that the
/// call reaches, without use. Of a repeated header the first counts, as in extraction.
pub(crate) fn sanitize(incoming: &mut HeaderMap) {
    // By name only if any header is long, because this runs for every call.
    if incoming.values().any(|value| value.len() > HEADER_MAX) {
        for name in HEADERS.iter().filter(|name| **name != TRACESTATE) {
            if incoming.get(name).is_some_and(|value| value.len() > HEADER_MAX) {
                incoming.remove(name);
            }
        }
    }
    // Without a valid `traceparent`, `tracestate` has no meaning.
    let is_traced = match incoming.get(&TRACEPARENT) {
        Some(value) if is_traceparent(value.as_bytes()) => true,
        Some(_) => {
            incoming.remove(&TRACEPARENT);
            false
        }
        None => false,
    };
    merge(incoming, TRACESTATE, TRACESTATE_MAX, |_| is_traced);
}

/// Whether a value is a valid `traceparent` (W3C Trace Context, 3.2): `VERSION-TRACE-PARENT-FLAGS` in lower-case
/// hexadecimal, neither id all zeros; a later version may have further fields.
fn is_traceparent(value: &[u8]) -> bool {
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let mut part = |length: usize| {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == length && part.iter().all(is_hex))
    };
    let (version, trace, parent, flags) = (part(2), part(32), part(16), part(2));
    let is_some_id = |id: Option<&[u8]>| id.is_some_and(|id| id.iter().any(|digit| *digit != b'0'));
    let is_version = match version {
        Some(b"00") => parts.next().is_none(),
        other => other.is_some_and(|version| version != b"ff"),
    };
    is_version && is_some_id(trace) && is_some_id(parent) && flags.is_some()
}

// === impl HeaderExtractor, HeaderInjector ===

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sanitized(incoming: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in incoming {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        sanitize(&mut headers);
        headers
    }

    #[test]
    fn malformed_and_too_long_trace_headers_are_dropped() {
        const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let propagates = |name: &'static str, value: &str| sanitized(&[(name, value)]).contains_key(name);
        let future = format!("cc{}-more", &VALID[2..]);
        for valid in [VALID, &future] {
            assert!(propagates("traceparent", valid), "{valid}");
        }
        let zeros = VALID.replace("b7ad6b7169203331", "0000000000000000");
        let (more, version) = (format!("{VALID}-more"), format!("ff{}", &VALID[2..]));
        let (upper, long) = (VALID.to_uppercase(), format!("cc{}-{}", &VALID[2..], "x".repeat(10_000)));
        for invalid in ["", "00", &VALID[..54], &zeros, &more, &version, &upper, &long, "x-y-z"] {
            let headers = sanitized(&[("traceparent", invalid), ("tracestate", "a=1")]);
            assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{invalid}");
        }
        for name in ["b3", "x-b3-traceid", "grpc-trace-bin"] {
            assert!(propagates(name, &"1".repeat(HEADER_MAX)), "{name}");
            assert!(!propagates(name, &"1".repeat(HEADER_MAX + 1)), "{name}");
        }
        let (fits, long) =
            (format!("a={}", "x".repeat(TRACESTATE_MAX - 2)), format!("b={}", "x".repeat(10_000)));
        let headers = sanitized(&[("traceparent", VALID), ("tracestate", &fits), ("tracestate", &long)]);
        assert_eq!(headers["tracestate"], fits);
    }

    #[test]
    fn trace_context_is_read_from_w3c_and_b3_and_written_as_both() {
        let check = |name: &'static str, value: &str| {
            let incoming = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )]);
            let context = extract(&incoming);
            let trace = context.span().span_context().trace_id().to_string();
            assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c", "{name}");
            let mut written = HeaderMap::new();
            inject(&context, &mut written);
            assert!(written.contains_key("traceparent") && written.contains_key("b3"), "{written:?}");
        };
        check("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        check("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1");
    }
}
