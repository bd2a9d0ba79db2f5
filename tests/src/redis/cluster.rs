//! A cluster of three primaries, each with a replica.

use super::resp::Reply;
use super::server::{FORGETFUL, Server, free_port};

/// How many primaries there are, and as many replicas.
const PRIMARIES: usize = 3;

/// The slots of each primary at first: sixteen thousand odd, as the cluster's protocol has it, in equal parts.
const SLOTS: [(&str, &str); PRIMARIES] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// How a node stands to others. One that is silent for two seconds is taken for dead, and its replica for the next primary
/// however long ago it last heard of it. A replica is shown to clients once it has heard from its primary, which with
/// nothing to write says something every second here, and by default every ten.
const MEMBER: &str = "cluster-enabled yes\ncluster-node-timeout 2000\n\
                      cluster-replica-validity-factor 0\nrepl-ping-replica-period 1\n";

/// Six nodes: at first 0, 1 and 2 are primaries, and 3, 4 and 5 their replicas. Dropped, they are killed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

// === impl Cluster ===

impl Cluster {
    /// Starts the nodes, makes them a cluster, and waits until it is whole.
    ///
    /// # Panics
    ///
    /// When it does not become so.
    pub fn start() -> Self {
        // The port for the nodes among themselves would lie 10000 higher, where outgoing connections have theirs.
        let settings = || format!("{FORGETFUL}{MEMBER}cluster-port {}\n", free_port());
        let nodes = (0..2 * PRIMARIES).map(|_| Server::launch(&[], |_, _| settings()));
        let cluster = Self { nodes: nodes.collect() };
        let (primaries, replicas) = cluster.nodes.split_at(PRIMARIES);
        for ((primary, (first, last)), epoch) in primaries.iter().zip(SLOTS).zip(["1", "2", "3"]) {
            primary.demand(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            // Primaries of one epoch would have to settle first whose is the older.
            primary.demand(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]);
        }
        cluster.introduce();
        for (replica, primary) in replicas.iter().zip(primaries) {
            let id = primary.demand(&["CLUSTER", "MYID"]);
            let follow = ["CLUSTER", "REPLICATE", id.text()];
            replica.until("a replica knows its primary", |replica| !replica.command(&follow).is_error());
        }
        cluster.until_whole();
        cluster
    }

    /// Makes every node known to every other: by hearsay it would take them longer.
    fn introduce(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let bus = node.demand(&["CONFIG", "GET", "cluster-port"]);
            let [port, bus] = [&node.port().to_string(), bus.items()[1].text()];
            for earlier in &self.nodes[..index] {
                earlier.demand(&["CLUSTER", "MEET", "127.0.0.1", port, bus]);
            }
        }
    }

    /// Where clients find it: `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,...`.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The nodes, killed ones too.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The node that, as far as the first one alive knows, writes what is in this slot, from 0 to 16383.
    ///
    /// # Panics
    ///
    /// When no node is alive or none has the slot.
    pub fn primary_of_slot(&self, slot: u16) -> usize {
        let slots = self.nodes.iter().find_map(|node| node.ask(&["CLUSTER", "SLOTS"]).ok());
        let slots = slots.expect("a node is alive");
        let mut ranges = slots.items().iter().map(Reply::items);
        let has_it = |range: &&[Reply]| (range[0].integer()..=range[1].integer()).contains(&slot.into());
        let range = ranges.find(has_it).unwrap_or_else(|| panic!("nobody has slot {slot}"));
        let port = range[2].items()[1].integer();
        let node = self.nodes.iter().position(|node| i64::from(node.port()) == port);
        node.expect("the nodes know of each other only")
    }

    /// Asks a node something, as [`Server::command`].
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub fn command(&self, node: usize, words: &[&str]) -> Reply {
        self.nodes[node].command(words)
    }

    /// Kills a node. Its replica, if it has one, is primary in its place three or four seconds later.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a killed node again. It becomes a replica if another took its place meanwhile.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].restart();
    }

    /// Waits until every node runs, knows every other, has a primary that is up, and says that all is well.
    ///
    /// # Panics
    ///
    /// When that is not so within a minute.
    pub fn until_whole(&self) {
        for node in &self.nodes {
            node.until("a cluster is whole", is_content);
        }
    }
}

/// Whether a node sees a primary and a replica for every slot, and, as a replica, its primary.
fn is_content(node: &Server) -> bool {
    let has = |words: &[&str], line: &str| node.demand(words).text().contains(line);
    // Of a range: the first slot, the last one, then who has it.
    let owners = |range: &Reply| range.items().len() - 2;
    has(&["CLUSTER", "INFO"], "cluster_state:ok")
        && !has(&["INFO", "replication"], "master_link_status:down")
        && node.demand(&["CLUSTER", "SLOTS"]).items().iter().map(owners).eq([2; PRIMARIES])
}
