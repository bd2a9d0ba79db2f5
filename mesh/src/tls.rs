//! TLS: the certificate of a port, reloaded when its files change, and what a client trusts. Only TLS 1.2 and 1.3, by
//! the cryptography of ring.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::reload;

/// The protocols of a port, the preferred one first.
const OF_SERVERS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The protocol of our own calls.
const OF_CLIENTS: [&[u8]; 1] = [b"h2"];

/// The certificate and the key of a port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerTls {
    certificate: Arc<Path>,
    key: Arc<Path>,
    config: Arc<ArcSwap<Loaded>>,
}

/// What the files had when they were read.
#[derive(Debug)]
struct Loaded {
    files: [Vec<u8>; 2],
    config: Arc<ServerConfig>,
}

/// What a client trusts. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(TlsConnector);

/// Why files cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has something else than it should.
    #[error("{}: it has no {expected} in PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What it should have.
        expected: &'static str,
    },
    /// The certificate and the key cannot be used, or do not belong together.
    #[error("{}: {problem}", file.display())]
    Unusable {
        /// The file of the certificate.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// The system has no certificates that a client could trust.
    #[error("the system has no certificates to trust: name those of the server")]
    NoRoots,
}

// === impl ServerTls ===

impl ServerTls {
    /// Reads the certificate, followed by those that lead to its root, and its key, both in PEM.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let loaded = Loaded::read(certificate, key)?;
        let config = Arc::new(ArcSwap::from_pointee(loaded));
        Ok(Self { certificate: certificate.into(), key: key.into(), config })
    }

    /// Reloads the certificate and the key when their files change, without end.
    pub async fn follow(self) {
        let Self { certificate, key, config } = self;
        let file = Arc::clone(&certificate);
        reload::follow(&file, &config, move || Loaded::read(&certificate, &key)).await;
    }

    /// The handshake of a connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.load().config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

// === impl Loaded ===

impl Loaded {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = [read(certificate)?, read(key)?];
        let pem = |file: &Path, expected| TlsError::Pem { file: file.to_owned(), expected };
        let chain = certificates(&files[0]).ok_or_else(|| pem(certificate, "certificate"))?;
        let secret = PrivateKeyDer::from_pem_slice(&files[1]).map_err(|_| pem(key, "private key"))?;
        let unusable = |error: rustls::Error| TlsError::Unusable {
            file: certificate.to_owned(),
            problem: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(unusable)?;
        config.alpn_protocols = OF_SERVERS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { files, config: Arc::new(config) })
    }
}

impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Trusts the certificates of this file, or those of the system.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn trusting(file: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match file {
            Some(file) => {
                let pem = || TlsError::Pem { file: file.to_owned(), expected: "certificate" };
                for root in certificates(&read(file)?).ok_or_else(pem)? {
                    roots.add(root).map_err(|_| pem())?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsError::NoRoots);
                }
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has both versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = OF_CLIENTS.map(<[u8]>::to_vec).to_vec();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// The handshake with a host.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Io { file: file.to_owned(), source })
}

/// All certificates of a text in PEM; none if there is none, or one is malformed.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}
