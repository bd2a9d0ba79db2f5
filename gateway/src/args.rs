//! The flags of the gateway.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::outbound::{NotAnUpstream, Upstream};
use dataflow_mesh::tls::{ServerTls, TlsError};

use crate::auth::AuthArgs;
use crate::rate_limit::RateLimitArgs;
use crate::refusals::RefusalArgs;

/// The flags of `dataflow gateway`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of the public port: REST and gRPC.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub upstreams: UpstreamArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub public: PublicArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
}

/// The upstreams of the gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct UpstreamArgs {
    /// Address of the analysis service.
    #[arg(long, env = "DATAFLOW_ANALYSIS_URL", default_value = "http://127.0.0.1:8081", value_name = "URL")]
    pub analysis_url: Upstream,

    /// Address of the cache service.
    #[arg(long, env = "DATAFLOW_CACHE_URL", default_value = "http://127.0.0.1:8082", value_name = "URL")]
    pub cache_url: Upstream,

    /// Address of the config service.
    #[arg(long, env = "DATAFLOW_CONFIG_URL", default_value = "http://127.0.0.1:8083", value_name = "URL")]
    pub config_url: Upstream,

    /// Address by which every replica of the analysis service is reached, to list and reset all their circuit breakers:
    /// `dns://HOST:PORT` or a list. By default `--analysis-url`, behind which a mesh chooses one replica.
    #[arg(long, env = "DATAFLOW_ANALYSIS_REPLICAS", value_name = "URL")]
    pub analysis_replicas: Option<Upstream>,

    /// The same for the cache service.
    #[arg(long, env = "DATAFLOW_CACHE_REPLICAS", value_name = "URL")]
    pub cache_replicas: Option<Upstream>,

    /// The same for the config service.
    #[arg(long, env = "DATAFLOW_CONFIG_REPLICAS", value_name = "URL")]
    pub config_replicas: Option<Upstream>,

    /// A `FileDescriptorSet` that defines the services and their REST routes, instead of the built-in one.
    #[arg(long, env = "DATAFLOW_DESCRIPTORS", value_name = "FILE")]
    pub descriptors: Option<PathBuf>,

    /// Address of a service, as `package.Service=http://HOST:PORT`; further addresses and further services follow after
    /// commas, or as further flags. It takes precedence over `--analysis-url`, `--cache-url` and `--config-url`.
    #[arg(long = "upstream", env = "DATAFLOW_UPSTREAM", value_name = "SERVICE=URL")]
    pub upstreams: Vec<ServicesAt>,

    /// Whether `authorization`, `cookie` and `x-api-key` go on to services that `--upstream` names. They never go to
    /// the services of this project. Default: true unless the gateway authenticates callers.
    #[arg(long, env = "DATAFLOW_FORWARD_AUTHORIZATION", value_name = "WHICH")]
    pub forward_authorization: Option<bool>,
}

/// The packages of our services: what callers present ends before them, wherever they are.
const OUR_PACKAGES: [&str; 5] =
    ["dataflow.analysis.", "dataflow.cache.", "dataflow.catalogue.", "dataflow.config.", "dataflow.mesh."];

/// The flags of the public port.
#[derive(Debug, Clone, clap::Args)]
pub struct PublicArgs {
    /// Allow listening on a non-loopback address although callers are not authenticated. Where they are, callers
    /// without credentials get the scope `read`.
    #[arg(long, env = "DATAFLOW_ALLOW_ANONYMOUS", value_parser = FalseyValueParser::new())]
    pub allow_anonymous: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub auth: AuthArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub rates: RateLimitArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub refusals: RefusalArgs,

    /// File with the certificate of the public port in PEM, followed by those that lead to its root: the port then
    /// speaks TLS only. Reloaded when it changes. Needs `--tls-key`.
    #[arg(long, env = "DATAFLOW_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// File with the private key of the certificate in PEM.
    #[arg(long, env = "DATAFLOW_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Largest body of a REST request that is buffered; a document that is streamed has no such limit.
    #[arg(long, env = "DATAFLOW_MAX_BODY_BYTES", default_value = "32MiB", value_name = "SIZE")]
    pub max_body_bytes: ByteSize,

    /// Most parts of a body of `multipart/form-data`, each of which is a document of a stream.
    #[arg(long, env = "DATAFLOW_MAX_PARTS", default_value = "64", value_name = "N")]
    pub max_parts: NonZeroUsize,

    /// Longest headers of one part.
    #[arg(long, env = "DATAFLOW_MAX_PART_HEADER_BYTES", default_value = "8KiB", value_name = "SIZE")]
    pub max_part_header_bytes: ByteSize,

    /// Longest request target (path and query) of a REST request.
    #[arg(long, env = "DATAFLOW_MAX_TARGET_BYTES", default_value = "16KiB", value_name = "SIZE")]
    pub max_target_bytes: ByteSize,
}

/// Why the public port cannot speak TLS as the flags say.
#[derive(Debug, thiserror::Error)]
pub enum NotSecure {
    /// One of the two flags is missing.
    #[error("{given} needs {missing}")]
    Incomplete {
        /// The flag that is there.
        given: &'static str,
        /// The flag that is not.
        missing: &'static str,
    },
    /// A file cannot be used.
    #[error("TLS: {0}")]
    File(#[from] TlsError),
}

/// The address of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAt {
    /// The service's full name.
    pub service: String,
    /// Its address.
    pub upstream: Upstream,
}

/// The addresses of several services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicesAt(pub Vec<ServiceAt>);

/// Why a text is not the address of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAServiceAt {
    /// The name before the address is missing.
    #[error("{given:?} names no service: expected package.Service=http://HOST:PORT")]
    Nameless {
        /// The text.
        given: String,
    },
    /// The address is invalid.
    #[error(transparent)]
    Upstream(#[from] NotAnUpstream),
}

