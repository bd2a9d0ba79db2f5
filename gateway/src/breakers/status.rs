//! The status of the mesh, made from those of its processes.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_mesh::process_status::Overall;
use dataflow_proto::mesh::v1 as pb;
use tonic::{Code, Status};

use crate::upstreams::Replica;

/// What one replica has answered; none if it did not in time.
type Answer = Option<Result<Vec<pb::ProcessStatus>, Status>>;

/// The status of the mesh: that of this process, and those that the replicas of the upstreams have answered.
pub(super) fn of_mesh(own: pb::ProcessStatus, answers: Vec<(Replica, Answer)>) -> pb::GetStatusResponse {
    let version = own.version.clone();
    let mut processes = BTreeMap::new();
    // Services that share a process report the same one.
    let mut add = |process: pb::ProcessStatus| {
        processes.insert((process.roles.first().cloned(), process.replica.clone()), process);
    };
    add(own);
    let (mut upstreams, mut answering, mut silent) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (Replica { upstream, address, .. }, answer) in answers {
        upstreams.insert(upstream.clone());
        match answer {
            Some(Ok(found)) => {
                answering.insert(upstream);
                found.into_iter().for_each(&mut add);
            }
            // A service that is not ours, or of a release before this method: it answers.
            Some(Err(status)) if status.code() == Code::Unimplemented => {
                answering.insert(upstream);
            }
            Some(Err(_)) | None => silent.push(address),
        }
    }
    silent.sort();
    let of_processes = processes.values().map(|process| Overall::of_word(&process.status)).max();
    let of_silent = match (silent.is_empty(), upstreams == answering) {
        (true, _) => Overall::Healthy,
        (false, true) => Overall::Degraded,
        (false, false) => Overall::Unhealthy,
    };
    let overall = of_processes.unwrap_or(Overall::Healthy).max(of_silent);
    let (status, processes) = (overall.word().to_owned(), processes.into_values().collect());
    pb::GetStatusResponse { status, version, processes, silent }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::outbound::Outbound;

    use super::*;

    fn process(role: &str, replica: &str, status: &str) -> pb::ProcessStatus {
        let (status, replica) = (status.to_owned(), replica.to_owned());
        pb::ProcessStatus { status, replica, roles: vec![role.to_owned()], ..Default::default() }
    }

    #[tokio::test]
    async fn the_mesh_is_as_well_as_its_worst_process() {
        let replica = |upstream: &str, number: u16| {
            let address = format!("http://127.0.0.1:{number}");
            let channel = Outbound::forwarding(&address.parse().unwrap());
            Replica { upstream: upstream.to_owned(), address, channel }
        };
        let check = |answers: Vec<(Replica, Answer)>, expected: &str, count: usize, silent: usize| {
            let found = of_mesh(process("gateway", "a/1", "healthy"), answers);
            assert_eq!(
                (found.status.as_str(), found.processes.len(), found.silent.len()),
                (expected, count, silent)
            );
        };
        let cache = |status: &str| Some(Ok(vec![process("cache", "b/1", status)]));
        let foreign = || Some(Err(Status::unimplemented("no such method")));
        check(vec![], "healthy", 1, 0);
        check(vec![(replica("cache", 1), cache("healthy"))], "healthy", 2, 0);
        check(vec![(replica("cache", 1), cache("degraded"))], "degraded", 2, 0);
        check(vec![(replica("cache", 1), cache("starting"))], "starting", 2, 0);
        check(vec![(replica("cache", 1), cache("unhealthy"))], "unhealthy", 2, 0);
        check(vec![(replica("cache", 1), None)], "unhealthy", 1, 1);
        check(vec![(replica("cache", 1), None), (replica("cache", 2), cache("healthy"))], "degraded", 2, 1);
        check(vec![(replica("x.v1.Odd", 1), foreign())], "healthy", 1, 0);
        let same = || Some(Ok(vec![process("gateway", "a/1", "healthy")]));
        check(vec![(replica("cache", 1), same()), (replica("config", 2), same())], "healthy", 1, 0);
    }
}
