//! When the certificates of a port end, as a metric that is read at each scrape, so that it follows a reload.

use std::fmt;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use rustls::pki_types::CertificateDer;

use super::ServerTls;
use super::der::{Element, Elements, GENERALIZED_TIME, SEQUENCE, UTC_TIME};

/// The tag of the version, which a certificate need not state (RFC 5280, 4.1).
const VERSION: u8 = 0xa0;

/// The certificates of the port of a role.
#[derive(Debug)]
pub(super) struct Expiry {
    pub(super) tls: ServerTls,
    pub(super) role: &'static str,
}

impl Collector for Expiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of a file of the port ends, since 1970",
        );
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let ends = self.tls.config.load().ends;
        for (file, end) in ["certificate", "client_ca"].into_iter().zip(ends) {
            if let Some(end) = end {
                let gauge = ConstGauge::new(i64::try_from(end).unwrap_or(i64::MAX));
                gauge.encode(metric.encode_family(&[("role", self.role), ("file", file)])?)?;
            }
        }
        Ok(())
    }
}

/// When the first of these certificates ends, in seconds since 1970. One that cannot be read does not count: rustls has
/// accepted it, so that its end is far off or long past.
pub(super) fn first_end(certificates: &[CertificateDer<'_>]) -> Option<u64> {
    certificates.iter().filter_map(|certificate| not_after(certificate)).min()
}

/// The end of a certificate: version, serial number, algorithm and issuer are before its validity.
fn not_after(certificate: &[u8]) -> Option<u64> {
    let signed = Elements(certificate).next()??.content_of(SEQUENCE)?;
    let fields = Elements(Elements(signed).next()??.content_of(SEQUENCE)?);
    let mut fields = fields.skip_while(|field| field.as_ref().is_some_and(|field| field.tag == VERSION));
    let validity = fields.nth(3)??.content_of(SEQUENCE)?;
    seconds(&Elements(validity).nth(1)??)
}

/// A time, which is always in UTC (RFC 5280, 4.1.2.5).
fn seconds(Element { tag, content }: &Element<'_>) -> Option<u64> {
    let text = str::from_utf8(content).ok()?.strip_suffix('Z').filter(|text| text.is_ascii())?;
    let (year, rest) = match *tag {
        // The years from 1950 to 2049.
        UTC_TIME if text.len() == 12 => {
            let century = if text.starts_with(['0', '1', '2', '3', '4']) { "20" } else { "19" };
            (format!("{century}{}", &text[..2]), &text[2..])
        }
        GENERALIZED_TIME if text.len() == 14 => (text[..4].to_owned(), &text[4..]),
        _ => return None,
    };
    let part = |at: usize| &rest[at..at + 2];
    let time = format!("{year}-{}-{}T{}:{}:{}Z", part(0), part(2), part(4), part(6), part(8));
    let time = humantime::parse_rfc3339(&time).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// 2030-01-01 and 2060-01-01, of which the second one needs four digits.
    const ENDS: [(i32, u64); 2] = [(2030, 1_893_456_000), (2060, 2_840_140_800)];

    fn certificate(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_first_certificate_that_ends_counts() {
        for (year, end) in ENDS {
            assert_eq!(first_end(&[certificate(year)]), Some(end), "{year}");
        }
        assert_eq!(first_end(&[certificate(2060), certificate(2030)]), Some(ENDS[0].1));
        assert_eq!(first_end(&[]), None);
        let broken = CertificateDer::from(vec![SEQUENCE, 3, SEQUENCE, 1, 0]);
        assert_eq!(first_end(&[broken, certificate(2030)]), Some(ENDS[0].1));
    }

    #[test]
    fn times_are_in_utc_and_complete() {
        let check = |tag: u8, text: &str, expected: Option<u64>| {
            assert_eq!(seconds(&Element { tag, content: text.as_bytes() }), expected, "{tag} {text}");
        };
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "491231235959Z", Some(2_524_607_999));
        check(UTC_TIME, "300101000000Z", Some(ENDS[0].1));
        check(GENERALIZED_TIME, "20600101000000Z", Some(ENDS[1].1));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        // Before 1970: none, as of what is no time.
        check(UTC_TIME, "500101000000Z", None);
        for wrong in
            ["", "Z", "3001010000Z", "300101000000", "301301000000Z", "3001010000+100Z", "30010100000\u{e9}Z"]
        {
            check(UTC_TIME, wrong, None);
        }
        check(GENERALIZED_TIME, "300101000000Z", None);
        check(SEQUENCE, "300101000000Z", None);
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_end() {
        let real = certificate(2030);
        for end in 0..real.len() / 4 {
            assert_eq!(not_after(&real[..end]), None, "{end}");
        }
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let _ = not_after(bytes);
            let _ = seconds(&Element { tag: UTC_TIME, content: bytes });
        });
    }
}
