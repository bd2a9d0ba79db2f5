//! A cluster of three primaries, each with a replica.

use super::resp::Reply;
use super::server::{NO_PERSISTENCE, Server, free_port};

/// The number of primaries, and of replicas.
const PRIMARIES: usize = 3;

/// The initial slots of each primary: the 16384 slots of the cluster protocol in equal parts.
const SLOTS: [(&str, &str); PRIMARIES] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Cluster settings of a node. A node that is silent for two seconds is considered failed, and its replica may take
/// over however long ago it last heard from it. A replica is listed to clients after a message from its primary; an
/// idle primary sends one every second here, and every ten by default.
const CLUSTER_SETTINGS: &str = "cluster-enabled yes\ncluster-node-timeout 2000\n\
                      cluster-replica-validity-factor 0\nrepl-ping-replica-period 1\n";

/// Six nodes: initially 0, 1 and 2 are primaries, and 3, 4 and 5 their replicas. They are killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

// === impl Cluster ===

impl Cluster {
    /// Starts the nodes, joins them into a cluster, and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// If it does not become healthy.
    pub fn start() -> Self {
        // The default bus port is 10000 higher, in the range of ephemeral ports.
        let settings = || format!("{NO_PERSISTENCE}{CLUSTER_SETTINGS}cluster-port {}\n", free_port());
        let nodes = (0..2 * PRIMARIES).map(|_| Server::launch(&[], |_, _| settings()));
        let cluster = Self { nodes: nodes.collect() };
        let (primaries, replicas) = cluster.nodes.split_at(PRIMARIES);
        for ((primary, (first, last)), epoch) in primaries.iter().zip(SLOTS).zip(["1", "2", "3"]) {
            primary.command_ok(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            // Primaries with equal epochs would first have to resolve the conflict.
            primary.command_ok(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]);
        }
        cluster.meet();
        for (replica, primary) in replicas.iter().zip(primaries) {
            let id = primary.command_ok(&["CLUSTER", "MYID"]);
            let follow = ["CLUSTER", "REPLICATE", id.text()];
            replica.until("a replica knows its primary", |replica| !replica.command(&follow).is_error());
        }
        cluster.until_healthy();
        cluster
    }

    /// Introduces every node to every other; by gossip alone it would take longer.
    fn meet(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let bus = node.command_ok(&["CONFIG", "GET", "cluster-port"]);
            let [port, bus] = [&node.port().to_string(), bus.items()[1].text()];
            for other in &self.nodes[..index] {
                other.command_ok(&["CLUSTER", "MEET", "127.0.0.1", port, bus]);
            }
        }
    }

    /// Its URL: `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,...`.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The nodes, including killed ones.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The primary of this slot, from 0 to 16383, according to the first node that responds.
    ///
    /// # Panics
    ///
    /// If no node responds or none has the slot.
    pub fn primary_of_slot(&self, slot: u16) -> usize {
        let slots = self.nodes.iter().find_map(|node| node.try_command(&["CLUSTER", "SLOTS"]).ok());
        let slots = slots.expect("a node is alive");
        let mut ranges = slots.items().iter().map(Reply::items);
        let has_it = |range: &&[Reply]| (range[0].integer()..=range[1].integer()).contains(&slot.into());
        let range = ranges.find(has_it).unwrap_or_else(|| panic!("no node has slot {slot}"));
        let port = range[2].items()[1].integer();
        let node = self.nodes.iter().position(|node| i64::from(node.port()) == port);
        node.expect("the nodes know of each other only")
    }

    /// Sends a command to a node, as [`Server::command`].
    ///
    /// # Panics
    ///
    /// If there is no reply.
    pub fn command(&self, node: usize, words: &[&str]) -> Reply {
        self.nodes[node].command(words)
    }

    /// Kills a node. Its replica, if it has one, takes over three or four seconds later.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a killed node again. It becomes a replica if another took its place meanwhile.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// Waits until every node runs, knows every other, has a primary that is up, and reports a healthy cluster.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn until_healthy(&self) {
        for node in &self.nodes {
            node.until("the cluster is healthy", is_healthy);
        }
    }
}

/// Whether a node sees a primary and a replica for every slot, and, as a replica, its primary.
fn is_healthy(node: &Server) -> bool {
    let has = |words: &[&str], line: &str| node.command_ok(words).text().contains(line);
    // A range is: the first slot, the last slot, then its nodes.
    let owners = |range: &Reply| range.items().len() - 2;
    has(&["CLUSTER", "INFO"], "cluster_state:ok")
        && !has(&["INFO", "replication"], "master_link_status:down")
        && node.command_ok(&["CLUSTER", "SLOTS"]).items().iter().map(owners).eq([2; PRIMARIES])
}
