//! The text formats of `/metrics`: OpenMetrics, which the library writes, and the older one of Prometheus, which is made
//! from it.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0, the only one with exemplars.
    OpenMetrics,
    /// The text format 0.0.4, which every tool reads.
    Prometheus,
}

// === impl Format ===

impl Format {
    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        })
    }

    /// The format that a client prefers. A scrape always gets a response: where `Accept` names neither format, or cannot
    /// be read, it is the text of Prometheus.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let (mut open_metrics, mut text) = (0, 0);
        for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            for range in range.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next().unwrap_or_default().to_ascii_lowercase();
                let (mut version, mut weight) = (None, Some(1000));
                for parameter in parts {
                    let Some((name, value)) = parameter.split_once('=') else { continue };
                    match name.trim().to_ascii_lowercase().as_str() {
                        "version" => version = Some(value.trim().trim_matches('"')),
                        "q" => weight = thousandths(value.trim()),
                        _ => {}
                    }
                }
                // A weight that cannot be read says nothing about the format.
                let Some(weight) = weight else { continue };
                let preferred = match (media.as_str(), version) {
                    ("application/openmetrics-text", None | Some("0.0.1" | "1.0.0")) => &mut open_metrics,
                    ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => &mut text,
                    _ => continue,
                };
                *preferred = weight.max(*preferred);
            }
        }
        // Of two that are equally welcome, the one with exemplars.
        if open_metrics > 0 && open_metrics >= text { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// A weight (RFC 9110, 12.4.2) in thousandths.
fn thousandths(weight: &str) -> Option<u32> {
    let weight: f64 = weight.parse().ok()?;
    // In this range, the cast is exact enough and cannot overflow.
    (0.0..=1.0).contains(&weight).then_some((weight * 1000.0) as u32)
}

/// The text of Prometheus, made from that of OpenMetrics: counters are named as their samples are, there is neither an
/// end mark nor a unit nor an exemplar, and types are those of the older format.
pub(super) fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // In OpenMetrics, the help of a family comes before its type, on which the name depends here.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([without_exemplar(line), "\n"]);
        }
    }
    text
}

/// A sample without its exemplar, which stands after its value.
fn without_exemplar(sample: &str) -> &str {
    let labels = end_of_labels(sample);
    sample[labels..].find(" # ").map_or(sample, |value| &sample[..labels + value])
}

/// Where the labels of a sample end. Their values may contain anything, in quotes.
fn end_of_labels(sample: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in sample.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return at + 1,
            // There are no labels.
            b' ' if !is_quoted => return 0,
            _ => {}
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::EncodeLabelSet;
    use prometheus_client::metrics::exemplar::HistogramWithExemplars;
    use prometheus_client::metrics::family::Family;
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        let check = |accept: &[&'static [u8]], expected: Format| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_bytes(value).unwrap());
            }
            assert_eq!(Format::accepted(&headers), expected, "{headers:?}");
        };
        let prometheus_2_42: &[u8] = b"application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(&[prometheus_2_42], Format::OpenMetrics);
        check(&[b"application/openmetrics-text"], Format::OpenMetrics);
        check(&[b"Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.2"], Format::OpenMetrics);
        check(&[b"text/plain;q=0.5", b"application/openmetrics-text;q=0.6"], Format::OpenMetrics);
        check(&[b"*/*, application/openmetrics-text"], Format::OpenMetrics);
        check(&[], Format::Prometheus);
        check(&[b"*/*"], Format::Prometheus);
        check(&[b"text/plain; version=0.0.4"], Format::Prometheus);
        check(&[b"application/openmetrics-text;q=0.5, text/plain"], Format::Prometheus);
        check(&[b"application/openmetrics-text;q=0"], Format::Prometheus);
        check(&[b"application/openmetrics-text;version=2.0.0"], Format::Prometheus);
        check(&[b"application/openmetrics-text;q=NaN"], Format::Prometheus);
        check(&[b"application/openmetrics-text;q=2"], Format::Prometheus);
        check(&[b"application/json"], Format::Prometheus);
        check(&[b"\xff\xfe"], Format::Prometheus);
        check(&[b""], Format::Prometheus);
        check(&[b";;;,,,=;q=;q"], Format::Prometheus);
    }

    proptest! {
        #[test]
        fn any_accept_header_gets_a_format(value in "[\\x20-\\x7e]{0,200}") {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::try_from(value).unwrap())]);
            Format::accepted(&headers);
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Labels {
        name: &'static str,
    }

    #[test]
    fn the_text_of_prometheus_has_the_same_samples() {
        let metrics = Metrics::default();
        metrics.panics().inc();
        let seconds = Family::<Labels, HistogramWithExemplars<Labels>>::new_with_constructor(|| {
            HistogramWithExemplars::new([0.5].into_iter())
        });
        seconds.get_or_create(&Labels { name: "odd \" # {\\ \n}" }).observe(
            0.1,
            Some(Labels { name: "abc" }),
            None,
        );
        metrics.register("odd_seconds", "Odd", seconds);
        let open_metrics = metrics.encode();
        assert!(open_metrics.contains("} 1 # {name=\"abc\"} 0.1"), "{open_metrics}");
        let text = prometheus(&open_metrics);
        for line in [
            "# HELP panics_total Panics in calls, background tasks and threads.",
            "# TYPE panics_total counter",
            "panics_total 1",
            "# TYPE dataflow_build_info gauge",
            "# TYPE odd_seconds histogram",
            "odd_seconds_bucket{le=\"0.5\",name=\"odd \\\" # {\\\\ \\n}\"} 1",
            "odd_seconds_bucket{le=\"+Inf\",name=\"odd \\\" # {\\\\ \\n}\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# {name"), "{text}");
        let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(samples(&text), samples(&open_metrics));
    }
}
