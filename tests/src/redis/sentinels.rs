//! A primary with two replicas, and three sentinels that replace it when it dies.

use super::resp::Reply;
use super::server::{NO_PERSISTENCE, Server};

/// The sentinels' name of the primary.
const NAME: &str = "dataflow";

/// The periods of the sentinels' messages, in milliseconds. The defaults are one to ten seconds, and discovery of
/// replicas and other sentinels would take as long. They must not be much shorter either, because in a failover a
/// replica is checked only once a second, regardless of these settings: a replica not seen for five pings is not
/// eligible, and one that reports itself as primary is demoted after four publications, even if no sentinel has seen
/// its promotion yet.
const PERIODS: [&str; 6] = ["ASK-PERIOD", "100", "PUBLISH-PERIOD", "750", "INFO-PERIOD", "200"];

/// Three servers, of which one is the primary, and three sentinels with a quorum of two. They are killed when dropped.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

// === impl Sentinels ===

impl Sentinels {
    /// Starts all servers and waits until the sentinels know the replicas and each other.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn start() -> Self {
        let primary = Server::start();
        let port = primary.port();
        let replica = || Server::launch(&[], |_, _| format!("{NO_PERSISTENCE}replicaof 127.0.0.1 {port}\n"));
        let servers = vec![primary, replica(), replica()];
        let settings = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {NAME} 500\n\
             sentinel failover-timeout {NAME} 2000\n\
             sentinel parallel-syncs {NAME} 2\n"
        );
        let sentinel = |_| Server::launch(&["--sentinel"], |_, _| settings.clone());
        let sentinels = Self { servers, sentinels: (0..3).map(sentinel).collect() };
        for sentinel in &sentinels.sentinels {
            sentinel.command_ok(&[&["SENTINEL", "DEBUG"], &PERIODS[..]].concat());
        }
        sentinels.until_healthy();
        sentinels
    }

    /// Its URL: `redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/dataflow`.
    pub fn url(&self) -> String {
        let sentinels = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
        format!("redis+sentinel://{}/{NAME}", sentinels.collect::<Vec<_>>().join(","))
    }

    /// The primary according to a sentinel. After a crash, failover takes a second or two.
    ///
    /// # Panics
    ///
    /// If the sentinel does not reply.
    pub fn primary(&self) -> &Server {
        let port = primary_port_of(&self.sentinels[0]);
        self.servers.iter().find(|server| server.port() == port).expect("sentinels watch these servers")
    }

    /// Kills the primary and returns its port. See [`until_replaced`](Self::until_replaced) and
    /// [`restart`](Self::restart).
    ///
    /// # Panics
    ///
    /// If a sentinel does not reply.
    pub fn kill_primary(&mut self) -> u16 {
        let port = self.primary().port();
        self.server(port).kill();
        port
    }

    /// Starts the killed server of this port again. The sentinels make a replica of it if it was replaced.
    ///
    /// # Panics
    ///
    /// If it does not start, or no server has this port.
    pub fn restart(&mut self, port: u16) {
        self.server(port).restart();
    }

    /// Requests a failover although the primary is healthy, and waits until it is complete.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn failover(&self) {
        let port = self.primary().port();
        // An error while another failover is in progress.
        let begins = |sentinel: &Server| !sentinel.command(&["SENTINEL", "FAILOVER", NAME]).is_error();
        self.sentinels[0].until("a failover begins", begins);
        self.until_replaced(port);
    }

    /// Waits until every sentinel has a primary other than the one with this port, and the new one has this role.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn until_replaced(&self, port: u16) {
        for sentinel in &self.sentinels {
            sentinel.until("a sentinel has another primary", |sentinel| primary_port_of(sentinel) != port);
        }
        self.primary().until("a replica is primary", |server| {
            // It closes its connections when its role changes.
            server.try_command(&["ROLE"]).is_ok_and(|role| role.items()[0].text() == "master")
        });
    }

    /// Waits until every server runs, the replicas follow the primary, and every sentinel sees them and the others.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn until_healthy(&self) {
        for sentinel in &self.sentinels {
            sentinel.until("a sentinel sees all members", sees_all_members);
        }
    }

    fn server(&mut self, port: u16) -> &mut Server {
        self.servers.iter_mut().find(|server| server.port() == port).expect("a server has this port")
    }
}

/// The port of the primary according to this sentinel.
fn primary_port_of(sentinel: &Server) -> u16 {
    let address = sentinel.command_ok(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
    address.items()[1].text().parse().expect("a port is a number")
}

/// Whether a sentinel sees two replicas of the primary, two other sentinels, and no server down.
fn sees_all_members(sentinel: &Server) -> bool {
    let primary = sentinel.command_ok(&["SENTINEL", "MASTER", NAME]);
    let replicas = sentinel.command_ok(&["SENTINEL", "REPLICAS", NAME]);
    let follows =
        |replica: &Reply| has(replica, "flags", "slave") && has(replica, "master-link-status", "ok");
    has(&primary, "flags", "master")
        && has(&primary, "num-other-sentinels", "2")
        && replicas.items().iter().map(follows).eq([true; 2])
}

/// Whether a field of a list of alternating names and values has this value.
fn has(fields: &Reply, name: &str, value: &str) -> bool {
    fields.items().chunks_exact(2).any(|field| field[0].text() == name && field[1].text() == value)
}
