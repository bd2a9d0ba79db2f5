//! Providers, and their validation.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;

use crate::Error;

/// Longest identifier, in bytes.
pub const MAX_ID: usize = 32;
/// Longest name, and longest URL, in bytes.
pub const MAX_TEXT: usize = 256;
/// Largest number of calls of a quota.
pub const MAX_CALLS: u32 = 1_000_000;
/// Longest period of a quota.
pub const MAX_PERIOD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// A provider of official statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// 1 to [`MAX_ID`] characters of `A-Z a-z 0-9 _ . -`.
    pub provider_id: String,
    /// The display name; at most [`MAX_TEXT`] bytes.
    pub display_name: String,
    /// The base URL of its service.
    pub base_url: String,
    /// The dialect of its service.
    pub dialect: Dialect,
    /// The maintenance agency to query; empty means the identifier.
    pub agency: String,
    /// The rate limit of data queries.
    pub data_quota: Option<Quota>,
    /// The rate limit of structure queries, if separate.
    pub structure_quota: Option<Quota>,
    /// Whether the URL may be plain HTTP.
    pub allow_plain_http: bool,
    /// Whether the URL may be in a private network.
    pub allow_private_address: bool,
    /// Whether it must not be called at present.
    pub disabled: bool,
    /// The terms of its data.
    pub terms: Terms,
}

/// The terms of a provider's data, for people; each at most [`MAX_TEXT`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The licence.
    pub license: String,
    /// The address of the terms of use.
    pub url: String,
    /// How the provider wishes to be named.
    pub attribution: String,
}

/// The protocol of a provider's service; see the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dialect {
    SdmxRest21,
    SdmxRest30,
}

/// A rate limit: this many calls per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// From 1 to [`MAX_CALLS`].
    pub calls: u32,
    /// From one second to [`MAX_PERIOD`].
    pub period: Duration,
}

// === impl Provider ===

impl Provider {
    /// Validates all fields.
    ///
    /// # Errors
    ///
    /// [`Error::ProviderInvalid`] with the first invalid field.
    pub fn validate(&self) -> Result<(), Error> {
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        let id = |text: &str| text.len() <= MAX_ID && plain(text);
        require(!self.provider_id.is_empty() && id(&self.provider_id), "provider_id", || {
            format!("must be 1 to {MAX_ID} characters of A-Z a-z 0-9 _ . -")
        })?;
        require(self.display_name.len() <= MAX_TEXT, "display_name", || {
            format!("must be at most {MAX_TEXT} bytes")
        })?;
        require(id(&self.agency), "agency", || {
            format!("must be at most {MAX_ID} characters of A-Z a-z 0-9 _ . -")
        })?;
        self.validate_url()?;
        self.terms.validate()?;
        for (field, quota) in [("data_quota", self.data_quota), ("structure_quota", self.structure_quota)] {
            let Some(Quota { calls, period }) = quota else { continue };
            require((1..=MAX_CALLS).contains(&calls), field, || {
                format!("calls must be from 1 to {MAX_CALLS}")
            })?;
            require((Duration::from_secs(1)..=MAX_PERIOD).contains(&period), field, || {
                "period must be from 1 second to 31 days".to_owned()
            })?;
        }
        Ok(())
    }

    fn validate_url(&self) -> Result<(), Error> {
        let invalid = |problem: &str| Error::ProviderInvalid {
            field: "base_url".to_owned(),
            problem: problem.to_owned(),
        };
        let uri: Uri = self.base_url.parse().map_err(|_| invalid("must be a URL"))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(invalid("must have a host"))?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.allow_plain_http => {}
            Some("http") => return Err(invalid("must be https, unless allow_plain_http is set")),
            _ => return Err(invalid("must be an https URL")),
        }
        let bare = uri.query().is_none() && !self.base_url.contains('#') && !self.base_url.contains('@');
        if !bare || self.base_url.len() > MAX_TEXT {
            return Err(invalid("must have neither query, fragment nor credentials, and at most 256 bytes"));
        }
        if is_private(host) && !self.allow_private_address {
            return Err(invalid("must not be a private address, unless allow_private_address is set"));
        }
        Ok(())
    }
}

// === impl Terms ===

impl Terms {
    fn validate(&self) -> Result<(), Error> {
        let texts =
            [("license", &self.license), ("terms_url", &self.url), ("attribution", &self.attribution)];
        for (field, text) in texts {
            let is_text = text.len() <= MAX_TEXT && !text.contains(char::is_control);
            require(is_text, field, || {
                format!("must be at most {MAX_TEXT} bytes without control characters")
            })?;
        }
        // It is shown as a link.
        let is_web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
        require(self.url.is_empty() || self.url.parse().is_ok_and(|uri| is_web(&uri)), "terms_url", || {
            "must be an http or https URL".to_owned()
        })
    }
}

