//! Certificates as a mesh issues them: one authority, and a SPIFFE identity for each service account.

use dataflow_tests::envoy::message;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};

/// The certificate authority.
pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// The certificate and key of one service account, and its trust anchors.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) account: String,
    certificate: String,
    key: String,
    authority: String,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate for a service account in the namespace of the policies.
    pub(crate) fn identity(&self, account: &str) -> Identity {
        let mut params = named(account);
        params.subject_alt_names = vec![SanType::URI(spiffe(account).try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        Identity {
            account: account.to_owned(),
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
            authority: self.certificate.clone(),
        }
    }
}

/// Parameters with a name; without distinct names a certificate would look self-signed.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn spiffe(account: &str) -> String {
    format!("spiffe://cluster.local/ns/dataflow/sa/{account}")
}

// === impl Identity ===

impl Identity {
    /// The TLS context of a server, which requires client certificates.
    pub(crate) fn server(&self) -> Value {
        let context = json!({
            "@type": message("transport_sockets.tls.v3.DownstreamTlsContext"),
            "require_client_certificate": true,
            "common_tls_context": self.context(&[]),
        });
        json!({ "name": "tls", "typed_config": context })
    }

    /// The TLS context of a client, which verifies the identity of `peer`.
    pub(crate) fn client(&self, peer: &str) -> Value {
        let expected = json!({ "san_type": "URI", "matcher": { "exact": spiffe(peer) } });
        let context = json!({
            "@type": message("transport_sockets.tls.v3.UpstreamTlsContext"),
            "common_tls_context": self.context(&[expected]),
        });
        json!({ "name": "tls", "typed_config": context })
    }

    fn context(&self, peers: &[Value]) -> Value {
        let inline = |pem: &str| json!({ "inline_string": pem });
        let mut trusted = json!({ "trusted_ca": inline(&self.authority) });
        if !peers.is_empty() {
            trusted["match_typed_subject_alt_names"] = json!(peers);
        }
        json!({
            "alpn_protocols": ["h2"],
            "tls_certificates": [{ "certificate_chain": inline(&self.certificate), "private_key": inline(&self.key) }],
            "validation_context": trusted,
        })
    }
}
