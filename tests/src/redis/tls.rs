//! A server that listens only with TLS, with a certificate that a temporary authority signed.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::server::{NO_PERSISTENCE, Server};

/// The authority's certificate, with which clients verify the server.
const CA_FILE: &str = "ca.pem";

// === impl Server ===

impl Server {
    /// Starts a server that listens only with TLS, as `127.0.0.1` and `localhost`. [`command`](Self::command) does not
    /// work with it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn with_tls() -> Self {
        let server = Self::launch(&[], |port, directory| {
            certify(directory).expect("valid keys and names make certificates");
            // No port without TLS.
            format!(
                "{NO_PERSISTENCE}port 0\ntls-port {port}\ntls-auth-clients no\n\
                 tls-ca-cert-file {CA_FILE}\ntls-cert-file server.pem\ntls-key-file server.key\n"
            )
        });
        server.behind_tls()
    }

    /// The certificate of the authority that signed the server's. Only [`with_tls`](Self::with_tls) creates it.
    pub fn ca_file(&self) -> PathBuf {
        self.directory().join(CA_FILE)
    }
}

/// Writes the authority's certificate, and the server's with its key.
fn certify(directory: &Path) -> Result<(), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // The names must differ: a certificate whose issuer equals its subject counts as self-signed.
    authority.distinguished_name.push(DnType::CommonName, "authority of a test");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    server.use_authority_key_identifier_extension = true;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, "server of a test");
    let key = KeyPair::generate()?;
    let server = server.signed_by(&key, &authority)?;

    let files =
        [(CA_FILE, authority.pem()), ("server.pem", server.pem()), ("server.key", key.serialize_pem())];
    for (name, pem) in files {
        fs::write(directory.join(name), pem).expect("a new directory takes files");
    }
    Ok(())
}
