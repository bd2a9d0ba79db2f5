//! `dataflow status`: the processes of a running mesh, what they depend on, and what is missing, as the gateway gathers it.

mod health;

use std::io::{self, Write};
use std::time::Duration;

use dataflow_mesh::process_status::Overall;
use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_render::Options;
use dataflow_render::grid::Grid;
use tonic::Code;

use crate::client::{EndpointArgs, Format, FormatArgs};
use crate::exit::{Exit, Failure};

/// Timeout of the call. The gateway waits half a second for its services.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The widths of columns whose texts have no limit, so that a line has at most 80 columns.
const REPLICA: usize = 36;
const PROBLEM: usize = 66;
const RULES: usize = 56;

/// The flags of `dataflow status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command. It fails unless all is well, so that scripts can wait for a healthy mesh.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { mesh, format } = args;
    let channel = mesh.connection.channel(&mesh.endpoint, TIMEOUT)?;
    let mut client = MeshServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let status = match client.get_status(pb::GetStatusRequest {}).await {
        Ok(status) => status.into_inner(),
        // Health needs no credentials, and every gRPC service has it.
        Err(status)
            if format.format == Format::Table
                && matches!(
                    status.code(),
                    Code::Unimplemented | Code::Unauthenticated | Code::PermissionDenied
                ) =>
        {
            return health::run(&mesh).await;
        }
        Err(status) => return Err(mesh.failure(&status)),
    };
    format.print("dataflow.mesh.v1.GetStatusResponse", &status, |options, out| {
        writeln!(out, "{}  {}", status.status, mesh.endpoint)?;
        table(&status, options, out)
    })?;
    let is_well = Overall::of_word(&status.status) == Overall::Healthy;
    Ok(if is_well { Exit::Success } else { Exit::Failed })
}

/// The processes, the rules and themes that they use, then their problems.
fn table(status: &pb::GetStatusResponse, options: &Options, out: &mut Vec<u8>) -> io::Result<()> {
    let mut processes = Grid::new(["ROLE", "STATUS", "VERSION", ">UPTIME", "REPLICA"]);
    let mut in_use = Grid::new(["ROLE", ">THEMES", "RULES"]);
    let mut problems = Grid::new(["ROLE", "PROBLEM"]);
    for process in &status.processes {
        let role = role(process);
        processes.push([
            role.clone(),
            process.status.clone(),
            process.version.clone(),
            uptime(process.uptime),
            fit(&process.replica, REPLICA),
        ]);
        if let Some(themes) = &process.themes {
            in_use.push([role.clone(), themes.revision.to_string(), fit(&rules(process), RULES)]);
        }
        for problem in problems_of(process) {
            problems.push([role.clone(), fit(&problem, PROBLEM)]);
        }
    }
    for address in &status.silent {
        problems.push([String::new(), fit(&format!("no answer from {address}"), PROBLEM)]);
    }
    writeln!(out)?;
    processes.write(options, out)?;
    following(&in_use, options, out)?;
    following(&problems, options, out)
}

/// Writes a grid after a blank line, if it has rows.
fn following<const N: usize>(grid: &Grid<N>, options: &Options, out: &mut Vec<u8>) -> io::Result<()> {
    let mut shown = Vec::new();
    grid.write(options, &mut shown)?;
    if !shown.is_empty() {
        writeln!(out)?;
    }
    out.write_all(&shown)
}

/// The revisions of the rule sets in use; 0 is the built-in one.
fn rules(process: &pb::ProcessStatus) -> String {
    let shown = process.rulesets.iter().map(|set| format!("{} {}", set.ruleset, set.revision));
    shown.collect::<Vec<_>>().join(", ")
}

/// The role of a process; `up` runs all of them.
fn role(process: &pb::ProcessStatus) -> String {
    match process.roles.as_slice() {
        [role] => role.clone(),
        [] => String::new(),
        _ => "up".to_owned(),
    }
}

