//! Creates links: address, credentials and TLS of the connections, and the circuit breaker of each.

use std::num::NonZeroU32;
use std::time::Duration;

use dataflow_mesh::breaker::{self, Breakers};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode,
};
use secrecy::{ExposeSecret, SecretString};

use super::Settings;
use super::address::{Address, Mode, Node};
use super::link::Link;
use super::metrics::RedisMetrics;
use crate::signals::Hub;

/// The circuit breaker opens after this many failures in a row, or after this long without a reply.
const MAX_FAILURES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");
const MAX_SILENCE: Duration = Duration::from_secs(1);

/// While it is open, one probe passes per interval; a successful probe closes it.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const ONE_PROBE: NonZeroU32 = NonZeroU32::MIN;

/// Creates links.
pub(super) struct Connector {
    settings: Settings,
    breakers: Breakers,
    metrics: RedisMetrics,
    /// The role of this process, for the names of the breakers.
    role: String,
    hub: Hub,
}

// === impl Connector ===

impl Connector {
    /// Fails if the certificates cannot be read.
    pub(super) fn new(
        settings: Settings,
        breakers: Breakers,
        metrics: RedisMetrics,
        role: &str,
        hub: Hub,
    ) -> RedisResult<Self> {
        if settings.address.tls {
            // An error means that another component has already installed one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let this = Self { settings, breakers, metrics, role: role.to_owned(), hub };
        this.client(&this.address().nodes[0])?;
        Ok(this)
    }

    pub(super) fn address(&self) -> &Address {
        &self.settings.address
    }

    /// The timeout of one call.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// A link to the only primary, whichever server that is at present.
    pub(super) fn to_only_primary(&self, node: Node) -> RedisResult<Link> {
        let primary_only = self.address().mode != Mode::Standalone;
        self.link(node, format!("{}/redis", self.role), primary_only)
    }

    /// A link to a node of the Cluster.
    pub(super) fn to_cluster_node(&self, node: Node) -> RedisResult<Link> {
        let breaker = self.breaker_name(&node);
        // Replicas are accepted: they know the topology too, and redirect with MOVED.
        self.link(node, breaker, false)
    }

    /// Removes the breaker of a node that is no longer a primary.
    pub(super) fn forget(&self, node: &Node) {
        self.breakers.forget(&self.breaker_name(node));
    }

    /// The client of the Sentinels.
    pub(super) fn sentinel_client(&self, service: &str) -> RedisResult<SentinelClient> {
        let nodes: Vec<_> = self.address().nodes.iter().map(|node| self.endpoint(node)).collect();
        let mut builder = SentinelClientBuilder::new(nodes, service, SentinelServerType::Master)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_db(self.address().database);
        if let Some(username) = self.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = self.password() {
            builder = builder.set_client_to_redis_password(password.expose_secret());
        }
        if self.address().tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if let Some(certificates) = self.certificates() {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates);
            }
        }
        builder.build()
    }

    fn username(&self) -> Option<&String> {
        self.address().username.as_ref().or(self.settings.username.as_ref())
    }

    fn password(&self) -> Option<&SecretString> {
        self.address().password.as_ref().or(self.settings.password.as_ref())
    }

    fn breaker_name(&self, node: &Node) -> String {
        format!("{}/redis.{node}", self.role)
    }

    fn link(&self, node: Node, breaker: String, primary_only: bool) -> RedisResult<Link> {
        let settings = breaker::Settings {
            failures: MAX_FAILURES,
            silence: Some(MAX_SILENCE),
            pause: PROBE_INTERVAL,
            probes: ONE_PROBE,
            successes: ONE_PROBE,
            deadline: self.settings.timeout,
        };
        let client = self.client(&node)?;
        let breaker = self.breakers.register(&breaker, settings);
        let observers = (breaker, self.metrics.clone());
        Ok(Link::new(node, client, observers, self.hub.clone(), primary_only))
    }

    fn client(&self, node: &Node) -> RedisResult<Client> {
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(self.address().database)
            .set_lib_name("dataflow", env!("CARGO_PKG_VERSION"));
        if let Some(username) = self.username() {
            settings = settings.set_username(username);
        }
        if let Some(password) = self.password() {
            settings = settings.set_password(password.expose_secret());
        }
        let tcp = TcpSettings::default().set_nodelay(true);
        let info: ConnectionInfo = self.endpoint(node).into_connection_info()?;
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        match self.certificates() {
            Some(certificates) if self.address().tls => Client::build_with_tls(info, certificates),
            _ => Client::open(info),
        }
    }

    fn endpoint(&self, node: &Node) -> ConnectionAddr {
        let Node { host, port } = node.clone();
        if self.address().tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = self.settings.authority.clone();
        root_cert.is_some().then_some(TlsCertificates { client_tls: None, root_cert })
    }
}
