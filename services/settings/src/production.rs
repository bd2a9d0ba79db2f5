//! Checks for production: rejects settings that are meant for development. An error instead of a warning, because
//! warnings of a running pod are easily overlooked.

use std::net::SocketAddr;

use super::problem::Problem;
use super::setting::Setting;
use super::source::Source;
use super::value::is_false;

/// The settings by key.
struct Settings<'a>(&'a [Setting]);

/// The key of the flag to change; whether the settings violate the rule; the reason.
type Rule = (&'static str, fn(&Settings<'_>) -> bool, &'static str);

const RULES: &[Rule] = &[
    (
        "redis_url",
        |all| {
            all.has("redis_url") && all.is_empty("redis_url") && all.is_empty("data_dir") && all.is_public()
        },
        "state would be in memory, lost with the process and not shared with its replicas",
    ),
    (
        "log",
        |all| {
            all.text("log").split(',').any(|directive| {
                matches!(directive.trim().to_ascii_lowercase().as_str(), "debug" | "trace" | "4" | "5")
            })
        },
        "a log at this level costs more than the work itself, and may contain what callers sent",
    ),
    (
        "allow_anonymous",
        |all| !is_false(all.text("allow_anonymous")) && all.is_public(),
        "any client that reaches the address has full access",
    ),
    (
        "redis_url",
        |all| all.get("redis_url").is_some_and(exposes_password),
        "a password on a command line or in a ConfigMap is not secret; use a Secret directory or --redis-password-file",
    ),
];

/// The violated rules, if the environment is production.
pub(super) fn violations(settings: &[Setting]) -> Vec<Problem> {
    let settings = Settings(settings);
    if !matches!(settings.text("environment").to_ascii_lowercase().as_str(), "production" | "prod") {
        return Vec::new();
    }
    let violated = RULES.iter().filter(|(_, is_violated, _)| is_violated(&settings));
    violated
        .filter_map(|(key, _, reason)| {
            let setting = settings.get(key)?;
            Some(Problem::NotForProduction { at: setting.source.clone(), flag: setting.flag.clone(), reason })
        })
        .collect()
}

/// Whether a URL contains a password that other processes can read.
fn exposes_password(url: &Setting) -> bool {
    let user =
        url.text.rsplit_once('@').map(|(user, _)| user.split_once("://").map_or(user, |(_, user)| user));
    let password_source = url.with.last().unwrap_or(&url.source);
    user.is_some_and(|user| user.contains(':'))
        && matches!(password_source, Source::Flag | Source::ConfigMap(_))
}

// === impl Settings ===

impl Settings<'_> {
    fn get(&self, key: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key == key)
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).map_or("", |setting| setting.text.as_str())
    }

    fn is_empty(&self, key: &str) -> bool {
        self.text(key).is_empty()
    }

    /// Whether the service listens on a non-loopback address.
    fn is_public(&self) -> bool {
        self.text("listen").parse().is_ok_and(|address: SocketAddr| !address.ip().is_loopback())
    }
}
