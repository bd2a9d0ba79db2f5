//! Two replicas of every service over one Redis, as processes on fixed ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use dataflow_tests::binary::Service;
use dataflow_tests::redis::Server;

/// The services in restart order: callees before callers, as in a release.
pub(crate) const ROLES: [&str; 4] = ["config", "cache", "analysis", "gateway"];

/// Replicas of each service.
pub(crate) const REPLICAS: usize = 2;

/// The ports of one replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The ports of all replicas of one role.
pub(crate) type ReplicaPorts = [Ports; REPLICAS];

/// The ports of all replicas of each role, in the order of [`ROLES`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan(pub(crate) [ReplicaPorts; ROLES.len()]);

/// The running processes.
pub(crate) struct Fleet {
    plan: Plan,
    flags: Vec<Vec<String>>,
    /// The logs of exited processes.
    said: Vec<String>,
    replicas: Vec<Vec<Option<Service>>>,
    _redis: Server,
}

/// The index of a role in [`ROLES`].
pub(crate) fn index(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

/// This many free ports. They are below the ephemeral ports, which many outgoing connections use here, so that a
/// process finds its port free at every restart.
pub(crate) fn free_ports(count: usize) -> Vec<SocketAddr> {
    // Listeners stay open until all ports are chosen, so that they are distinct.
    let mut held: Vec<TcpListener> = Vec::new();
    while held.len() < count {
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(10_000..32_000))));
    }
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

// === impl Plan ===

impl Plan {
    /// Free ports for all replicas.
    pub(crate) fn new() -> Self {
        let mut ports = free_ports(2 * REPLICAS * ROLES.len()).into_iter();
        let mut port = || ports.next().unwrap();
        Self(
            [[(); REPLICAS]; ROLES.len()]
                .map(|replicas| replicas.map(|()| Ports { api: port(), admin: port() })),
        )
    }

    pub(crate) fn of(&self, role: &str) -> ReplicaPorts {
        self.0[index(role)]
    }

    /// The URLs of all replicas of a role, as the value of a flag.
    pub(crate) fn urls(&self, role: &str) -> String {
        self.of(role).map(|ports| format!("http://{}", ports.api)).join(",")
    }
}

// === impl Fleet ===

impl Fleet {
    /// Starts every replica. `peer` returns the address by which services call a role.
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
        // As long as in a cluster: within it load balancers notice that this replica stops and that the previous one is
        // back.
        let flags = ["--drain-delay", "5s", "--log", "warn,dataflow_mesh=info"].map(str::to_owned);
        let flags = [&flags[..], &self.flags[index(role)]].concat();
        Service::start_at(role, api, admin, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Stops one replica with SIGTERM, waits until it has exited, and starts it again.
    ///
    /// # Panics
    ///
    /// If its exit status is not 0.
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

    /// The warnings in the logs of all processes.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let running = self.replicas.iter().flatten().flatten().flat_map(Service::log);
        let said = self.said.iter().cloned().chain(running);
        said.filter(|line| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\""))
            .collect()
    }
}
