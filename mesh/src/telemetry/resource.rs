//! What a process is: the OpenTelemetry resource of its traces, and the same names in its log records. The variables
//! `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence over what it says of itself.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};

use super::TelemetryArgs;

const SERVICE: &str = "service.name";
const POD: &str = "k8s.pod.name";
const NAMESPACE: &str = "k8s.namespace.name";
const NODE: &str = "k8s.node.name";

/// The names of a process in its log records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) service: String,
    /// None if the process has several.
    pub(super) role: Option<&'static str>,
    pub(super) pod: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) node: Option<String>,
}

/// The resource of a process whose service is called `service` unless a variable names it.
pub(super) fn resource(args: &TelemetryArgs, service: &'static str) -> Resource {
    let given = Resource::builder_empty()
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())])
        .build();
    completed(&given, args, std::env::var("OTEL_SERVICE_NAME").ok(), service)
}

/// `given` with the attributes that it lacks.
fn completed(
    given: &Resource,
    args: &TelemetryArgs,
    service_name: Option<String>,
    service: &'static str,
) -> Resource {
    let given_name = get(given, SERVICE).unwrap_or_else(|| service.to_owned());
    let name = service_name.filter(|name| !name.is_empty()).unwrap_or(given_name);
    let own = [
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        // Without a pod, the process: several on one host are told apart.
        ("service.instance.id", args.pod.clone().or_else(|| Some(std::process::id().to_string()))),
        (POD, args.pod.clone()),
        (NAMESPACE, args.namespace.clone()),
        (NODE, args.node.clone()),
    ];
    let own = own.into_iter().filter(|(_, value)| value.as_ref().is_some_and(|value| !value.is_empty()));
    let absent = own.filter(|(key, _)| get(given, key).is_none());
    let absent = absent.filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    let given = given.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(given).with_attributes(absent).with_service_name(name).build()
}

fn get(resource: &Resource, key: &'static str) -> Option<String> {
    resource.get(&Key::from_static_str(key)).map(|value| value.to_string()).filter(|value| !value.is_empty())
}

// === impl Names ===

impl Names {
    /// The names of a process with this resource, whose service is called `service` by default.
    pub(super) fn of(resource: &Resource, service: &'static str) -> Self {
        Self {
            service: get(resource, SERVICE).unwrap_or_default(),
            role: service.strip_prefix("dataflow-"),
            pod: get(resource, POD),
            namespace: get(resource, NAMESPACE),
            node: get(resource, NODE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_opentelemetry_take_precedence_over_flags() {
        let args = TelemetryArgs { pod: Some("pod-1".to_owned()), ..TelemetryArgs::parsed(&[]) };
        let given = |attributes: &[(&'static str, &'static str)]| {
            let attributes = attributes.iter().map(|(key, value)| KeyValue::new(*key, *value));
            Resource::builder_empty().with_attributes(attributes).build()
        };
        let check = |attributes: &[(&'static str, &'static str)], name: Option<&str>, expected: [&str; 4]| {
            let resource = completed(&given(attributes), &args, name.map(str::to_owned), "dataflow-cache");
            let found = [SERVICE, "service.version", POD, NODE].map(|key| get(&resource, key));
            assert_eq!(found.map(Option::unwrap_or_default), expected, "{attributes:?} {name:?}");
            assert_eq!(Names::of(&resource, "dataflow-cache").role, Some("cache"));
        };
        let version = env!("CARGO_PKG_VERSION");
        check(&[], None, ["dataflow-cache", version, "pod-1", ""]);
        check(&[], Some(""), ["dataflow-cache", version, "pod-1", ""]);
        check(&[(SERVICE, "a")], None, ["a", version, "pod-1", ""]);
        check(&[(SERVICE, "a")], Some("b"), ["b", version, "pod-1", ""]);
        check(&[("service.version", "7"), (POD, "p"), (NODE, "n")], None, ["dataflow-cache", "7", "p", "n"]);
        assert_eq!(Names::of(&given(&[(SERVICE, "x")]), "dataflow").role, None);
    }
}
