//! The whole mesh in one process, behind one port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use dataflow_tests::binary::{self, Service};
use dataflow_tests::eventually::{TIMEOUT, eventually_blocking};
use dataflow_tests::example;
use nix::sys::signal::Signal;

fn document() -> String {
    std::fs::read_to_string(example()).unwrap()
}

/// The status and the JSON of an HTTP/1.0 response.
fn read(mut stream: TcpStream) -> (u16, serde_json::Value) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("malformed response: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn one_port_serves_rest_grpc_and_the_command_line() {
    let mut up = Service::start("up", &[]);
    let endpoint = format!("http://{}", up.address);
    assert_eq!(up.next_line(), format!("ready {endpoint}\n"));

    let status = binary::run(&["status", "--endpoint", &endpoint]);
    assert_eq!((status.code, status.stdout.starts_with("healthy  ")), (0, true), "{status:?}");
    let row = status.stdout.lines().find(|line| line.starts_with("up ")).expect("one process runs all roles");
    assert!(row.contains(" healthy ") && row.contains(env!("CARGO_PKG_VERSION")), "{status:?}");
    let status = binary::run(&["status", "--endpoint", &endpoint, "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((status.code, &shown["status"]), (0, &"healthy".into()), "{status:?}");
    assert_eq!(shown["processes"][0]["roles"], serde_json::json!(["analysis", "cache", "config", "gateway"]));

    let document = document();
    let mut stream = TcpStream::connect(&up.address).unwrap();
    let length = document.len();
    write!(stream, "POST /v1/catalogues:analyze HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{document}")
        .unwrap();
    let (code, mut by_rest) = read(stream);
    assert_eq!(code, 200, "{by_rest}");

    let analyze = ["analyze", "examples/istat-sample.xml", "--format", "json"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let run = |flags: &[&str]| {
        let output = binary::command(&[&analyze, flags].concat()).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let (mut by_mesh, mut alone) = (run(&["--endpoint", &endpoint]), run(&[]));
    assert_eq!(by_mesh["cached"], true, "the REST request cached the result");
    for analysis in [&mut by_rest, &mut by_mesh, &mut alone] {
        analysis["cached"].take();
    }
    assert_eq!((&by_rest, &by_mesh), (&alone, &alone), "the same result in three ways");

    let (code, log) = up.stop();
    assert_eq!(code, 0, "{log:#?}");
    binary::assert_no_warnings(&log, &[]);
    let stopped: Vec<_> =
        log.iter().filter(|line| line.contains("\"message\":\"service: stopped\"")).collect();
    let order = ["gateway", "analysis", "cache", "config"];
    assert_eq!(stopped.len(), order.len(), "{stopped:?}");
    for (line, role) in stopped.iter().zip(order) {
        assert!(line.contains(role), "{stopped:#?}");
    }
}

#[test]
fn a_mistake_in_a_request_names_the_next_step() {
    let up = Service::start("up", &[]);
    let check = |request: &str, expected: (u16, &str)| {
        let mut stream = TcpStream::connect(&up.address).unwrap();
        write!(stream, "{request} HTTP/1.0\r\ncontent-length: 0\r\n\r\n").unwrap();
        let (code, reply) = read(stream);
        assert_eq!((code, reply["message"].as_str().unwrap()), expected, "{request}");
    };
    let unknown = |takes: &str| format!("there is no query parameter \"rules\"; this path takes {takes}");
    check("POST /v1/catalogues:analyze?rules=legacy", (400, &unknown("ruleset, provider")));
    check("GET /v1/config?rules=legacy", (400, &unknown("none")));
    check("GET /", (404, "no route matches this path; reflection lists the routes"));
    // Its admin port is no endpoint, and the message says what is.
    let endpoint = format!("http://{}", up.admin);
    let ended = binary::run(&["status", "--endpoint", &endpoint]);
    assert_eq!(ended.code, 4, "{ended:?}");
    for expected in
        [endpoint.as_str(), "--endpoint takes the port of a gateway or a service, not an admin port"]
    {
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
    }
    assert_eq!(up.stop().0, 0);
}

#[test]
fn an_upload_in_flight_finishes_during_a_stop() {
    let up = Service::start("up", &[]);
    let document = document();
    let (first, rest) = document.split_at(document.len() / 2);
    let mut stream = TcpStream::connect(&up.address).unwrap();
    let length = document.len();
    write!(
        stream,
        "POST /v1/catalogues:analyze HTTP/1.0\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    // HTTP/1.0 has no 100 Continue, so the metrics show that the upload has begun.
    stream.write_all(first.as_bytes()).unwrap();
    let begun = "grpc_server_in_flight{role=\"analysis\",\
                 grpc_service=\"dataflow.analysis.v1.AnalysisService\",grpc_method=\"AnalyzeCatalogue\"} 1";
    eventually_blocking(TIMEOUT, "the upload has begun", || metrics(&up.admin).contains(begun));

    up.signal(Signal::SIGTERM);
    eventually_blocking(TIMEOUT, "it drains", || {
        up.log().iter().any(|line| line.contains("\"message\":\"service: draining\""))
    });
    stream.write_all(rest.as_bytes()).unwrap();
    let (status, analysis) = read(stream);
    assert_eq!((status, &analysis["total"]), (200, &24.into()));
    // It is stopping already; a second signal would make it exit immediately.
    let (code, log) = up.ended();
    assert_eq!(code, 0, "{log:#?}");
}

#[test]
fn the_access_log_follows_its_flag() {
    let check = |flags: &[&str], expected: bool| {
        let up = Service::start("up", flags);
        let mut stream = TcpStream::connect(&up.address).unwrap();
        write!(stream, "GET /live HTTP/1.0\r\nx-request-id: seven\r\n\r\n").unwrap();
        assert_eq!(read(stream).0, 200);
        let (_, log) = up.stop();
        let is_expected = |line: &&String| {
            ["\"message\":\"call: ended\"", "\"route\":\"/live\"", "\"seven\""]
                .iter()
                .all(|text| line.contains(text))
        };
        assert_eq!(log.iter().any(|line| is_expected(&line)), expected, "{flags:?}: {log:#?}");
    };
    check(&[], false);
    check(&["--access-log", "all"], true);
    check(&["--slow-request", "0s"], true);
}

#[test]
fn a_stop_before_readiness_exits() {
    let flags = ["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut child = binary::command(&flags).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    // It handles signals from the first log line on, and is ready later.
    assert!(log.next().unwrap().unwrap().contains("admin port: listening"));
    binary::signal(&child, Signal::SIGTERM);
    for _ in log {}
    assert_eq!(binary::code(binary::wait(&mut child)), 0);
}

fn metrics(admin: &str) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    metrics
}

#[test]
fn invalid_flags_are_reported_before_anything_starts() {
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let ended = binary::run(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{arguments:?}: {ended:?}");
    };
    let exposed = ["--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"];
    check(&[&["up"], &exposed[..]].concat(), 2, "--allow-anonymous");
    check(&[&["gateway"], &exposed[..]].concat(), 2, "--allow-anonymous");
    check(&["gateway", "--descriptors", "no-such-file"], 2, "no-such-file");
    check(&["gateway", "--upstream", "no.such.Service=http://127.0.0.1:1"], 2, "no.such.Service");
    check(&["gateway", "--upstream", "http://127.0.0.1:1"], 2, "names no service");
    check(&["status", "--endpoint", "http://127.0.0.1:1"], 4, "unreachable");
    let rules = ["--rules", "services/rules/sets/default.yaml"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut analyze =
        binary::command(&[&["analyze", "-", "--endpoint", "http://127.0.0.1:1"], &rules[..]].concat());
    assert_eq!(analyze.current_dir(root).output().unwrap().status.code(), Some(2));
}

#[test]
fn an_unreachable_mesh_is_exit_status_4() {
    let ended = binary::run_with(
        &["analyze", "-", "--endpoint", "http://127.0.0.1:1"],
        std::io::Cursor::new(document().into_bytes()),
    );
    assert_eq!(ended.code, 4, "{ended:?}");
}
