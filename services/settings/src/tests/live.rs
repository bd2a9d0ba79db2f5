//! Settings that change: as the kubelet does it, partially, and with errors.

use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::sync::watch::{Receiver, channel};
use tokio::time::timeout;

use super::*;

/// Writes a ConfigMap as the kubelet mounts it: files that point through one symlink, which is swapped atomically.
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

/// The dynamic settings of these tests: `log` and `max-concurrent-requests`. Checks that they changed at most once
/// since the last call.
fn seen(dynamic: &mut Receiver<Dynamic>) -> (String, String) {
    let current = dynamic.borrow_and_update().clone();
    assert!(!dynamic.has_changed().unwrap_or_default());
    let value = |flag: &str| current.settings[flag].value.clone();
    (value("log"), value("max-concurrent-requests"))
}

impl Pod {
    /// The dynamic flags, watched in the background.
    fn watch(&self, pushed: Receiver<Pushed>) -> Receiver<Dynamic> {
        let (dynamic, follow) = self.load().unwrap().watch(pushed);
        tokio::spawn(follow);
        dynamic
    }
}

fn nothing_pushed() -> Receiver<Pushed> {
    channel(Pushed::new()).1
}

fn pushed(settings: &[(&str, &str)]) -> Pushed {
    settings.iter().map(|(flag, value)| (flag.to_string(), value.to_string())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_swapped_config_map_is_applied_atomically() {
    let pod = Pod::new();
    mount(&pod.path("config"), "1", &[("log", "info"), ("max-concurrent-requests", "7")]);
    let mut dynamic = pod.watch(nothing_pushed());
    assert_eq!(seen(&mut dynamic), ("info".into(), "7".into()));

    mount(&pod.path("config"), "2", &[("log", "debug"), ("max-concurrent-requests", "8")]);
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("debug".into(), "8".into()));

    // A removed value falls back to the next source.
    fs::remove_file(pod.path("config/log")).unwrap();
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("info".into(), "8".into()));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_change_is_not_applied_until_it_is_fixed() {
    let pod = Pod::new().with("config", "log", "info");
    let mut dynamic = pod.watch(nothing_pushed());
    dynamic.borrow_and_update();

    pod.write("config/log", "debug");
    pod.write("config/max-concurrent-requests", "many");
    assert!(timeout(Duration::from_secs(60), dynamic.changed()).await.is_err(), "{dynamic:?}");
    pod.write("config/max-concurrent-requests", "9");
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("debug".into(), "9".into()));
}

#[tokio::test(start_paused = true)]
async fn static_settings_need_a_restart_and_the_command_line_wins() {
    let pod =
        Pod::new().with("flag", "log", "warn").with("config", "log", "info").with("config", "parsers", "1");
    let mut dynamic = pod.watch(nothing_pushed());
    dynamic.borrow_and_update();

    pod.write("config/log", "debug");
    pod.write("config/parsers", "2");
    assert!(timeout(Duration::from_secs(60), dynamic.changed()).await.is_err());
    assert_eq!(seen(&mut dynamic), ("warn".into(), "1024".into()));
}

#[tokio::test(start_paused = true)]
async fn the_config_file_is_watched() {
    let pod = Pod::new().with("file", "log", "info");
    let mut dynamic = pod.watch(nothing_pushed());
    pod.write("file.yaml", "log: debug\nmax_concurrent_requests: 3\n");
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("debug".into(), "3".into()));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_not_applied_while_it_is_written() {
    let pod = Pod::new().with("config", "log", "info");
    let mut dynamic = pod.watch(nothing_pushed());
    dynamic.borrow_and_update();

    let whole = "warn,dataflow=debug";
    for length in 0..whole.len() {
        pod.write("config/log", &whole[..length]);
        assert!(timeout(Duration::from_millis(200), dynamic.changed()).await.is_err(), "{dynamic:?}");
    }
    pod.write("config/log", whole);
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), (whole.into(), "1024".into()));
}

#[tokio::test(start_paused = true)]
async fn pushed_settings_have_the_lowest_precedence_above_the_defaults() {
    let pod = Pod::new().with("config", "log", "warn");
    let (pusher, receiver) = channel(Pushed::new());
    let mut dynamic = pod.watch(receiver);
    assert_eq!(seen(&mut dynamic), ("warn".into(), "1024".into()));

    // Settings that are not dynamic here, or unknown, are for other services.
    let all = [("log", "debug"), ("max-concurrent-requests", "7"), ("parsers", "3"), ("no-such", "x")];
    pusher.send_replace(pushed(&all));
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("warn".into(), "7".into()));
    let current = dynamic.borrow().settings.clone();
    assert_eq!(current["max-concurrent-requests"].source, Source::ConfigService);
    assert_eq!(current.len(), 2);

    // A removed file falls back to the pushed value, and a value that is no longer pushed falls back to the default.
    fs::remove_file(pod.path("config/log")).unwrap();
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("debug".into(), "7".into()));
    pusher.send_replace(Pushed::new());
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("info".into(), "1024".into()));
}

#[tokio::test(start_paused = true)]
async fn a_push_with_an_invalid_value_is_rejected_whole_and_blocks_no_other_change() {
    let pod = Pod::new().with("config", "log", "warn");
    let (pusher, receiver) = channel(Pushed::new());
    let mut dynamic = pod.watch(receiver);
    pusher.send_replace(pushed(&[("max-concurrent-requests", "7")]));
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("warn".into(), "7".into()));

    pusher.send_replace(pushed(&[("max-concurrent-requests", "many")]));
    assert!(timeout(Duration::from_secs(60), dynamic.changed()).await.is_err(), "{dynamic:?}");
    pod.write("config/log", "debug");
    dynamic.changed().await.unwrap();
    assert_eq!(seen(&mut dynamic), ("debug".into(), "7".into()));
}

#[tokio::test(start_paused = true)]
async fn values_from_secrets_are_not_among_the_dynamic_flags() {
    let dynamic = Pod::new().with("secrets", "log", "warn").watch(nothing_pushed());
    let current = dynamic.borrow().settings.clone();
    assert_eq!(current.keys().collect::<Vec<_>>(), ["max-concurrent-requests"]);
}

#[derive(Debug, clap::Args)]
struct Limits {
    #[arg(long, env = "DATAFLOW_MAX_CONCURRENT_REQUESTS", help_heading = DYNAMIC)]
    max_concurrent_requests: u32,
}

#[tokio::test]
async fn live_flags_have_their_current_values() {
    let (sender, settings) = channel(Dynamic::default());
    let live = Live::fixed(Limits { max_concurrent_requests: 5 });
    let follow = live.clone().follow(settings);
    assert_eq!(live.load().max_concurrent_requests, 5);
    let current = Current { value: "7".to_owned(), source: Source::ConfigService };
    sender.send_replace(Dynamic { settings: [("max-concurrent-requests".to_owned(), current)].into() });
    drop(sender);
    // It ends when its sender is dropped, after the last change.
    follow.await;
    assert_eq!(live.load().max_concurrent_requests, 7);
}
