//! The names by which the predecessor was set up. Those that mean something here go on working; the rest are told once,
//! with the reason, so that nobody waits for an effect.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::found::Found;
use super::names::{Names, key};

/// A value rewritten as a flag takes it, or `None` where it has no meaning.
type Rewrite = fn(&str) -> Option<String>;

/// Names with a flag of the same meaning. Upper case: a variable as it is, without our prefix.
const FLAGS: &[(&str, &str, Rewrite)] = &[
    ("observability.log_level", "log", level),
    ("LOG_LEVEL", "log", level),
    ("observability.log_format", "log_format", |text| Some(text.to_ascii_lowercase())),
    ("observability.otel_exporter_otlp_endpoint", "otlp_endpoint", collector),
    // It was to be scraped from outside the pod.
    ("observability.metrics_port", "admin", |port| Some(format!("0.0.0.0:{port}"))),
    ("scaling.worker_pool_size", "parsers", same),
    ("scaling.max_concurrent_requests", "max_concurrent_requests", same),
    ("scaling.request_timeout", "request_timeout", seconds),
    ("redis.socket_timeout", "redis_timeout", seconds),
    ("REDIS_URL", "redis_url", same),
    ("CACHE_EXPIRY_HOURS", "result_ttl", |hours| Some(format!("{hours}h"))),
];

/// Names that together are `--redis-url`.
const REDIS: [&str; 5] = ["redis.host", "redis.port", "redis.db", "redis.ssl", "redis.password"];

