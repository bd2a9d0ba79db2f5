//! Each of the predecessor's names is read as a flag, or reported as ignored.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use dataflow_settings::{Inherited, Loaded, Source, Sources};
use tempfile::TempDir;

use super::*;
use crate::cli::Cli;

/// The settings sources of a pod: mounted directories, a file, an environment and a command line.
struct Pod {
    root: TempDir,
    variables: Vec<(String, String)>,
    flags: Vec<OsString>,
}

impl Pod {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("secrets")).unwrap();
        fs::create_dir(root.path().join("config")).unwrap();
        Self { root, variables: Vec::new(), flags: vec!["dataflow".into(), "up".into()] }
    }

    /// Puts a value into a source.
    fn with(mut self, source: &str, name: &str, value: &str) -> Self {
        match source {
            "flag" => self.flags.extend([format!("--{name}").into(), value.into()]),
            "environment" => self.variables.push((name.to_owned(), value.to_owned())),
            "file" => {
                let file = self.path("file.yaml");
                fs::write(&file, format!("{name}: {value}\n")).unwrap();
                self.variables.push(("DATAFLOW_CONFIG".to_owned(), file.to_str().unwrap().to_owned()));
            }
            directory => fs::write(self.path(directory).join(name), value).unwrap(),
        }
        self
    }

    /// Uses a command that has this flag.
    fn of_command_with(mut self, flag: &str) -> Self {
        // `up` has no `--result-ttl`.
        self.flags[1] = if flag == "--result-ttl" { "analysis" } else { "up" }.into();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn load(&self) -> Result<Loaded, dataflow_settings::Error> {
        let variables = self.variables.iter().map(|(name, value)| (name.into(), value.into()));
        dataflow_settings::load(
            &Cli::command(),
            &self.flags,
            Sources {
                environment: variables.collect(),
                secrets: self.path("secrets"),
                config: self.path("config"),
                former: &Predecessor,
            },
        )
    }

    fn value(&self, flag: &str) -> Option<String> {
        value(&self.load().unwrap_or_else(|error| panic!("{error}")), flag)
    }
}

/// The value that a flag is parsed with, if any.
fn value(loaded: &Loaded, flag: &str) -> Option<String> {
    let (_, up) = loaded.matches.subcommand()?;
    let values = up.get_raw(&flag.trim_start_matches('-').replace('-', "_"))?;
    Some(values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","))
}

/// A name, its value, and the equivalent flag and value, if any.
type Row = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Every name, with a value as in the predecessor's manifests.
const TABLE: &[Row] = &[
    ("service_name", "dataflow-analyzer", None),
    ("service_version", "2.0.0", None),
    ("environment", "staging", Some(("--environment", "staging"))),
    ("namespace", "osservatorio", Some(("--namespace", "osservatorio"))),
    ("database.url", "postgres://u:p@h/d", None),
    ("database.pool_size", "20", None),
    ("database.max_overflow", "40", None),
    ("database.pool_timeout", "30", None),
    ("database.pool_recycle", "3600", None),
    ("redis.host", "redis-cluster", Some(("--redis-url", "redis://redis-cluster:6379"))),
    ("redis.port", "7", Some(("--redis-url", "redis://localhost:7"))),
    ("redis.socket_timeout", "5", Some(("--redis-timeout", "5s"))),
    ("redis.socket_connect_timeout", "5", None),
    ("redis.max_connections", "100", None),
    ("redis.retry_on_timeout", "true", None),
    ("istat_api.base_url", "https://example.org/rest", None),
    ("istat_api.timeout", "30", None),
    ("istat_api.max_retries", "3", None),
    ("istat_api.backoff_factor", "0.3", None),
    ("istat_api.rate_limit_calls", "100", None),
    ("istat_api.rate_limit_period", "60", None),
    ("observability.otel_service_name", "dataflow-analyzer", None),
    ("observability.otel_service_version", "2.0.0", None),
    ("observability.otel_exporter_otlp_endpoint", "http://c:14268/api/traces", None),
    (
        "observability.otel_exporter_otlp_endpoint",
        "http://c:4317",
        Some(("--otlp-endpoint", "http://c:4317")),
    ),
    ("observability.metrics_port", "8001", Some(("--admin", "0.0.0.0:8001"))),
    ("observability.metrics_path", "/metrics", None),
    ("observability.log_level", "INFO", Some(("--log", "info"))),
    ("observability.log_level", "WARNING", Some(("--log", "warn"))),
    ("observability.log_level", "CRITICAL", Some(("--log", "error"))),
    ("observability.log_format", "TEXT", Some(("--log-format", "text"))),
    ("scaling.worker_pool_size", "8", Some(("--parsers", "8"))),
    ("scaling.max_concurrent_requests", "200", Some(("--max-concurrent-requests", "200"))),
    ("scaling.request_timeout", "300", Some(("--request-timeout", "300s"))),
    ("scaling.request_timeout", "0.5", Some(("--request-timeout", "500ms"))),
    ("scaling.request_timeout", "30s", Some(("--request-timeout", "30s"))),
    ("scaling.queue_max_size", "2000", None),
    ("scaling.batch_size", "20", None),
    ("scaling.scale_up_threshold", "0.8", None),
    ("scaling.scale_down_threshold", "0.2", None),
    ("health.startup_timeout", "30", None),
    ("health.liveness_timeout", "5", None),
    ("health.readiness_timeout", "5", None),
    ("health.health_check_interval", "10", None),
    ("health.unhealthy_threshold", "3", None),
    ("health.healthy_threshold", "2", None),
    ("enable_distributed_caching", "true", None),
    ("enable_tracing", "true", None),
    ("enable_metrics", "true", None),
    ("enable_circuit_breaker", "true", None),
    ("jwt_secret", "0123", None),
];

