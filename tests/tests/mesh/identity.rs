//! Mutual TLS and authorization, enforced by sidecars of real processes: exactly the granted methods work.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ::http::{HeaderMap, Request};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_tests::binary::Service;
use dataflow_tests::envoy::{self, Envoy};
use dataflow_tests::manifests::istio_grants;
use dataflow_tests::{example, http};
use prost_reflect::DescriptorPool;
use tokio::net::TcpStream;

use super::fleet::free_ports;
use super::identities::{Authority, Identity};
use super::proxy::{authorization, cluster, everything, listener, routes};

/// Services that are called within the mesh.
const CALLED: [&str; 3] = ["analysis", "cache", "config"];

/// Their callers: the accounts of the mesh, and one that no policy knows.
const CALLERS: [&str; 5] = ["gateway", "analysis", "cache", "config", "stranger"];

/// The addresses of each process, of its sidecar's inbound port, and of its sidecar's outbound ports.
struct Addresses {
    process: BTreeMap<&'static str, SocketAddr>,
    inbound: BTreeMap<&'static str, SocketAddr>,
    outbound: BTreeMap<(&'static str, &'static str), SocketAddr>,
}

// === impl Addresses ===

impl Addresses {
    fn new() -> Self {
        let mut ports = free_ports(64).into_iter();
        let mut port = || ports.next().unwrap();
        let each_called = |port: &mut dyn FnMut() -> SocketAddr| CALLED.map(|role| (role, port())).into();
        Self {
            process: ["gateway", "analysis", "cache", "config"].map(|role| (role, port())).into(),
            inbound: each_called(&mut port),
            outbound: CALLERS
                .iter()
                .flat_map(|caller| CALLED.map(|called| ((*caller, called), port())))
                .collect(),
        }
    }

    /// The sidecar of one account: inbound, if it is a called service, and outbound.
    fn sidecar(&self, identity: &Identity, admin: SocketAddr) -> Envoy {
        let account = CALLERS.into_iter().find(|caller| *caller == identity.account).unwrap();
        let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
        if let Some(inbound) = self.inbound.get(account) {
            let granted = [authorization(account)];
            listeners.push(listener(*inbound, &everything("own"), &granted, Some(identity)));
            clusters.push(cluster("own", &[self.process[account]]));
        }
        for called in CALLED {
            let outbound = self.outbound[&(account, called)];
            listeners.push(listener(outbound, &routes(called), &[], None));
            let mut peer = cluster(called, &[self.inbound[called]]);
            peer["transport_socket"] = identity.client(called);
            clusters.push(peer);
        }
        Envoy::start(admin, &listeners, &clusters)
    }

    fn start(&self, role: &'static str, peers: &[&'static str]) -> Service {
        let url = |peer: &&'static str| {
            [format!("--{peer}-url"), format!("http://{}", self.outbound[&(role, *peer)])]
        };
        let flags: Vec<_> = peers.iter().flat_map(url).collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let admin = free_ports(1).remove(0);
        Service::start_at(role, self.process[role], admin, &flags)
    }
}

/// The response head of an empty call.
async fn head_of(at: SocketAddr, path: &str) -> Option<HeaderMap> {
    let stream = TcpStream::connect(at).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.ok()?;
    let request = Request::post(format!("http://mesh{path}"));
    let request =
        request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
    let (answer, mut body) = sender.send_request(request, false).ok()?;
    // A denied call gets its response before its body was sent.
    let _ = body.send_data(vec![0; 5].into(), true);
    answer.await.ok().map(|answer| answer.headers().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_granted_methods_work() {
    if !envoy::available() {
        return;
    }
    let (place, authority) = (Addresses::new(), Authority::new());
    let sidecars =
        CALLERS.map(|account| place.sidecar(&authority.identity(account), free_ports(1).remove(0)));
    let config = place.start("config", &[]);
    let cache = place.start("cache", &["config"]);
    let analysis = place.start("analysis", &["cache", "config"]);
    let gateway = place.start("gateway", &["analysis", "cache", "config"]);

    // One analysis, which needs every granted call between the services.
    let upstream = format!("http://{}", gateway.address).parse().unwrap();
    let example = std::fs::read(example()).unwrap();
    for expected in [false, true] {
        let xml = [("content-type", "application/xml")];
        let answer =
            http::request(&upstream, "POST", "/v1/catalogues:analyze", &xml, &example).await.unwrap();
        let analysis: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&analysis["degraded"], &analysis["rulesRevision"]),
            (&serde_json::json!([]), &"1".into()),
            "{analysis}"
        );
        assert_eq!(analysis["cached"], expected, "{analysis}");
    }

    // Every account at every method.
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let paths: Vec<_> = services
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let (grants, mut refused) = (istio_grants(), 0);
    for ((caller, called), at) in &place.outbound {
        for path in &paths {
            let head = head_of(*at, path)
                .await
                .unwrap_or_else(|| panic!("{caller} at {called}: no response to {path}"));
            let grant = ((*caller).to_owned(), (*called).to_owned(), path.clone());
            let denied = head.get("grpc-message").is_some_and(|message| message == "RBAC: access denied");
            assert_eq!(denied, !grants.contains(&grant), "{caller} at {called}: {path}: {head:?}");
            if denied {
                assert_eq!(head["grpc-status"], "7");
                refused += 1;
            }
        }
    }
    println!(
        "{} accounts at {} methods of {} services: {refused} refused",
        CALLERS.len(),
        paths.len(),
        CALLED.len()
    );

    // Without a certificate, and with one of another authority.
    let inbound = place.inbound["config"];
    let path = "/dataflow.config.v1.RuleService/ListRules";
    assert_eq!(head_of(inbound, path).await, None, "no TLS");
    let forger = Authority::new().identity("gateway");
    let [ours, admin] = free_ports(2)[..] else { unreachable!() };
    let mut peer = cluster("config", &[inbound]);
    peer["transport_socket"] = forger.client("config");
    let forged = Envoy::start(admin, &[listener(ours, &everything("config"), &[], None)], &[peer]);
    let head = head_of(ours, path).await.unwrap();
    assert_eq!(head["grpc-status"], "14", "{head:?}");
    assert!(
        forged.statistic("cluster.config.ssl.fail_verify_error") > 0,
        "the certificate of another authority is rejected"
    );

    for service in [gateway, analysis, cache, config] {
        assert_eq!(service.stop().0, 0);
    }
    drop(sidecars);
}
