//! What stands in manifests and policies, held against what the binary and its contract say.

mod contract;
mod grants;
mod manifests;
mod tries;
