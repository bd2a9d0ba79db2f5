//! Whole meshes as processes: two on one Redis have one cache, and two on one directory are one too many.

use std::io::{BufRead, BufReader};
use std::process::Child;

use dataflow_tests::binary::{self, Service};
use dataflow_tests::example;
use dataflow_tests::redis::{self, Server};
use nix::sys::signal::Signal;

/// Whether a mesh has an answer to the example already.
fn is_cached(up: &Service) -> bool {
    let endpoint = format!("http://{}", up.address);
    let ended = binary::run(&["analyze", &example(), "--format", "json", "--endpoint", &endpoint]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let analysis: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(analysis["total"], 24);
    analysis["cached"].as_bool().unwrap()
}

#[test]
fn what_one_mesh_analyses_another_on_the_same_redis_finds() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let flags = ["--redis-url", server.url()];
    let (one, other) = (Service::start("up", &flags), Service::start("up", &flags));
    let stranger = Service::start("up", &[&flags[..], &["--redis-prefix", "stranger:"]].concat());
    assert!(!is_cached(&one));
    assert!(is_cached(&other) && is_cached(&one));
    assert!(!is_cached(&stranger), "another prefix is another mesh");
    let keys = server.command(&["KEYS", "*"]);
    let ours = |key: &str| key.starts_with("dataflow:") || key.starts_with("stranger:");
    assert!(!keys.items().is_empty() && keys.items().iter().all(|key| ours(key.text())), "{keys:?}");
    for up in [one, other, stranger] {
        let (code, log) = up.stop();
        assert_eq!(code, 0, "{log:#?}");
        binary::assert_calm(&log, &[]);
    }
}

/// A mesh that is killed when a test fails.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_data_directory_has_one_holder() {
    let folder = tempfile::TempDir::new().unwrap();
    let directory = folder.path().join("data");
    let directory = directory.to_str().unwrap();
    let flags = ["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", directory];
    let start = || {
        let mut up = Up(binary::command(&flags).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(up.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready http://"), "{line}");
        up
    };
    let mut first = start();
    let second = binary::run(&flags);
    assert_eq!(second.code, 2, "{second:?}");
    let holder = first.0.id().to_string();
    assert!(second.stderr.contains(directory) && second.stderr.contains(&holder), "{second:?}");
    assert_eq!(second.stdout, "");

    let both = [&flags[..], &["--redis-url", "redis://127.0.0.1:1"]].concat();
    let refused = binary::run(&both);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("exclude each other"), "{refused:?}");

    // Whoever comes when it has ended, in whatever way, has it.
    binary::signal(&first.0, Signal::SIGKILL);
    binary::wait(&mut first.0);
    let mut third = start();
    binary::signal(&third.0, Signal::SIGTERM);
    assert_eq!(binary::code(binary::wait(&mut third.0)), 0);
}
