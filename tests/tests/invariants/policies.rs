//! Compares manifests and policies with the binary and its contract.

mod contract;
mod grants;
mod manifests;
mod proxies;
mod retries;
mod scopes;