/// Names without a meaning here, and why.
const NOTHING: &[(&str, &[&str])] = &[
    (
        "there is no database: state lies in --data-dir or --redis-url",
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
        "providers, their addresses and quotas are kept by the config service",
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
    ("the namespace is what the manifest says", &["namespace"]),
    ("metrics are always at /metrics of --admin", &["observability.metrics_path", "enable_metrics"]),
    (
        "nothing is queued: what is above --max-concurrent-requests is refused",
        &["scaling.queue_max_size", "scaling.batch_size"],
    ),
    ("the HorizontalPodAutoscaler scales", &["scaling.scale_up_threshold", "scaling.scale_down_threshold"]),
    (
        "the probes of the manifest say how often and how long",
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
    ("spans are recorded where --otlp-endpoint is set", &["enable_tracing"]),
    (
        "breakers are always there, with thresholds of their own",
        &["enable_circuit_breaker", "CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT"],
    ),
    (
        "no tokens are signed with a shared secret",
        &["jwt_secret", "JWT_SECRET_KEY", "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "JWT_REFRESH_TOKEN_EXPIRE_DAYS"],
    ),
    (
        "callers are not limited by rate",
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
        "there is no such part",
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

/// What became of the predecessor's names that were met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The names that were read, with the variable of the flag that each speaks for.
    pub read: Vec<(String, String)>,
    /// The names that were not, with the reason.
    pub ignored: Vec<(String, &'static str)>,
}

/// Whether the predecessor knew a variable by this name, without our prefix.
pub(super) fn knows_variable(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase()) && all().any(|known| known == name)
}

/// Whether the predecessor knew a setting by this key.
pub(super) fn knows(wanted: &str) -> bool {
    all().any(|name| own_key(name) == wanted)
}

fn all() -> impl Iterator<Item = &'static str> {
    let flags = FLAGS.iter().map(|(name, ..)| *name);
    flags.chain(REDIS).chain(NOTHING.iter().flat_map(|(_, names)| names.iter().copied()))
}

/// The key under which a name of the tables is found: a variable without our prefix is its own.
fn own_key(name: &str) -> String {
    if name.contains(|c: char| c.is_ascii_uppercase()) { name.to_owned() } else { key(name) }
}

/// Puts what the predecessor's names say under our keys, each in its own layer: a higher one wins whatever it is called,
/// and in one layer our own name does. A name that we have given a flag of its own is left alone.
pub(super) fn translate(
    found: &mut BTreeMap<String, Found>,
    names: &Names,
    typed: &dyn Fn(&str) -> bool,
) -> Inherited {
    let mut inherited = Inherited::default();
    let mut take = |name: &str| {
        let key = own_key(name);
        if names.is_own(&key) { None } else { found.remove(&key) }
    };
    let untraced = take("enable_tracing");
    let mut offers = Vec::new();
    for (name, flag, rewrite) in FLAGS {
        let Some(former) = take(name) else { continue };
        let is_off = *flag == "otlp_endpoint" && untraced.as_ref().is_some_and(Found::is_false);
        match rewrite(&former.text()).filter(|_| !is_off) {
            Some(text) => {
                inherited.read.push(((*name).to_owned(), (*flag).to_owned()));
                offers.push((*flag, former.saying(text)));
            }
            None => {
                let why = if is_off {
                    "enable_tracing says no"
                } else {
                    "Jaeger's own protocol is not spoken, OTLP over gRPC is"
                };
                inherited.ignored.push(((*name).to_owned(), why));
            }
        }
    }
    let parts = REDIS.map(&mut take);
    for (why, names) in NOTHING {
        let met = names
            .iter()
            .filter(|name| (**name == "enable_tracing" && untraced.is_some()) || take(name).is_some());
        inherited.ignored.extend(met.map(|name| ((*name).to_owned(), *why)));
    }

    for (flag, offer) in offers {
        offer_to(found, flag, offer);
    }
    redis(found, parts, typed, &mut inherited);
    inherited
}

/// Builds `--redis-url` from its parts, each from its own layer, or adds the password to one that is there.
fn redis(
    found: &mut BTreeMap<String, Found>,
    parts: [Option<Found>; 5],
    typed: &dyn Fn(&str) -> bool,
    inherited: &mut Inherited,
) {
    const URL: &str = "redis_url";
    for (name, _) in REDIS.iter().zip(&parts).filter(|(_, part)| part.is_some()) {
        inherited.read.push(((*name).to_owned(), URL.to_owned()));
    }
    let [host, port, db, ssl, password] = parts;
    if let Some(base) = host.as_ref().or(port.as_ref()) {
        let scheme = if ssl.as_ref().is_some_and(|ssl| !ssl.is_false()) { "rediss" } else { "redis" };
        let name = host.as_ref().map_or("localhost".to_owned(), Found::text);
        let name = if name.contains(':') { format!("[{name}]") } else { name };
        let number = port.as_ref().map_or("6379".to_owned(), Found::text);
        let path =
            db.as_ref().map(Found::text).filter(|db| db != "0").map_or(String::new(), |db| format!("/{db}"));
        let mut url = base.saying(format!("{scheme}://{name}:{number}{path}"));
        let others = [port.as_ref().filter(|_| host.is_some()), db.as_ref(), ssl.as_ref()];
        url.with = others.into_iter().flatten().map(|part| part.source.clone()).collect();
        offer_to(found, URL, url);
    } else {
        for (name, _) in [("redis.db", db), ("redis.ssl", ssl)].into_iter().filter(|(_, part)| part.is_some())
        {
            inherited.read.retain(|(read, _)| read != name);
            inherited.ignored.push((name.to_owned(), "there is no redis.host to add it to"));
        }
    }
    let Some(password) = password else { return };
    match found.get_mut(URL) {
        Some(url) if !typed(URL) && !url.text().contains('@') => {
            let encoded = utf8_percent_encode(&password.text(), NON_ALPHANUMERIC).to_string();
            url.values = vec![url.text().replacen("://", &format!("://:{encoded}@"), 1)];
            url.secret = true;
            url.with.push(password.source);
        }
        _ => {
            inherited.read.retain(|(name, _)| name != "redis.password");
            let why = "there is no --redis-url to add it to, or it was typed, or it names a user itself";
            inherited.ignored.push(("redis.password".to_owned(), why));
        }
    }
}

fn offer_to(found: &mut BTreeMap<String, Found>, key: &str, offer: Found) {
    match found.get_mut(key) {
        Some(own) if own.source.rank() <= offer.source.rank() => own.over.push(offer.source),
        Some(own) => {
            let beaten = std::mem::replace(own, offer);
            own.over.push(beaten.source);
            own.over.extend(beaten.over);
        }
        None => drop(found.insert(key.to_owned(), offer)),
    }
}

fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A number of seconds, unless a unit says otherwise.
fn seconds(text: &str) -> Option<String> {
    Some(match text.parse::<f64>() {
        // Each unit of a duration is counted in whole numbers.
        Ok(seconds) if text.contains('.') => format!("{}ms", (seconds * 1000.0).round()),
        Ok(_) => format!("{text}s"),
        Err(_) => text.to_owned(),
    })
}

/// Python's names of levels.
fn level(text: &str) -> Option<String> {
    Some(match text.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        level => level.to_owned(),
    })
}

/// An OTLP collector. 14268 is where Jaeger takes its own protocol over HTTP.
fn collector(url: &str) -> Option<String> {
    (!url.contains(":14268")).then(|| url.to_owned())
}
