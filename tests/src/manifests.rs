//! Parses the manifests and policies of the repository.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::in_repository;

/// A permission in `mesh/istio/identity.yaml`: the calling service account, the called service, and the method as
/// `/package.Service/Method`.
pub type Grant = (String, String, String);

/// The documents of one file.
///
/// # Panics
///
/// If it cannot be read or is not YAML.
pub fn documents(relative: &str) -> Vec<Value> {
    let text =
        fs::read_to_string(in_repository(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"));
    let documents = text.split("\n---\n").map(|document| {
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{relative}: {error}"))
    });
    documents.collect()
}

/// The documents of one kind.
///
/// # Panics
///
/// As [`documents`].
pub fn of_kind(relative: &str, kind: &str) -> Vec<Value> {
    let mut documents = documents(relative);
    documents.retain(|document| document["kind"] == kind);
    documents
}

/// The elements of a list; none if it is absent.
pub fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The text of a value that must be one.
///
/// # Panics
///
/// If it is not a text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, found {value}"))
}

/// The permissions that Istio's policies grant to service accounts, for the services that are called within the mesh.
///
/// # Panics
///
/// As [`documents`], and if a policy selects other pods than its name suggests.
pub fn istio_grants() -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for policy in of_kind("mesh/istio/identity.yaml", "AuthorizationPolicy") {
        let called = text(&policy["metadata"]["name"]);
        for rule in each(&policy["spec"]["rules"]) {
            let callers = each(&rule["from"]).flat_map(|from| each(&from["source"]["principals"]));
            for caller in callers {
                assert_eq!(policy["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], called);
                let caller = text(caller).strip_prefix("cluster.local/ns/dataflow/sa/");
                let caller = caller.expect("principals are service accounts of our namespace");
                let paths = each(&rule["to"]).flat_map(|to| each(&to["operation"]["paths"]));
                grants
                    .extend(paths.map(|path| (caller.to_owned(), called.to_owned(), text(path).to_owned())));
            }
        }
    }
    grants
}

/// The memory limit in bytes of the pods of a role.
///
/// # Panics
///
/// If it has none in mebibytes or gibibytes.
pub fn memory_limit(role: &str) -> u64 {
    let deployment = of_kind(&format!("k8s/base/{role}.yaml"), "Deployment").remove(0);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let limit = text(&container["resources"]["limits"]["memory"]);
    let number = |unit: &str| Some(limit.strip_suffix(unit)?.parse::<u64>().expect("it is a whole number"));
    let mebibytes = number("Mi").or_else(|| number("Gi").map(|gibibytes| gibibytes * 1024));
    mebibytes.expect("the unit is Mi or Gi") << 20
}
