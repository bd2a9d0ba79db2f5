//! TLS: the certificate of a port and the CA of its clients, reloaded when their files change, and what a client trusts
//! and presents. Only TLS 1.2 and 1.3, by the cryptography of ring.

mod client_certificate;
mod der;
mod expiry;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WantsClientCert;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::metrics::Metrics;
use crate::reload;

pub use client_certificate::ClientCertificate;
use expiry::Expiry;

/// The protocols of a port, the preferred one first.
const OF_SERVERS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The protocol of our own calls.
const OF_CLIENTS: [&[u8]; 1] = [b"h2"];

/// The certificate and the key of a port, and the CA of its clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerTls {
    files: Arc<ServerFiles>,
    config: Arc<ArcSwap<Loaded>>,
}

#[derive(Debug)]
struct ServerFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the files had when they were read.
#[derive(Debug)]
struct Loaded {
    files: [Vec<u8>; 3],
    config: Arc<ServerConfig>,
    /// When the first certificate ends, of the port and of the CA of its clients.
    ends: [Option<u64>; 2],
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
    /// A certificate cannot be used, or does not belong to its key.
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
    /// Reads the certificate, followed by those that lead to its root, its key, and the certificates by which those of
    /// clients are verified, if clients may present any; all in PEM.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used.
    pub fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let files = ServerFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        let config = Arc::new(ArcSwap::from_pointee(Loaded::read(&files)?));
        Ok(Self { files: Arc::new(files), config })
    }

    /// Reloads the files when one of them changes, without end.
    pub async fn follow(self) {
        let Self { files, config } = self;
        let read = Arc::clone(&files);
        reload::follow(&files.certificate, &config, move || Loaded::read(&read)).await;
    }

    /// Shows in the metrics of a role when the certificates end.
    pub(crate) fn show(&self, role: &'static str, metrics: &Metrics) {
        metrics.collect(Expiry { tls: self.clone(), role });
    }

    /// The handshake of a connection, and the verified certificate of its client, if it presented one.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(server::TlsStream<TcpStream>, Option<ClientCertificate>)> {
        let config = Arc::clone(&self.config.load().config);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let presented = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = presented.map(ClientCertificate::of);
        Ok((stream, certificate))
    }
}

// === impl Loaded ===

impl Loaded {
    fn read(files: &ServerFiles) -> Result<Self, TlsError> {
        let ServerFiles { certificate, key, client_ca } = files;
        let client_roots = client_ca.as_ref().map(|file| read(file)).transpose()?.unwrap_or_default();
        let files = [read(certificate)?, read(key)?, client_roots];
        let chain = certificates(&files[0]).ok_or_else(|| pem(certificate, "certificate"))?;
        let secret = private_key(key, &files[1])?;
        let of_clients = certificates(&files[2]).unwrap_or_default();
        let ends = [&chain, &of_clients].map(|all| expiry::first_end(all));
        let wrong = |error: rustls::Error| unusable(certificate, &error);
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(roots(file, &files[2])?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::new(default_provider()));
                // Clients without a certificate present other credentials, or none.
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| unusable(file, &error))?)
            }
        };
        let mut config = builder.with_single_cert(chain, secret).map_err(wrong)?;
        config.alpn_protocols = OF_SERVERS.map(<[u8]>::to_vec).to_vec();
        if client_ca.is_some() {
            // A resumed session would keep the certificate of its first handshake, which may have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { files, config: Arc::new(config), ends })
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
        let config = Self::verifying(file)?.with_no_client_auth();
        Ok(Self::of(config))
    }

    /// The same, and presents a certificate, followed by those that lead to its root, to servers that ask for one.
    ///
    /// # Errors
    ///
    /// If there is nothing to trust, or the certificate and its key cannot be used.
    pub fn presenting(file: Option<&Path>, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(&read(certificate)?).ok_or_else(|| pem(certificate, "certificate"))?;
        let secret = private_key(key, &read(key)?)?;
        let config = Self::verifying(file)?.with_client_auth_cert(chain, secret);
        Ok(Self::of(config.map_err(|error| unusable(certificate, &error))?))
    }

    fn verifying(file: Option<&Path>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
        let roots = match file {
            Some(file) => roots(file, &read(file)?)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsError::NoRoots);
                }
                roots
            }
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has both versions");
        Ok(builder.with_root_certificates(roots))
    }

    fn of(mut config: ClientConfig) -> Self {
        config.alpn_protocols = OF_CLIENTS.map(<[u8]>::to_vec).to_vec();
        Self(TlsConnector::from(Arc::new(config)))
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

fn private_key(file: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|_| pem(file, "private key"))
}

/// The certificates in the text of a file, as those that are trusted.
fn roots(file: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(text).ok_or_else(|| pem(file, "certificate"))? {
        roots.add(root).map_err(|_| pem(file, "certificate"))?;
    }
    Ok(roots)
}

fn pem(file: &Path, expected: &'static str) -> TlsError {
    TlsError::Pem { file: file.to_owned(), expected }
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::Unusable { file: file.to_owned(), problem: error.to_string() }
}

/// All certificates of a text in PEM; none if there is none, or one is malformed.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests;
