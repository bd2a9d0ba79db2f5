//! Settings that change: as kubelet does it, half-way, and wrongly.

use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use super::*;

/// A ConfigMap as kubelet mounts it: files that lead through one link, which is swapped.
fn mount(directory: &Path, version: &str, files: &[(&str, &str)]) {
    let real = directory.join(format!("..{version}"));
    fs::create_dir(&real).unwrap();
    for (name, content) in files {
        fs::write(real.join(name), content).unwrap();
        if !directory.join(name).is_symlink() {
            symlink(format!("..data/{name}"), directory.join(name)).unwrap();
        }
    }
    symlink(format!("..{version}"), directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
}

/// The revision, and what is dynamic in these tests.
fn seen(dynamic: &mut Receiver<Dynamic>) -> (u64, String, String) {
    let dynamic = dynamic.borrow_and_update();
    (dynamic.revision, dynamic.values["log"].clone(), dynamic.values["max-concurrent-requests"].clone())
}

const FLAGS: [&str; 2] = ["log", "max-concurrent-requests"];

#[tokio::test(start_paused = true)]
async fn a_swapped_config_map_is_seen_as_a_whole() {
    let pod = Pod::new();
    mount(&pod.path("config"), "1", &[("log", "info"), ("max-concurrent-requests", "7")]);
    let mut dynamic = pod.load().unwrap().watch(&FLAGS);
    assert_eq!(seen(&mut dynamic), (1, "info".into(), "7".into()));

    mount(&pod.path("config"), "2", &[("log", "debug"), ("max-concurrent-requests", "8")]);
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (2, "debug".into(), "8".into()));

    // What is taken away falls to the next layer.
    fs::remove_file(pod.path("config/log")).unwrap();
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (3, "info".into(), "8".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_changes_nothing_until_it_is_mended() {
    let pod = Pod::new().with("config", "log", "info");
    let mut dynamic = pod.load().unwrap().watch(&FLAGS);
    dynamic.borrow_and_update();

    pod.write("config/log", "debug");
    pod.write("config/max-concurrent-requests", "many");
    assert!(timeout(Duration::from_secs(60), dynamic.changed()).await.is_err(), "{dynamic:?}");
    pod.write("config/max-concurrent-requests", "9");
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (2, "debug".into(), "9".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_dynamic_waits_and_what_was_typed_stays() {
    let pod =
        Pod::new().with("flag", "log", "warn").with("config", "log", "info").with("config", "parsers", "1");
    let mut dynamic = pod.load().unwrap().watch(&FLAGS);
    dynamic.borrow_and_update();

    pod.write("config/log", "debug");
    pod.write("config/parsers", "2");
    assert!(timeout(Duration::from_secs(60), dynamic.changed()).await.is_err());
    assert_eq!(seen(&mut dynamic), (1, "warn".into(), "1024".into()));
}

#[tokio::test(start_paused = true)]
async fn the_file_is_followed_too() {
    let pod = Pod::new().with("file", "log", "info");
    let mut dynamic = pod.load().unwrap().watch(&FLAGS);
    pod.write("file.yaml", "log: debug\nmax_concurrent_requests: 3\n");
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (2, "debug".into(), "3".into()));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_not_seen_while_it_is_being_written() {
    let pod = Pod::new().with("config", "log", "info");
    let mut dynamic = pod.load().unwrap().watch(&FLAGS);
    dynamic.borrow_and_update();

    let whole = "warn,dataflow=debug";
    for length in 0..whole.len() {
        pod.write("config/log", &whole[..length]);
        assert!(timeout(Duration::from_millis(200), dynamic.changed()).await.is_err(), "{dynamic:?}");
    }
    pod.write("config/log", whole);
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (2, whole.into(), "1024".into()));
}