/// The same for the variables without our prefix.
const VARIABLES: &[Row] = &[
    ("LOG_LEVEL", "DEBUG", Some(("--log", "debug"))),
    ("REDIS_URL", "redis://localhost:6379/0", Some(("--redis-url", "redis://localhost:6379/0"))),
    ("CACHE_EXPIRY_HOURS", "12", Some(("--result-ttl", "12h"))),
    ("ISTAT_API_BASE_URL", "https://example.org", None),
    ("ISTAT_SDMX_BASE_URL", "https://example.org", None),
    ("ISTAT_API_TIMEOUT", "30", None),
    ("API_BASE_URL", "http://localhost", None),
    ("CORS_ALLOW_ORIGINS", "http://localhost:3000", None),
    ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "3", None),
    ("CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "60", None),
    ("PERFORMANCE_API_RESPONSE_MAX_TIME_MS", "2000", None),
    ("AUDIT_LOG_RETENTION_DAYS", "90", None),
    ("ENABLE_CACHE", "true", None),
    ("JWT_SECRET_KEY", "s", None),
    ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "60", None),
    ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "30", None),
    ("RATE_LIMIT_REQUESTS_PER_MINUTE", "60", None),
    ("RATE_LIMIT_REQUESTS_PER_HOUR", "1000", None),
    ("RATE_LIMIT_REQUESTS_PER_DAY", "10000", None),
    ("ENHANCED_RATE_LIMITING_ENABLED", "true", None),
    ("ADAPTIVE_RATE_LIMITING_ENABLED", "true", None),
    ("RESPONSE_TIME_THRESHOLD_MS", "2000", None),
    ("RATE_LIMIT_ADJUSTMENT_FACTOR", "0.8", None),
    ("MIN_ADJUSTMENT_RATIO", "0.1", None),
    ("MAX_ADJUSTMENT_RATIO", "2.0", None),
    ("SUSPICIOUS_ACTIVITY_THRESHOLD", "0.5", None),
    ("IP_BLOCK_DURATION_HOURS", "24", None),
    ("CLEANUP_DATA_RETENTION_DAYS", "30", None),
    ("SECURITY_ALERT_EMAIL", "a@example.org", None),
];

