//! A primary with two replicas, and three sentinels that replace it when it dies.

use super::resp::Reply;
use super::server::{FORGETFUL, Server};

/// The name under which sentinels know the primary.
const NAME: &str = "dataflow";

/// How often sentinels ask and tell, in milliseconds. By default they do so every second to ten, and would need as long
/// to find replicas and each other. They must not be much quicker either, since in a failover a replica is looked at
/// once a second, whatever is set here: one not seen for five pings is no good to take over, and one that calls itself
/// primary is put in its place after four publications, be it that nobody has yet seen that it is.
const PERIODS: [&str; 6] = ["ASK-PERIOD", "100", "PUBLISH-PERIOD", "750", "INFO-PERIOD", "200"];

/// Three servers, of which one is the primary, and three sentinels, of which two must agree that it is gone. Dropped,
/// they are killed.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
}

// === impl Sentinels ===

impl Sentinels {
    /// Starts everybody and waits until the sentinels know the replicas and each other.
    ///
    /// # Panics
    ///
    /// When they do not get to.
    pub fn start() -> Self {
        let primary = Server::start();
        let port = primary.port();
        let follower = || Server::launch(&[], |_, _| format!("{FORGETFUL}replicaof 127.0.0.1 {port}\n"));
        let servers = vec![primary, follower(), follower()];
        let orders = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {NAME} 500\n\
             sentinel failover-timeout {NAME} 2000\n\
             sentinel parallel-syncs {NAME} 2\n"
        );
        let sentinel = |_| Server::launch(&["--sentinel"], |_, _| orders.clone());
        let sentinels = Self { servers, sentinels: (0..3).map(sentinel).collect() };
        for sentinel in &sentinels.sentinels {
            sentinel.demand(&[&["SENTINEL", "DEBUG"], &PERIODS[..]].concat());
        }
        sentinels.until_whole();
        sentinels
    }

    /// Where clients find it: `redis+sentinel://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/dataflow`.
    pub fn url(&self) -> String {
        let sentinels = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
        format!("redis+sentinel://{}/{NAME}", sentinels.collect::<Vec<_>>().join(","))
    }

    /// The primary, as a sentinel has it: after a death it takes a second or two until that is another.
    ///
    /// # Panics
    ///
    /// When the sentinel does not answer.
    pub fn primary(&self) -> &Server {
        let port = named_by(&self.sentinels[0]);
        self.servers.iter().find(|server| server.port() == port).expect("sentinels watch these servers")
    }

    /// Kills the primary; the port it had. See [`until_replaced`](Self::until_replaced) and
    /// [`restart`](Self::restart).
    ///
    /// # Panics
    ///
    /// When a sentinel does not answer.
    pub fn kill_primary(&mut self) -> u16 {
        let port = self.primary().port();
        self.server(port).kill();
        port
    }

    /// Starts the killed server of this port again. The sentinels make a replica of it if it was replaced.
    ///
    /// # Panics
    ///
    /// When it does not start, or no server has this port.
    pub fn restart(&mut self, port: u16) {
        self.server(port).restart();
    }

    /// Has the sentinels make a replica the primary, though the primary is well, and waits until it is.
    ///
    /// # Panics
    ///
    /// When it is not within a minute.
    pub fn failover(&self) {
        let port = self.primary().port();
        // Refused while another failover is not over.
        let begins = |sentinel: &Server| !sentinel.command(&["SENTINEL", "FAILOVER", NAME]).is_error();
        self.sentinels[0].until("a failover begins", begins);
        self.until_replaced(port);
    }

    /// Waits until every sentinel has another primary than the one with this port, and that one knows.
    ///
    /// # Panics
    ///
    /// When that is not so within a minute.
    pub fn until_replaced(&self, port: u16) {
        for sentinel in &self.sentinels {
            sentinel.until("a sentinel has another primary", |sentinel| named_by(sentinel) != port);
        }
        self.primary().until("a replica is primary", |server| {
            // It closes its connections as it becomes one.
            server.ask(&["ROLE"]).is_ok_and(|role| role.items()[0].text() == "master")
        });
    }

    /// Waits until every server runs, the replicas follow the primary, and every sentinel sees them and the others.
    ///
    /// # Panics
    ///
    /// When that is not so within a minute.
    pub fn until_whole(&self) {
        for sentinel in &self.sentinels {
            sentinel.until("a sentinel sees everybody", sees_everybody);
        }
    }

    fn server(&mut self, port: u16) -> &mut Server {
        self.servers.iter_mut().find(|server| server.port() == port).expect("a server has this port")
    }
}

/// The port of the primary, as this sentinel has it.
fn named_by(sentinel: &Server) -> u16 {
    let address = sentinel.demand(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
    address.items()[1].text().parse().expect("a port is a number")
}

/// Whether a sentinel sees two replicas that follow the primary, two sentinels besides itself, and nobody down.
fn sees_everybody(sentinel: &Server) -> bool {
    let primary = sentinel.demand(&["SENTINEL", "MASTER", NAME]);
    let replicas = sentinel.demand(&["SENTINEL", "REPLICAS", NAME]);
    let follows =
        |replica: &Reply| has(replica, "flags", "slave") && has(replica, "master-link-status", "ok");
    has(&primary, "flags", "master")
        && has(&primary, "num-other-sentinels", "2")
        && replicas.items().iter().map(follows).eq([true; 2])
}

/// Whether a field, one of names and values in turn, has this value.
fn has(fields: &Reply, name: &str, value: &str) -> bool {
    fields.items().chunks_exact(2).any(|field| field[0].text() == name && field[1].text() == value)
}
