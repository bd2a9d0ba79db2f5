//! Certificates of servers and clients, signed by an authority of a test.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;

/// An authority, and a directory with its certificate and those that it signs. The directory ends with it.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate in PEM.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Authority ===

impl Authority {
    /// An authority with a key of its own.
    ///
    /// # Panics
    ///
    /// If its certificate cannot be written.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", fastrand::u64(..)));
        let key = KeyPair::generate().expect("there is randomness");
        let root = params.self_signed(&key).expect("the parameters are valid");
        std::fs::write(directory.path().join("ca.pem"), root.pem()).expect("it can be written");
        Self { issuer: Issuer::new(params, key), directory }
    }

    /// The file of its certificate.
    pub fn root(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate of a server, for `localhost`.
    pub fn server(&self) -> Files {
        let name = SanType::DnsName("localhost".try_into().expect("it is ASCII"));
        self.sign("server", None, vec![name], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate of a client with this common name and these URIs. `file` names its files.
    ///
    /// # Panics
    ///
    /// If a URI is not ASCII.
    pub fn client(&self, file: &str, common_name: Option<&str>, uris: &[&str]) -> Files {
        let uri = |uri: &&str| SanType::URI((*uri).try_into().expect("it is ASCII"));
        let names = uris.iter().map(uri).collect();
        self.sign(file, common_name, names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        file: &str,
        common_name: Option<&str>,
        names: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Files {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        let files = Files {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}-key.pem")),
        };
        write(&files.certificate, &certificate.pem());
        write(&files.key, &key.serialize_pem());
        files
    }
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a file of a test can be written");
}
