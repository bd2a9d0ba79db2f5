//! The output for people: unknown names, and no secret.

use super::*;

#[test]
fn a_secret_is_not_shown() {
    let url = "redis://:hunter2@r:1";
    for (source, name) in [
        ("flag", "redis-url"),
        ("secrets", "redis-url"),
        ("config", "redis-url"),
        ("environment", "DATAFLOW_REDIS_URL"),
        ("file", "redis-url"),
    ] {
        let pod = Pod::new().with(source, name, url);
        assert_eq!(pod.up().redis_url.as_deref(), Some(url), "{source}");
        assert!(pod.line("--redis-url").starts_with("--redis-url *** "), "{source}");
        assert!(!format!("{:?}", pod.load().unwrap().report).contains("hunter2"), "{source}");
    }
    // A value that contains one.
    let pod = Pod::new().with("config", "redis_host", "r").with(
        "environment",
        "DATAFLOW_REDIS_PASSWORD",
        "hunter2",
    );
    assert!(!pod.load().unwrap().report.to_string().contains("hunter2"));
    // An invalid secret.
    let pod = Pod::new().with("secrets", "redis-url", "hunter2").with("secrets", "parsers", "hunter3");
    assert!(!pod.problems().contains("hunter"), "{}", pod.problems());
}

#[test]
fn unknown_names_are_reported_with_a_suggestion() {
    let check = |source: &str, name: &str, expected: &str| {
        let pod = Pod::new().with(source, name, "x");
        let unknown: Vec<_> =
            pod.load().unwrap().report.unknown.iter().map(|name| pod.shorten(name)).collect();
        assert_eq!(unknown.join("; "), expected, "{source} {name}");
    };
    check("environment", "DATAFLOW_REDIS_ULR", "DATAFLOW_REDIS_ULR, did you mean DATAFLOW_REDIS_URL?");
    check(
        "config",
        "log-fromat",
        "log-fromat (ConfigMap config/log-fromat), did you mean DATAFLOW_LOG_FORMAT?",
    );
    check(
        "file",
        "max_mesage_bytes",
        "max_mesage_bytes (file file.yaml:1), did you mean DATAFLOW_MAX_MESSAGE_BYTES?",
    );
    check("environment", "DATAFLOW_QUUX", "DATAFLOW_QUUX");
    check("secrets", "tls.key", "tls.key (Secret secrets/tls.key)");
    check(
        "config",
        "config-dir",
        "config-dir (ConfigMap config/config-dir), did you mean DATAFLOW_CONFIG_DIR?",
    );
    check("environment", "HOME", "");
    check("environment", "DATAFLOW_ENDPOINT", "");
    check("environment", "DATAFLOW_CONFIG_SERVICE_HOST", "");
    check("config", "..2026_10_01", "");

    // A file that a setting points to is not unknown.
    let pod = Pod::new().with("secrets", "state", "x");
    let state = pod.path("secrets/state").display().to_string();
    let pod = pod.with("flag", "data-dir", &state);
    assert_eq!(pod.load().unwrap().report.unknown, []);
}

#[test]
fn show_config_requests_the_report() {
    let check = |pod: &Pod, command: &str, expected: bool| {
        assert_eq!(pod.load_as(command).unwrap().asks_for_report(), expected, "{command}");
    };
    let pod = Pod::new();
    check(&pod, "up", false);
    check(&pod, "status", false);
    check(&pod.with("environment", "DATAFLOW_SHOW_CONFIG", "1"), "up", true);
}

#[test]
fn the_report_has_columns() {
    let pod = Pod::new()
        .with("flag", "log", "warn")
        .with("config", "log", "debug")
        .with("secrets", "redis_password", "1")
        .with("config", "redis_host", "r")
        .with("environment", "DATAFLOW_NAMESPACE", "n")
        .with("environment", "DATAFLOW_LOG_FROMAT", "x");
    let shown = pod.shorten(pod.load().unwrap().report);
    for line in [
        "--log                      warn            command line, over ConfigMap config/log",
        "--redis-url                ***             ConfigMap config/redis_host with Secret secrets/redis_password",
        "--max-concurrent-requests  1024            default",
        "unknown: DATAFLOW_LOG_FROMAT, did you mean DATAFLOW_LOG_FORMAT?",
        "read: redis.password as redis_url",
        "ignored: namespace: the namespace comes from the manifest",
    ] {
        assert!(shown.lines().any(|shown| shown.trim_end() == line), "{line}\n{shown}");
    }
}