#[test]
fn every_name_is_read_or_reported_as_ignored() {
    let check = |pod: Pod, name: &str, expected: Option<(&str, &str)>| {
        let pod = pod.of_command_with(expected.map_or("", |(flag, _)| flag));
        let loaded = pod.load().unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = &loaded.report;
        assert_eq!(report.unknown, [], "{name}");
        let ignored: Vec<_> = report.inherited.ignored.iter().map(|(name, _)| name.as_str()).collect();
        let Some((flag, value)) = expected else {
            assert_eq!(ignored, [name]);
            assert_eq!(report.inherited.read, []);
            return;
        };
        let line = report.settings.iter().find(|line| line.flag == flag).unwrap();
        assert_eq!((self::value(&loaded, flag).as_deref(), ignored.len()), (Some(value), 0), "{name}");
        assert_ne!(line.source, Source::Default, "{name}");
    };
    for (name, value, expected) in TABLE {
        let variable = format!("DATAFLOW_{}", name.to_ascii_uppercase().replace('.', "_"));
        check(Pod::new().with("environment", &variable, value), name, *expected);
        for source in ["config", "secrets"] {
            for file in [variable.as_str(), name, &name.replace('.', "_"), &name.replace(['.', '_'], "-")] {
                check(Pod::new().with(source, file, value), name, *expected);
            }
        }
        let nested = match name.split_once('.') {
            Some((section, field)) => format!(r#"{{"{section}": {{"{field}": "{value}"}}}}"#),
            None => format!(r#"{{"{name}": "{value}"}}"#),
        };
        check(Pod::new().with("config", "all.json", &nested), name, *expected);
    }
    for (name, value, expected) in VARIABLES {
        check(Pod::new().with("environment", name, value), name, *expected);
        if expected.is_none_or(|(flag, _)| flag != "--redis-url") {
            check(Pod::new().with("config", name, value), name, *expected);
        }
    }
}

#[test]
fn the_redis_url_is_built_from_its_parts() {
    let check = |settings: &[(&str, &str, &str)], expected: Option<&str>| {
        let pod =
            settings.iter().fold(Pod::new(), |pod, (source, name, value)| pod.with(source, name, value));
        assert_eq!(pod.value("redis-url").as_deref(), expected, "{settings:?}");
    };
    let host = ("config", "redis_host", "r");
    check(&[host], Some("redis://r:6379"));
    check(&[("config", "redis_host", "::1")], Some("redis://[::1]:6379"));
    check(&[host, ("environment", "DATAFLOW_REDIS_DB", "0")], Some("redis://r:6379"));
    check(&[host, ("environment", "DATAFLOW_REDIS_DB", "3")], Some("redis://r:6379/3"));
    check(&[host, ("config", "redis.ssl", "true")], Some("rediss://r:6379"));
    check(&[host, ("config", "redis.ssl", "false")], Some("redis://r:6379"));
    for (password, encoded) in
        [("12345", "12345"), ("0123", "0123"), ("a@b:c/%", "a%40b%3Ac%2F%25"), ("{}", "%7B%7D")]
    {
        check(&[host, ("secrets", "redis_password", password)], Some(&format!("redis://:{encoded}@r:6379")));
    }
    check(&[("secrets", "redis_password", "1")], None);
    // Our own name, in a source of higher, equal and lower precedence.
    check(&[host, ("secrets", "redis_url", "redis://own")], Some("redis://own"));
    check(&[host, ("config", "redis_url", "redis://own")], Some("redis://own"));
    check(&[host, ("environment", "DATAFLOW_REDIS_URL", "redis://own")], Some("redis://r:6379"));
    check(&[host, ("flag", "redis-url", "redis://own")], Some("redis://own"));
    // A password is added to the URL in force, unless that contains a user or is on the command line.
    let password = ("secrets", "redis_password", "1");
    check(&[password, ("config", "redis_url", "redis+sentinel://a,b/m")], Some("redis+sentinel://:1@a,b/m"));
    check(&[password, ("config", "redis_url", "redis://me:2@own")], Some("redis://me:2@own"));
    check(&[password, ("flag", "redis-url", "redis://own")], Some("redis://own"));
    // Kubernetes sets this variable for a Service named `dataflow-redis`.
    check(&[host, ("environment", "DATAFLOW_REDIS_PORT", "tcp://10.0.0.7:6379")], Some("redis://r:6379"));
}

#[test]
fn redis_parts_without_a_host_are_reported_as_ignored() {
    let inherited = |pod: Pod| pod.load().unwrap().report.inherited;
    let parts = || Pod::new().with("config", "redis.db", "3").with("config", "redis.ssl", "true");
    let Inherited { read, ignored } = inherited(parts());
    assert_eq!((read.len(), ignored.len()), (0, 2), "{ignored:?}");
    let Inherited { read, ignored } = inherited(parts().with("config", "redis.host", "r"));
    assert_eq!((read.len(), ignored.len()), (3, 0), "{ignored:?}");
}

#[test]
fn disabled_tracing_ignores_the_collector() {
    let pod = Pod::new().with("config", "observability.otel_exporter_otlp_endpoint", "http://c:4317").with(
        "environment",
        "DATAFLOW_ENABLE_TRACING",
        "false",
    );
    assert_eq!(pod.value("otlp-endpoint"), None);
}

#[test]
fn sources_are_merged_field_by_field() {
    let pod = Pod::new()
        .with("secrets", "redis_password", "0123")
        .with("config", "settings.json", r#"{"redis": {"host": "r", "db": 2}, "log": "warn"}"#)
        .with("environment", "DATAFLOW_REDIS_PORT", "7")
        .with("environment", "DATAFLOW_PARSERS", "3")
        .with("file", "redis", "{host: other, ssl: true}");
    let expected = [("redis-url", "rediss://:0123@r:7/2"), ("log", "warn"), ("parsers", "3")];
    for (flag, expected) in expected {
        assert_eq!(pod.value(flag).as_deref(), Some(expected), "{flag}");
    }
    let report = pod.load().unwrap().report.to_string();
    let report = report.replace(&format!("{}/", pod.root.path().display()), "");
    let line = report.lines().find(|line| line.starts_with("--redis-url ")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>().join(" "),
        "--redis-url *** ConfigMap config/settings.json:1 with DATAFLOW_REDIS_PORT, ConfigMap config/settings.json:1, \
         file file.yaml:1, Secret secrets/redis_password, over file file.yaml:1"
    );
}
