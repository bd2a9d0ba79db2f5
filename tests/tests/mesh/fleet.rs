//! Two replicas of every service over one Redis, as processes on ports that stay theirs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use dataflow_tests::binary::Service;
use dataflow_tests::redis::Server;

/// The services, in the order in which they are restarted: those that are called first, as a release should be.
pub(crate) const ROLES: [&str; 4] = ["config", "cache", "analysis", "gateway"];

/// Replicas of each.
pub(crate) const REPLICAS: usize = 2;

/// The ports of one replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// All replicas of one role.
pub(crate) type Places = [Ports; REPLICAS];

/// Where the replicas of each role are to be, in the order of [`ROLES`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan(pub(crate) [Places; ROLES.len()]);

/// The running processes.
pub(crate) struct Fleet {
    plan: Plan,
    flags: Vec<Vec<String>>,
    /// What those said that have ended.
    said: Vec<String>,
    replicas: Vec<Vec<Option<Service>>>,
    _redis: Server,
}

/// The place of a role among [`ROLES`].
pub(crate) fn index(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

/// So many ports that nobody has, nor gets: they lie below those that the system gives to outgoing connections, of which
/// there are many here, so that a process finds its own free whenever it is started.
pub(crate) fn free_ports(count: usize) -> Vec<SocketAddr> {
    // Held until all are known, so that none is given out twice.
    let mut held: Vec<TcpListener> = Vec::new();
    while held.len() < count {
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(10_000..32_000))));
    }
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

// === impl Plan ===

impl Plan {
    /// Free ports for all.
    pub(crate) fn new() -> Self {
        let mut ports = free_ports(2 * REPLICAS * ROLES.len()).into_iter();
        let mut port = || ports.next().unwrap();
        Self(
            [[(); REPLICAS]; ROLES.len()]
                .map(|replicas| replicas.map(|()| Ports { api: port(), admin: port() })),
        )
    }

    pub(crate) fn of(&self, role: &str) -> Places {
        self.0[index(role)]
    }

    /// All replicas of a role, as a peer's flag names them.
    pub(crate) fn urls(&self, role: &str) -> String {
        self.of(role).map(|ports| format!("http://{}", ports.api)).join(",")
    }
}

// === impl Fleet ===

impl Fleet {
    /// Starts every replica. `peer` says by which address a service calls the one of that role.
    pub(crate) fn start(plan: Plan, peer: impl Fn(&str) -> String) -> Self {
        let redis = Server::start();
        let url = |role: &str| [format!("--{role}-url"), peer(role)];
        let store = ["--redis-url".to_owned(), redis.url().to_owned()];
        let flags = ROLES.map(|role| match role {
            "config" => store.to_vec(),
            "cache" => [store.clone(), url("config")].concat(),
            "analysis" => [url("cache"), url("config")].concat(),
            _ => [url("analysis"), url("cache"), url("config")].concat(),
        });
        let mut fleet =
            Self { plan, flags: flags.to_vec(), said: Vec::new(), replicas: Vec::new(), _redis: redis };
        for role in ROLES {
            let replicas = (0..REPLICAS).map(|replica| Some(fleet.launch(role, replica))).collect();
            fleet.replicas.push(replicas);
        }
        fleet
    }

    fn launch(&self, role: &str, replica: usize) -> Service {
        let Ports { api, admin } = self.plan.of(role)[replica];
        // As long as in a cluster: until then whoever balances has noticed that it goes, and that the one before is back.
        let flags = ["--drain-delay", "5s", "--log", "warn,dataflow_mesh=info"].map(str::to_owned);
        let flags = [&flags[..], &self.flags[index(role)]].concat();
        Service::start_at(role, api, admin, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Stops one replica as Kubernetes does, waits until it has ended, and starts it anew.
    ///
    /// # Panics
    ///
    /// When it does not end well.
    pub(crate) fn restart(&mut self, role: &str, replica: usize) {
        let (code, log) = self.replicas[index(role)][replica].take().unwrap().stop();
        assert_eq!(code, 0, "{role}: {log:#?}");
        let is_cut = |line: &String| {
            ["drain timeout", "calls did not end in time"].iter().any(|text| line.contains(text))
        };
        assert!(!log.iter().any(is_cut), "{role}: {log:#?}");
        self.said.extend(log);
        self.replicas[index(role)][replica] = Some(self.launch(role, replica));
    }

    /// What all processes warned of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let running = self.replicas.iter().flatten().flatten().flat_map(Service::log);
        let said = self.said.iter().cloned().chain(running);
        said.filter(|line| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\""))
            .collect()
    }
}
