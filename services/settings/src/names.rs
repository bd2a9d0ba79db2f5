//! Names of settings: their spellings, and variables that only look like settings.

use std::collections::{BTreeMap, BTreeSet};

use clap::Command;

use super::args::SOURCE_FLAGS;
use super::source::Source;

/// Prefix of our variables.
pub(super) const PREFIX: &str = "DATAFLOW_";

/// Minimum similarity of two names, from 0 to 1, to suggest one as the correct spelling of the other.
const MIN_SIMILARITY: f64 = 0.85;

/// The known names.
pub(super) struct Names {
    /// The variables of all commands, by [`key`]. A pod may set variables for any role, so a variable of another
    /// command is not an error.
    own: BTreeMap<String, String>,
    /// The keys of former names, if the command supports them.
    former: BTreeSet<String>,
}

/// The normalized form of the spellings `DATAFLOW_REDIS_URL`, `redis-url` and `redis.url`: `redis_url`.
pub(super) fn key(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace(['-', '.'], "_");
    match name.strip_prefix("dataflow_") {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

/// Whether Kubernetes generated this variable as the address of a Service (a service link): for a Service
/// `dataflow-redis` it sets `DATAFLOW_REDIS_PORT=tcp://10.0.0.7:6379`, which is not a port setting.
pub(super) fn is_service_link(variable: &str, value: &str) -> bool {
    let of_protocol = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
            && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"))
    };
    variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || (variable.ends_with("_PORT") && value.contains("://"))
        || variable.match_indices("_PORT_").any(|(at, found)| of_protocol(&variable[at + found.len()..]))
}

// === impl Names ===

impl Names {
    /// The names of `command` and all its subcommands, and `former` names by their keys.
    pub(super) fn of(command: &Command, former: BTreeSet<String>) -> Self {
        let mut own = BTreeMap::new();
        let mut commands = vec![command];
        while let Some(command) = commands.pop() {
            let variables = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
            own.extend(variables.map(|variable| (key(variable), variable.to_owned())));
            commands.extend(command.get_subcommands());
        }
        Self { own, former }
    }

    /// Whether any of our commands has the setting.
    pub(super) fn is_own(&self, key: &str) -> bool {
        self.own.contains_key(key)
    }

    /// Whether the setting is valid in this source.
    pub(super) fn knows(&self, key: &str, source: &Source) -> bool {
        let is_source_flag = SOURCE_FLAGS.contains(&key) && !matches!(source, Source::Environment(_));
        (self.is_own(key) && !is_source_flag) || self.former.contains(key)
    }

    /// The key of a name in a directory or a file. Former variables without our prefix are their own keys.
    pub(super) fn key(&self, name: &str) -> String {
        let key = key(name);
        if !self.is_own(&key) && self.is_former_variable(name) { name.to_owned() } else { key }
    }

    /// The key of a variable; `None` if it is not ours.
    pub(super) fn key_of_variable(&self, variable: &str) -> Option<String> {
        if variable.starts_with(PREFIX) {
            return Some(key(variable));
        }
        self.is_former_variable(variable).then(|| variable.to_owned())
    }

    fn is_former_variable(&self, name: &str) -> bool {
        // The keys of other names are in lower case.
        name.contains(|c: char| c.is_ascii_uppercase()) && self.former.contains(name)
    }

    /// The most similar variable, as a suggestion.
    pub(super) fn nearest(&self, key: &str) -> Option<&str> {
        let scored = self.own.iter().map(|(known, variable)| (strsim::jaro_winkler(known, key), variable));
        let (_, variable) =
            scored.filter(|(score, _)| *score >= MIN_SIMILARITY).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some(variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_have_one_key() {
        for name in
            ["DATAFLOW_REDIS_URL", "redis_url", "redis-url", "redis.url", "dataflow.redis.url", "Redis-URL"]
        {
            assert_eq!(key(name), "redis_url", "{name}");
        }
    }

    #[test]
    fn service_links_are_not_settings() {
        let check = |variable: &str, value: &str, expected: bool| {
            assert_eq!(is_service_link(variable, value), expected, "{variable}={value}");
        };
        check("DATAFLOW_REDIS_PORT", "tcp://10.0.0.7:6379", true);
        check("DATAFLOW_REDIS_PORT", "6379", false);
        check("DATAFLOW_CONFIG_SERVICE_HOST", "10.0.0.7", true);
        check("DATAFLOW_CONFIG_SERVICE_PORT", "8083", true);
        check("DATAFLOW_CONFIG_SERVICE_PORT_GRPC", "8083", true);
        check("DATAFLOW_CONFIG_PORT_8083_TCP", "tcp://10.0.0.7:8083", true);
        check("DATAFLOW_CONFIG_PORT_8083_TCP_PROTO", "tcp", true);
        check("DATAFLOW_CONFIG_PORT_8083_TCP_PORT", "8083", true);
        check("DATAFLOW_CONFIG_PORT_8083_TCP_ADDR", "10.0.0.7", true);
        check("DATAFLOW_CONFIG_PORT_X_TCP", "10.0.0.7", false);
        check("DATAFLOW_SERVICE_NAME", "test-service", false);
        check("DATAFLOW_OBSERVABILITY_METRICS_PORT", "8001", false);
    }
}