/// What is not well in a process, each in a line.
fn problems_of(process: &pb::ProcessStatus) -> Vec<String> {
    use pb::circuit_breaker::State;
    use pb::process_status::redis_server::Role;

    let mut problems = process.degraded_features.clone();
    for breaker in process.circuit_breakers.iter().filter(|breaker| breaker.state() != State::Closed) {
        let state = if breaker.state() == State::Open { "open" } else { "half-open" };
        problems.push(format!("circuit breaker {} is {state}", breaker.name));
    }
    for dependency in process.dependencies.iter().filter(|dependency| dependency.failing) {
        let is_critical = dependency.criticality() == pb::process_status::Criticality::Critical;
        let critical = if is_critical { "critical, " } else { "" };
        problems.push(format!("{} ({critical}fails): {}", dependency.name, dependency.last_error));
    }
    for server in &process.redis_servers {
        match server.role() {
            Role::Replica => problems.push(format!("redis {} is a replica", server.address)),
            Role::Unreachable => problems.push(format!("redis {} is not connected", server.address)),
            Role::Primary | Role::Unspecified => {}
        }
    }
    for resource in process.resources.iter().filter(|resource| resource.above_mark) {
        let percent = 100.0 * resource.used / resource.limit;
        problems.push(format!("{} is at {percent:.0} % of its limit", resource.name));
    }
    problems
}

/// A time to two units, as people read it.
fn uptime(uptime: Option<prost_types::Duration>) -> String {
    let seconds = uptime.map_or(0, |uptime| uptime.seconds.max(0));
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// The text in this many characters.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> pb::ProcessStatus {
        pb::ProcessStatus {
            status: "degraded".to_owned(),
            replica: format!("analysis-{}/1", "x".repeat(100)),
            roles: vec!["analysis".to_owned()],
            version: "0.1.0".to_owned(),
            uptime: Some(prost_types::Duration { seconds: 100_000_000, nanos: 0 }),
            degraded_features: vec!["BUILT_IN_RULES".to_owned()],
            rulesets: ["default", "legacy", &"r".repeat(100)]
                .map(|set| pb::process_status::RulesetInUse { ruleset: set.to_owned(), revision: 3 })
                .into(),
            themes: Some(pb::process_status::ThemesInUse { revision: 12 }),
            dependencies: vec![pb::process_status::Dependency {
                name: "analysis/config".to_owned(),
                failing: true,
                last_error: "connection refused, ".repeat(20),
                ..Default::default()
            }],
            resources: vec![pb::process_status::Resource {
                name: "disk".to_owned(),
                used: 93.4,
                limit: 100.0,
                above_mark: true,
            }],
            ..Default::default()
        }
    }

    #[test]
    fn the_table_has_the_problems_and_at_most_80_columns() {
        let status = pb::GetStatusResponse {
            status: "degraded".to_owned(),
            processes: vec![process()],
            silent: vec![format!("http://{}:8082", "c".repeat(100))],
            ..Default::default()
        };
        let mut shown = Vec::new();
        table(&status, &Options::plain(""), &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for expected in
            ["1157d 9h", "BUILT_IN_RULES", "analysis/config (fails): connection", "disk is at 93 %"]
        {
            assert!(shown.contains(expected), "{expected}\n{shown}");
        }
        assert!(shown.contains("no answer from http://ccc"), "{shown}");
        let in_use = shown.lines().find(|line| line.contains("default 3, legacy 3, rrr"));
        assert!(in_use.is_some_and(|line| line.starts_with("analysis      12  ")), "{shown}");
        let other = pb::ProcessStatus { themes: None, ..process() };
        let status = pb::GetStatusResponse { processes: vec![other], ..Default::default() };
        let mut shown = Vec::new();
        table(&status, &Options::plain(""), &mut shown).unwrap();
        assert!(!String::from_utf8(shown).unwrap().contains("THEMES"));
    }

    #[test]
    fn times_have_two_units() {
        let check = |seconds: i64, expected: &str| {
            assert_eq!(uptime(Some(prost_types::Duration { seconds, nanos: 0 })), expected);
        };
        check(0, "0s");
        check(59, "59s");
        check(61, "1m 1s");
        check(3_661, "1h 1m");
        check(90_000, "1d 1h");
        assert_eq!(uptime(None), "0s");
    }
}