/// Whether a host is a loopback, private or reserved address, or a name of a private domain. Other names are not
/// resolved here: the client checks the address again when it connects.
fn is_private(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let named = ["localhost", "local", "internal", "localdomain"];
    let private_name = named.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")));
    let private_address = |address: IpAddr| match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || shared
                || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    };
    let address: Option<IpAddr> = host.parse().ok();
    // An IPv4-mapped IPv6 address is that IPv4 address.
    let address = address.map(|address| address.to_canonical());
    // Numbers that some libraries parse as addresses although they are not written as such: 2130706433, 0x7f.1.
    let last = host.rsplit('.').next().unwrap_or_default();
    let odd_number =
        address.is_none() && (last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    private_name || odd_number || address.is_some_and(private_address)
}

fn require(condition: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Error> {
    if condition {
        Ok(())
    } else {
        Err(Error::ProviderInvalid { field: field.to_owned(), problem: problem() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        Provider {
            provider_id: "IT1".to_owned(),
            display_name: "ISTAT".to_owned(),
            base_url: "https://esploradati.istat.it/SDMXWS/rest".to_owned(),
            dialect: Dialect::SdmxRest21,
            agency: String::new(),
            data_quota: Some(Quota { calls: 5, period: Duration::from_secs(60) }),
            structure_quota: None,
            allow_plain_http: false,
            allow_private_address: false,
            disabled: false,
            terms: Terms::default(),
        }
    }

    /// The invalid field after `change` was applied to a valid provider.
    fn invalid_field(change: impl FnOnce(&mut Provider)) -> Option<String> {
        let mut provider = provider();
        change(&mut provider);
        match provider.validate() {
            Ok(()) => None,
            Err(Error::ProviderInvalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_limit_is_enforced_and_the_error_names_the_field() {
        let check = |change: fn(&mut Provider), expected: Option<&str>| {
            assert_eq!(invalid_field(change).as_deref(), expected)
        };
        check(|_| {}, None);
        check(|it| it.provider_id = "x".repeat(MAX_ID), None);
        check(|it| it.provider_id = "x".repeat(MAX_ID + 1), Some("provider_id"));
        check(|it| it.provider_id = String::new(), Some("provider_id"));
        check(|it| it.provider_id = "a/b".to_owned(), Some("provider_id"));
        check(|it| it.agency = "a b".to_owned(), Some("agency"));
        check(|it| it.display_name = "x".repeat(MAX_TEXT + 1), Some("display_name"));
        check(|it| it.terms.license = "x".repeat(MAX_TEXT), None);
        check(|it| it.terms.license = "x".repeat(MAX_TEXT + 1), Some("license"));
        check(|it| it.terms.attribution = "a\nb".to_owned(), Some("attribution"));
        check(|it| it.terms.url = "https://example.org/terms".to_owned(), None);
        check(|it| it.terms.url = "javascript:alert(1)".to_owned(), Some("terms_url"));
        check(|it| it.terms.url = "terms".to_owned(), Some("terms_url"));
        let quota = |calls, seconds| Some(Quota { calls, period: Duration::from_secs(seconds) });
        assert_eq!(invalid_field(|it| it.data_quota = quota(MAX_CALLS, 1)), None);
        assert_eq!(invalid_field(|it| it.data_quota = quota(0, 1)).as_deref(), Some("data_quota"));
        assert_eq!(invalid_field(|it| it.structure_quota = quota(1, 0)).as_deref(), Some("structure_quota"));
        assert_eq!(
            invalid_field(|it| it.structure_quota = quota(1, 31 * 24 * 3600 + 1)).as_deref(),
            Some("structure_quota")
        );
    }

    #[test]
    fn a_url_is_https_and_public_unless_allowed_otherwise() {
        let check = |url: &str, is_valid: bool| {
            assert_eq!(invalid_field(|it| it.base_url = url.to_owned()).is_none(), is_valid, "{url}");
        };
        check("https://ec.europa.eu/eurostat/api/dissemination/sdmx/2.1", true);
        check("https://8.8.8.8/rest", true);
        check("http://ec.europa.eu/", false);
        check("ftp://ec.europa.eu/", false);
        check("ec.europa.eu", false);
        check("", false);
        check("https://", false);
        check("https://x.eu/?a=b", false);
        check("https://user:pass@x.eu/", false);
        for host in [
            "localhost",
            "redis.internal",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "2130706433",
            "0x7f.1",
        ] {
            check(&format!("https://{host}/"), false);
            let allowed = |it: &mut Provider| {
                it.base_url = format!("http://{host}/");
                (it.allow_plain_http, it.allow_private_address) = (true, true);
            };
            assert_eq!(invalid_field(allowed), None, "{host}");
        }
    }
}
