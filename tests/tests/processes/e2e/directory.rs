//! `--data-dir`: only one process at a time can use a directory.

use std::io::{BufRead, BufReader};
use std::process::Child;

use dataflow_tests::binary;
use nix::sys::signal::Signal;

/// A mesh that is killed when dropped, also if a test fails.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_data_directory_is_used_by_one_process_only() {
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

    // After its process has exited, in whatever way, the next process can use it.
    binary::signal(&first.0, Signal::SIGKILL);
    binary::wait(&mut first.0);
    let mut third = start();
    binary::signal(&third.0, Signal::SIGTERM);
    assert_eq!(binary::code(binary::wait(&mut third.0)), 0);
}
