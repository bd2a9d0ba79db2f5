//! A server that listens with TLS alone, under a certificate that an authority made for the occasion signed.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::server::{FORGETFUL, Server};

/// The authority's certificate, by which clients know the server.
const CA_FILE: &str = "ca.pem";

// === impl Server ===

impl Server {
    /// Starts a server that listens with TLS only, as `127.0.0.1` and `localhost`. [`command`](Self::command) does not
    /// reach it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn with_tls() -> Self {
        let server = Self::launch(&[], |port, directory| {
            certify(directory).expect("keys and names of the usual kind make certificates");
            // The port is for TLS alone: there is none without.
            format!(
                "{FORGETFUL}port 0\ntls-port {port}\ntls-auth-clients no\n\
                 tls-ca-cert-file {CA_FILE}\ntls-cert-file server.pem\ntls-key-file server.key\n"
            )
        });
        server.behind_tls()
    }

    /// The certificate of the authority that vouches for the server. Only [`with_tls`](Self::with_tls) makes one.
    pub fn ca_file(&self) -> PathBuf {
        self.directory().join(CA_FILE)
    }
}

/// Writes an authority's certificate, and a server's with its key.
fn certify(directory: &Path) -> Result<(), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // The two need different names: a certificate whose issuer is its subject passes for self-signed.
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
