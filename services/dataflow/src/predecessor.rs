//! The settings of the predecessor, Osservatorio's DataflowAnalysisService, by the predecessor's names. Those with an
//! equivalent flag still work; the others are reported once as ignored, with the reason.

use dataflow_settings::{FormerNames, Translation, Value};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The predecessor's names.
pub(crate) struct Predecessor;

/// Rewrites a value to the form that a flag takes; `None` if it has no equivalent.
type Rewrite = fn(&str) -> Option<String>;

/// Names with an equivalent flag. Upper-case names are environment variables without our prefix.
const FLAGS: &[(&str, &str, Rewrite)] = &[
    ("observability.log_level", "log", level),
    ("LOG_LEVEL", "log", level),
    ("observability.log_format", "log_format", |text| Some(text.to_ascii_lowercase())),
    ("observability.otel_exporter_otlp_endpoint", "otlp_endpoint", collector),
    // The predecessor's metrics were scraped from outside the pod.
    ("observability.metrics_port", "admin", |port| Some(format!("0.0.0.0:{port}"))),
    ("scaling.worker_pool_size", "parsers", same),
    ("scaling.max_concurrent_requests", "max_concurrent_requests", same),
    ("scaling.request_timeout", "request_timeout", seconds),
    ("redis.socket_timeout", "redis_timeout", seconds),
    ("REDIS_URL", "redis_url", same),
    ("CACHE_EXPIRY_HOURS", "result_ttl", |hours| Some(format!("{hours}h"))),
];

/// Switches the recording of spans on or off.
const TRACING: &str = "enable_tracing";

/// Names that together make up `--redis-url`.
const REDIS: [&str; 5] = ["redis.host", "redis.port", "redis.db", "redis.ssl", "redis.password"];

/// Names without an equivalent, by reason.
const IGNORED: &[(&str, &[&str])] = &[
    (
        "there is no database: state is in --data-dir or --redis-url",
        &[
            "database.url",
            "database.pool_size",
            "database.max_overflow",
            "database.pool_timeout",
            "database.pool_recycle",
        ],
    ),
    (
        "calls to Redis share their connections; --redis-timeout covers connecting",
        &["redis.socket_connect_timeout", "redis.max_connections", "redis.retry_on_timeout"],
    ),
    (
        "the config service manages providers, their addresses and quotas",
        &[
            "istat_api.base_url",
            "istat_api.timeout",
            "istat_api.max_retries",
            "istat_api.backoff_factor",
            "istat_api.rate_limit_calls",
            "istat_api.rate_limit_period",
            "ISTAT_API_BASE_URL",
            "ISTAT_SDMX_BASE_URL",
            "ISTAT_API_TIMEOUT",
        ],
    ),
    (
        "a process is named for its role and the release it was built from",
        &[
            "service_name",
            "service_version",
            "observability.otel_service_name",
            "observability.otel_service_version",
        ],
    ),
    ("metrics are always at /metrics of --admin", &["observability.metrics_path", "enable_metrics"]),
    (
        "nothing is queued: calls above --max-concurrent-requests are rejected",
        &["scaling.queue_max_size", "scaling.batch_size"],
    ),
    ("the HorizontalPodAutoscaler scales", &["scaling.scale_up_threshold", "scaling.scale_down_threshold"]),
    (
        "the probes of the manifest set intervals, timeouts and thresholds",
        &[
            "health.startup_timeout",
            "health.liveness_timeout",
            "health.readiness_timeout",
            "health.health_check_interval",
            "health.unhealthy_threshold",
            "health.healthy_threshold",
        ],
    ),
    ("results are cached where --cache-url is set", &["enable_distributed_caching", "ENABLE_CACHE"]),
    ("spans are recorded where --otlp-endpoint is set", &[TRACING]),
    (
        "circuit breakers are always on, with fixed thresholds",
        &["enable_circuit_breaker", "CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT"],
    ),
    (
        "no tokens are signed with a shared secret",
        &["jwt_secret", "JWT_SECRET_KEY", "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "JWT_REFRESH_TOKEN_EXPIRE_DAYS"],
    ),
    (
        "rates of callers are limited where --rate-limit is set, by one rate and without adapting it",
        &[
            "RATE_LIMIT_REQUESTS_PER_MINUTE",
            "RATE_LIMIT_REQUESTS_PER_HOUR",
            "RATE_LIMIT_REQUESTS_PER_DAY",
            "ENHANCED_RATE_LIMITING_ENABLED",
            "ADAPTIVE_RATE_LIMITING_ENABLED",
            "RESPONSE_TIME_THRESHOLD_MS",
            "RATE_LIMIT_ADJUSTMENT_FACTOR",
            "MIN_ADJUSTMENT_RATIO",
            "MAX_ADJUSTMENT_RATIO",
            "SUSPICIOUS_ACTIVITY_THRESHOLD",
            "IP_BLOCK_DURATION_HOURS",
        ],
    ),
    (
        "there is no such component",
        &[
            "API_BASE_URL",
            "CORS_ALLOW_ORIGINS",
            "PERFORMANCE_API_RESPONSE_MAX_TIME_MS",
            "AUDIT_LOG_RETENTION_DAYS",
            "CLEANUP_DATA_RETENTION_DAYS",
            "SECURITY_ALERT_EMAIL",
        ],
    ),
];

// === impl Predecessor ===

impl FormerNames for Predecessor {
    fn names(&self) -> Vec<&'static str> {
        let flags = FLAGS.iter().map(|(name, ..)| *name);
        flags.chain(REDIS).chain(IGNORED.iter().flat_map(|(_, names)| names.iter().copied())).collect()
    }

    fn translate(&self, settings: &mut Translation<'_>) {
        let tracing = settings.take(TRACING);
        let is_untraced = tracing.as_ref().is_some_and(Value::is_false);
        let mut offers = Vec::new();
        for (name, flag, rewrite) in FLAGS {
            let Some(value) = settings.take(name) else { continue };
            let is_off = *flag == "otlp_endpoint" && is_untraced;
            match rewrite(&value.text()).filter(|_| !is_off) {
                Some(text) => {
                    settings.read(name, flag);
                    offers.push((*flag, value.with_text(text)));
                }
                None if is_off => settings.ignore(name, "enable_tracing is false"),
                None => settings.ignore(name, "Jaeger's own protocol is not supported: use OTLP over gRPC"),
            }
        }
        let parts = REDIS.map(|name| settings.take(name));
        for (reason, names) in IGNORED {
            for name in *names {
                if (*name == TRACING && tracing.is_some()) || settings.take(name).is_some() {
                    settings.ignore(name, reason);
                }
            }
        }
        for (flag, offer) in offers {
            settings.offer(flag, offer);
        }
        redis(settings, parts);
    }
}

