//! Whom the certificate of a client names. The handshake has verified the certificate before; here only its names are
//! read, once per connection.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::der::{Elements, OBJECT_IDENTIFIER, SEQUENCE, SET};

/// The most bytes of an identity: with a prefix it is still a subject of 256 bytes.
const MAX_IDENTITY: usize = 250;

/// The object identifier of the common name, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The certificate that the client of a connection presented, verified against the CA of the port. Every request of
/// that connection has it as an extension. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    identity: Option<Arc<str>>,
}

// === impl ClientCertificate ===

impl ClientCertificate {
    /// The names of a certificate that the handshake has verified.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        let identity = EndEntityCert::try_from(certificate).ok().and_then(|certificate| {
            let uri = certificate.valid_uri_names().next().map(str::to_owned);
            // A CA may check names less than URIs, so that a name must not look like one.
            uri.or_else(|| common_name(certificate.subject()).filter(|name| !name.contains("://")))
        });
        Self { identity: identity.filter(|identity| is_identity(identity)).map(Arc::from) }
    }

    /// The first URI among the alternative names, or else the common name of the subject. None if there is neither, if
    /// the subject has several common names or one that looks like a URI, or if the identity is empty, has a control
    /// character or more than 250 bytes.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }
}

fn is_identity(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_IDENTITY && !text.chars().any(char::is_control)
}

/// The only common name of a subject, given without its outer tag and length.
fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = None;
    for relative_name in Elements(subject) {
        for attribute in Elements(relative_name?.content_of(SET)?) {
            let mut parts = Elements(attribute?.content_of(SEQUENCE)?);
            let is_common_name = parts.next()??.content_of(OBJECT_IDENTIFIER)? == COMMON_NAME;
            let value = parts.next()??;
            // Which of several is meant depends on who reads them.
            if is_common_name && found.replace(value.text()?).is_some() {
                return None;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;
    use crate::tls::der::{PRINTABLE_STRING, UTF8_STRING};

    fn identity(common_name: Option<DnValue>, names: &[SanType]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "acme");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientCertificate::of(certificate.der()).identity().map(str::to_owned)
    }

    #[test]
    fn the_first_uri_is_the_identity_or_else_the_common_name() {
        let text = |name: &str| Some(DnValue::Utf8String(name.to_owned()));
        let uri = |name: &str| SanType::URI(name.try_into().unwrap());
        let dns = SanType::DnsName("ada.example.org".try_into().unwrap());
        let check = |name: Option<DnValue>, names: &[SanType], expected: Option<&str>| {
            assert_eq!(identity(name.clone(), names).as_deref(), expected, "{name:?} {names:?}");
        };
        check(text("ada"), &[], Some("ada"));
        check(text("Zoë, of acme"), std::slice::from_ref(&dns), Some("Zoë, of acme"));
        check(Some(DnValue::PrintableString("ada".try_into().unwrap())), &[], Some("ada"));
        check(Some(DnValue::Ia5String("ada".try_into().unwrap())), &[], Some("ada"));
        check(Some(DnValue::TeletexString("ada".try_into().unwrap())), &[], None);
        check(Some(DnValue::BmpString("ada".try_into().unwrap())), &[], None);
        check(
            text("ada"),
            &[dns.clone(), uri("spiffe://acme/b"), uri("spiffe://acme/c")],
            Some("spiffe://acme/b"),
        );
        check(None, &[uri("spiffe://acme/b")], Some("spiffe://acme/b"));
        check(None, &[], None);
        check(None, &[dns], None);
        check(text(""), &[], None);
        check(text("a\nb"), &[], None);
        check(text("spiffe://acme/b"), &[], None);
        // A URI that cannot be an identity is not replaced by a name that the CA may check less.
        check(text("ada"), &[uri("a\tb")], None);
        let longest = "x".repeat(MAX_IDENTITY);
        check(text(&longest), &[], Some(&longest));
        check(text(&format!("{longest}x")), &[], None);
        check(text("ada"), &[uri(&format!("{longest}x"))], None);
    }

    #[test]
    fn a_subject_has_one_common_name() {
        let name = |tag: u8, oid: &[u8], value: &[u8]| {
            let wrap = |tag: u8, content: &[u8]| {
                let length = u8::try_from(content.len()).unwrap();
                [&[tag, length][..], content].concat()
            };
            let pair = [wrap(OBJECT_IDENTIFIER, oid), wrap(tag, value)].concat();
            wrap(SET, &wrap(SEQUENCE, &pair))
        };
        let ada = name(UTF8_STRING, &COMMON_NAME, b"ada");
        let unit = name(UTF8_STRING, &[0x55, 0x04, 0x0b], b"unit");
        let check = |subject: &[u8], expected: Option<&str>| {
            assert_eq!(common_name(subject).as_deref(), expected, "{subject:x?}");
        };
        check(&ada, Some("ada"));
        check(&[unit.clone(), ada.clone(), unit.clone()].concat(), Some("ada"));
        check(&[ada.clone(), ada.clone()].concat(), None);
        check(&unit, None);
        check(&[], None);
        check(&name(PRINTABLE_STRING, &COMMON_NAME, "\u{eb}".as_bytes()), None);
        check(&name(UTF8_STRING, &COMMON_NAME, &[0xff]), None);
        for end in 1..ada.len() {
            check(&ada[..end], None);
        }
        // A name that is malformed after the common name is not one with fewer parts.
        check(&[&ada[..], &[SET, 0x83, 0, 0, 1, 0]].concat(), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_name_no_identity() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            // Neither panics, and what is no text cannot be found.
            let found = common_name(bytes);
            assert!(found.is_none_or(|name| name.len() < bytes.len()));
            let certificate = CertificateDer::from_slice(bytes);
            let _ = ClientCertificate::of(&certificate);
        });
    }
}
