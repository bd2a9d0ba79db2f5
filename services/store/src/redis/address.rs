//! The address and mode of Redis: one server, a primary with Sentinels, or a Cluster.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// Default ports of a Redis server and of a Sentinel.
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A parsed `--redis-url`.
#[derive(Debug, Clone)]
pub struct Address {
    /// The deployment mode of Redis.
    pub mode: Mode,
    /// The initial servers: the one, the Sentinels, or some nodes of the Cluster.
    pub nodes: Vec<Node>,
    /// Whether connections use TLS.
    pub tls: bool,
    /// The database number, 0 in a Cluster.
    pub database: i64,
    /// The user name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
}

/// The deployment mode of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// A single server.
    Standalone,
    /// A primary with replicas; Sentinels know which server is the primary.
    Sentinel {
        /// The Sentinels' name of the primary.
        service: String,
    },
    /// Several primaries, each with a share of the hash slots.
    Cluster,
}

/// A single server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Its host name or IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], redis+sentinel://HOST[:PORT],.../SERVICE[/DATABASE] \
     or redis+cluster://HOST[:PORT],..., or the same with rediss for TLS"
)]
pub struct NotAnAddress(&'static str);

// === impl Address ===

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnAddress("no scheme"))?;
        let (protocol, mode) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match protocol {
            "redis" => false,
            "rediss" => true,
            _ => return Err(NotAnAddress("unknown scheme")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let mut path = path.split('/').filter(|segment| !segment.is_empty());
        let mode = match mode {
            "" => Mode::Standalone,
            "sentinel" => Mode::Sentinel {
                service: path.next().ok_or(NotAnAddress("no service name for the Sentinels"))?.to_owned(),
            },
            "cluster" => Mode::Cluster,
            _ => return Err(NotAnAddress("unknown scheme")),
        };
        let database = match path.next() {
            None => 0,
            Some(_) if mode == Mode::Cluster => return Err(NotAnAddress("a Cluster has one database only")),
            Some(number) => number.parse().map_err(|_| NotAnAddress("the database is not a number"))?,
        };
        if path.next().is_some() {
            return Err(NotAnAddress("the path has too many segments"));
        }
        let port = if matches!(mode, Mode::Sentinel { .. }) { SENTINEL_PORT } else { REDIS_PORT };
        let nodes = hosts.split(',').map(|host| node(host, port)).collect::<Result<Vec<_>, _>>()?;
        if mode == Mode::Standalone && nodes.len() > 1 {
            return Err(NotAnAddress("several hosts need +sentinel or +cluster"));
        }
        let (username, password) = user.map_or(Ok((None, None)), credentials)?;
        Ok(Self { mode, nodes, tls, database, username, password })
    }
}

fn node(text: &str, default: u16) -> Result<Node, NotAnAddress> {
    // A colon within brackets is part of an IPv6 address.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().map_err(|_| NotAnAddress("a port is not a number up to 65535"))?)
        }
        _ => (text, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(['?', '#', ' ']) {
        return Err(NotAnAddress("no host"));
    }
    Ok(Node { host: host.to_owned(), port })
}

/// Parses `NAME:PASSWORD`, both percent-encoded; either may be empty.
fn credentials(user: &str) -> Result<(Option<String>, Option<SecretString>), NotAnAddress> {
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().map_err(|_| NotAnAddress("user is not UTF-8"))?;
        Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
    };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    Ok((decode(name)?, decode(password)?.map(SecretString::from)))
}

// === impl Node ===

impl Node {
    /// Parses a node as announced by another node, always with a port.
    pub(super) fn parse_announced(text: &str) -> Option<Self> {
        node(text, 0).ok().filter(|node| node.port != 0)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_address_has_mode_nodes_tls_and_database() {
        let check = |text: &str, mode: Mode, nodes: &[&str], tls: bool, database: i64| {
            let address: Address = text.parse().unwrap();
            let nodes_found: Vec<_> = address.nodes.iter().map(Node::to_string).collect();
            assert_eq!((address.mode, address.tls, address.database), (mode, tls, database), "{text}");
            assert_eq!(nodes_found, nodes, "{text}");
        };
        let sentinel = || Mode::Sentinel { service: "main".to_owned() };
        check("redis://redis", Mode::Standalone, &["redis:6379"], false, 0);
        check("redis://127.0.0.1:1/3", Mode::Standalone, &["127.0.0.1:1"], false, 3);
        check("rediss://[::1]:2/", Mode::Standalone, &["[::1]:2"], true, 0);
        check("redis://[fe80::7]", Mode::Standalone, &["[fe80::7]:6379"], false, 0);
        check("redis+sentinel://a,b:7/main", sentinel(), &["a:26379", "b:7"], false, 0);
        check("rediss+sentinel://a/main/2", sentinel(), &["a:26379"], true, 2);
        check("redis+cluster://a:1,b", Mode::Cluster, &["a:1", "b:6379"], false, 0);
    }

    #[test]
    fn an_invalid_address_is_rejected_with_the_problem() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        };
        check("redis", "no scheme");
        check("http://redis", "unknown scheme");
        check("redis+ring://redis", "unknown scheme");
        check("redis://", "no host");
        check("redis://a?protocol=resp2", "no host");
        check("redis://a:x", "a port is not a number");
        check("redis://a:70000", "a port is not a number");
        check("redis://a/b", "the database is not a number");
        check("redis://a/0/1", "the path has too many segments");
        check("redis://a,b", "several hosts");
        check("redis+sentinel://a", "no service");
        check("redis+cluster://a/1", "a Cluster has one database");
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let address: Address = "redis://me:p%40ss%3A@redis".parse().unwrap();
        assert_eq!(address.username.as_deref(), Some("me"));
        assert_eq!(address.password.as_ref().unwrap().expose_secret(), "p@ss:");
        assert!(!format!("{address:?}").contains("p@ss"));
        let address: Address = "redis://:1234@redis".parse().unwrap();
        assert_eq!((address.username, address.password.unwrap().expose_secret()), (None, "1234"));
    }
}
