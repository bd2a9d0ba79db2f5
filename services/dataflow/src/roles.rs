//! The roles: what one pod runs. A role is composed of capabilities, which are crates, and runs in a separate process;
//! `up` and `analyze` run several in one process ([`in_process`](crate::in_process)).

pub(crate) mod analysis;
pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod gateway;