impl FromStr for ServiceAt {
    type Err = NotAServiceAt;

    fn from_str(given: &str) -> Result<Self, NotAServiceAt> {
        match given.split_once('=') {
            Some((service, url)) if !service.is_empty() => {
                Ok(Self { service: service.to_owned(), upstream: url.parse()? })
            }
            _ => Err(NotAServiceAt::Nameless { given: given.to_owned() }),
        }
    }
}

impl FromStr for ServicesAt {
    type Err = NotAServiceAt;

    fn from_str(given: &str) -> Result<Self, NotAServiceAt> {
        // A part that names no service is a further address of the one before it.
        let mut each: Vec<String> = Vec::new();
        for part in given.split(',') {
            match each.last_mut() {
                Some(last) if !part.contains('=') => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => each.push(part.to_owned()),
            }
        }
        each.iter().map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl UpstreamArgs {
    /// The services that have addresses of their own.
    pub fn services(&self) -> impl Iterator<Item = &ServiceAt> {
        self.upstreams.iter().flat_map(|several| &several.0)
    }

    /// The address of a service: its own if there is one, else that of our service with the same package.
    pub fn of(&self, service: &str) -> Option<Upstream> {
        if let Some(own) = self.services().find(|own| own.service == service) {
            return Some(own.upstream.clone());
        }
        let ours = [
            ("dataflow.analysis.", &self.analysis_url),
            ("dataflow.cache.", &self.cache_url),
            ("dataflow.catalogue.", &self.analysis_url),
            ("dataflow.config.", &self.config_url),
        ];
        let found = ours.into_iter().find(|(package, _)| service.starts_with(package));
        found.map(|(_, upstream)| upstream.clone())
    }

    /// The services that get what callers present.
    pub(crate) fn credential_receivers(&self, authenticates: bool) -> HashSet<String> {
        if !self.forward_authorization.unwrap_or(!authenticates) {
            return HashSet::new();
        }
        let named = self.services().map(|at| at.service.clone());
        named.filter(|service| !OUR_PACKAGES.iter().any(|package| service.starts_with(package))).collect()
    }

    /// The address by which every replica of an upstream is reached.
    pub(crate) fn replicas_of(&self, upstream: &Upstream) -> Upstream {
        let ours = [
            (&self.analysis_url, &self.analysis_replicas),
            (&self.cache_url, &self.cache_replicas),
            (&self.config_url, &self.config_replicas),
        ];
        let replicas =
            ours.into_iter().filter(|(url, _)| *url == upstream).find_map(|(_, replicas)| replicas.clone());
        replicas.unwrap_or_else(|| upstream.clone())
    }
}

impl PublicArgs {
    pub(crate) fn max_body(&self) -> usize {
        usize::try_from(self.max_body_bytes.as_u64()).unwrap_or(usize::MAX)
    }

    /// The certificate of the public port, if it speaks TLS.
    pub(crate) fn tls(&self) -> Result<Option<ServerTls>, NotSecure> {
        let client_ca = self.auth.tls_client_ca.as_deref();
        match (&self.tls_cert, &self.tls_key) {
            (None, None) if client_ca.is_some() => {
                Err(NotSecure::Incomplete { given: "--tls-client-ca", missing: "--tls-cert" })
            }
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(ServerTls::read(certificate, key, client_ca)?)),
            (Some(_), None) => Err(NotSecure::Incomplete { given: "--tls-cert", missing: "--tls-key" }),
            (None, Some(_)) => Err(NotSecure::Incomplete { given: "--tls-key", missing: "--tls-cert" }),
        }
    }

    pub(crate) fn max_part_header(&self) -> usize {
        usize::try_from(self.max_part_header_bytes.as_u64()).unwrap_or(usize::MAX)
    }

    pub(crate) fn max_target(&self) -> usize {
        usize::try_from(self.max_target_bytes.as_u64()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_services_follow_after_commas() {
        let check = |given: &str, expected: &[(&str, &str)]| {
            let read = given.parse::<ServicesAt>().unwrap().0;
            let read: Vec<_> = read.iter().map(|at| (at.service.as_str(), at.upstream.to_string())).collect();
            let expected: Vec<_> =
                expected.iter().map(|(service, url)| (*service, (*url).to_owned())).collect();
            assert_eq!(read, expected, "{given}");
        };
        check("a.B=http://h:1", &[("a.B", "http://h:1/")]);
        check("a.B=http://h:1,http://h:2", &[("a.B", "http://h:1/,http://h:2/")]);
        check(
            "a.B=http://h:1,http://h:2,c.D=dns://h:3",
            &[("a.B", "http://h:1/,http://h:2/"), ("c.D", "dns://h:3")],
        );
        check("a.B=http://h:1, c.D=http://h:2", &[("a.B", "http://h:1/"), ("c.D", "http://h:2/")]);
        for invalid in ["", "http://h:1", "a.B=http://h:1,", "a.B=http://h:1,h:2"] {
            assert!(invalid.parse::<ServicesAt>().is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn the_first_equals_sign_separates_service_and_address() {
        let check = |given: &str, expected: Option<(&str, &str)>| {
            let read = given.parse::<ServiceAt>().ok();
            let read = read.map(|at| (at.service, at.upstream.to_string()));
            assert_eq!(read, expected.map(|(service, url)| (service.to_owned(), url.to_owned())), "{given}");
        };
        check("a.v1.B=http://h:1", Some(("a.v1.B", "http://h:1/")));
        check("a.v1.B", None);
        check("=http://h:1", None);
        check("a.v1.B=h:1", None);
    }
}
