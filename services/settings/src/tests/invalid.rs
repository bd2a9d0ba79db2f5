//! Invalid settings are reported with their position, all at once, and never applied in part.

use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn an_unusable_file_is_named() {
    let check = |make: &dyn Fn(&Pod), expected: &str| {
        let pod = Pod::new();
        make(&pod);
        assert_eq!(pod.problems(), expected);
    };
    check(
        &|pod| fs::create_dir(pod.path("config/log")).unwrap(),
        "config/log: a directory, expected a file with one value",
    );
    check(&|pod| fs::write(pod.path("config/log"), [0xff, 0xfe]).unwrap(), "config/log: not text in UTF-8");
    check(&|pod| fs::write(pod.path("secrets/log"), "a\0b").unwrap(), "secrets/log: not text in UTF-8");
    check(
        &|pod| fs::write(pod.path("config/log"), " ".repeat((1 << 20) + 1)).unwrap(),
        "config/log: larger than 1 MiB",
    );
    check(
        &|pod| drop(UnixListener::bind(pod.path("config/log")).unwrap()),
        "config/log: neither a file nor a link to one",
    );
    check(
        &|pod| std::os::unix::fs::symlink("gone", pod.path("secrets/log")).unwrap(),
        "secrets/log: entity not found",
    );
    check(&|pod| pod.write("config/a.json", r#"{"log": "#), "config/a.json:1: unclosed bracket '{'");
    check(&|pod| pod.write("file.yaml", "just text"), "file.yaml: expected an object of settings");
    check(
        &|pod| pod.write("file.yaml", "log: a\nparsers: [{a: 1}]"),
        "file.yaml:2: a list may contain only scalars",
    );
    check(
        &|pod| {
            pod.write("config/log", "a");
            pod.write("config/DATAFLOW_LOG", "b");
        },
        "log: ConfigMap config/DATAFLOW_LOG and ConfigMap config/log define different values",
    );
}

#[test]
fn a_configured_directory_must_exist() {
    let pod = Pod::new().with("flag", "config-dir", "/nonexistent/config");
    assert_eq!(pod.problems(), "/nonexistent/config: entity not found");
    let pod = Pod::new();
    fs::remove_dir(pod.path("config")).unwrap();
    fs::remove_dir(pod.path("secrets")).unwrap();
    assert_eq!(pod.up().log, "info");
}

#[test]
fn an_invalid_value_is_reported_with_flag_and_source() {
    let check = |source: &str, name: &str, value: &str, expected: &str| {
        assert_eq!(Pod::new().with(source, name, value).problems(), expected);
    };
    check(
        "environment",
        "DATAFLOW_PARSERS",
        "many",
        "DATAFLOW_PARSERS: --parsers: \"many\": invalid digit found in string",
    );
    check(
        "config",
        "log-format",
        "xml",
        "ConfigMap config/log-format: --log-format: \"xml\": expected json or text",
    );
    check("file", "parsers", "[1, 2]", "file file.yaml:1: --parsers: accepts one value, but got a list");
    check("secrets", "parsers", "many", "Secret secrets/parsers: --parsers: invalid digit found in string");
    check("secrets", "redis-url", "s3cret", "Secret secrets/redis-url: --redis-url: *** has no scheme");
    // Values that the command line overrides may be invalid.
    assert_eq!(
        Pod::new().with("environment", "DATAFLOW_PARSERS", "x").with("flag", "parsers", "2").up().parsers,
        Some(2)
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let pod = Pod::new()
        .with("config", "environment", "production")
        .with("config", "listen", "0.0.0.0:8080")
        .with("config", "broken.json", "{")
        .with("environment", "DATAFLOW_LOG", "debug")
        .with("environment", "DATAFLOW_PARSERS", "x")
        .with("file", "allow_anonymous", "true");
    let problems = pod.problems();
    let mut lines = problems.lines();
    assert_eq!(lines.next(), Some("5 settings are invalid"));
    for expected in [
        "  config/broken.json:1: ",
        "  DATAFLOW_PARSERS: --parsers: ",
        "  default: --redis-url: not allowed in production: state would be in memory",
        "  DATAFLOW_LOG: --log: not allowed in production: ",
        "  file file.yaml:1: --allow-anonymous: not allowed in production: ",
    ] {
        let line = lines.next().unwrap();
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn production_rejects_development_settings() {
    let check = |settings: &[(&str, &str, &str)], expected: usize| {
        let pod = Pod::new().with("environment", "DATAFLOW_ENVIRONMENT", "production");
        let pod = settings.iter().fold(pod, |pod, (source, name, value)| pod.with(source, name, value));
        let count = match pod.load() {
            Ok(_) => 0,
            Err(Error::Problems(Problems(problems))) => problems.len(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(count, expected, "{settings:?}");
    };
    let public = ("flag", "listen", "0.0.0.0:1");
    let redis = ("secrets", "redis-url", "redis://:p@r");
    check(&[], 0);
    check(&[public], 1);
    check(&[public, redis], 0);
    check(&[public, ("flag", "data-dir", "/d")], 0);
    check(&[public, redis, ("flag", "log", "info,dataflow=debug")], 0);
    check(&[public, redis, ("flag", "log", "debug,h2=info")], 1);
    check(&[public, redis, ("config", "allow-anonymous", "true")], 1);
    check(&[("config", "allow-anonymous", "true")], 0);
    check(&[("config", "redis-url", "redis://:p@r")], 1);
    check(&[("flag", "redis-url", "redis://:p@r")], 1);
    check(&[("environment", "DATAFLOW_REDIS_URL", "redis://:p@r")], 0);
    check(&[("config", "redis-url", "redis://me@r")], 0);
    check(&[("config", "redis-url", "redis://r"), ("config", "redis_password", "p")], 1);
    check(&[("config", "redis-url", "redis://r"), ("secrets", "redis_password", "p")], 0);
}

#[test]
fn a_variable_that_is_not_utf8_is_named() {
    let environment = [("DATAFLOW_LOG".into(), OsString::from_vec(vec![0xff]))].into();
    let (secrets, config) = (PathBuf::new(), PathBuf::new());
    let sources = Sources { environment, secrets, config, former: &earlier::Earlier };
    let error = load(&Cli::command(), &["dataflow".into(), "up".into()], sources).unwrap_err();
    assert_eq!(error.to_string(), "DATAFLOW_LOG: not UTF-8");
}