/// Builds `--redis-url` from its parts, which may have different sources, or adds the password to an existing URL.
fn redis(settings: &mut Translation<'_>, parts: [Option<Value>; 5]) {
    const URL: &str = "redis_url";
    let [host, port, db, ssl, password] = parts;
    if let Some(base) = host.as_ref().or(port.as_ref()) {
        let scheme = if ssl.as_ref().is_some_and(|ssl| !ssl.is_false()) { "rediss" } else { "redis" };
        let name = host.as_ref().map_or("localhost".to_owned(), Value::text);
        let name = if name.contains(':') { format!("[{name}]") } else { name };
        let number = port.as_ref().map_or("6379".to_owned(), Value::text);
        let path =
            db.as_ref().map(Value::text).filter(|db| db != "0").map_or(String::new(), |db| format!("/{db}"));
        let others = [port.as_ref().filter(|_| host.is_some()), db.as_ref(), ssl.as_ref()];
        let url = base.with_text(format!("{scheme}://{name}:{number}{path}"));
        settings.offer(URL, url.composed_of(others.into_iter().flatten()));
    }
    let has_base = host.is_some() || port.is_some();
    for (name, _) in REDIS.iter().zip([host, port, db, ssl]).filter(|(_, part)| part.is_some()) {
        if has_base {
            settings.read(name, URL);
        } else {
            settings.ignore(name, "there is no redis.host to add it to");
        }
    }
    let Some(password) = password else { return };
    match settings.untyped(URL).filter(|url| !url.text().contains('@')) {
        Some(url) => {
            let encoded = utf8_percent_encode(&password.text(), NON_ALPHANUMERIC).to_string();
            url.add_secret(url.text().replacen("://", &format!("://:{encoded}@"), 1), password);
            settings.read(REDIS[4], URL);
        }
        None => {
            let reason =
                "there is no --redis-url to add it to, or it is on the command line, or it contains a user";
            settings.ignore(REDIS[4], reason);
        }
    }
}

fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A duration; a number without a unit is in seconds.
fn seconds(text: &str) -> Option<String> {
    Some(match text.parse::<f64>() {
        // A duration takes whole numbers only.
        Ok(seconds) if text.contains('.') => format!("{}ms", (seconds * 1000.0).round()),
        Ok(_) => format!("{text}s"),
        Err(_) => text.to_owned(),
    })
}

/// Converts Python's names of log levels.
fn level(text: &str) -> Option<String> {
    Some(match text.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        level => level.to_owned(),
    })
}

/// An OTLP collector. Port 14268 is Jaeger's own protocol over HTTP.
fn collector(url: &str) -> Option<String> {
    (!url.contains(":14268")).then(|| url.to_owned())
}

#[cfg(test)]
mod tests;
