//! The flags that select the settings sources. They are parsed before all other flags, so they can be set only on the
//! command line and in the environment.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

/// Settings sources, for commands that run in a pod.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// The environment that the process runs in. Only `production` and `prod` enable the production checks: the default
    /// log level must not be debug or trace, and a Redis password must not be on the command line or in a ConfigMap. If
    /// the service listens on a non-loopback address, state must not be in memory and anonymous callers must not be
    /// allowed. A violation prevents the start.
    #[arg(long, env = "DATAFLOW_ENVIRONMENT", default_value = "development", value_name = "NAME")]
    pub environment: String,

    /// Directory with one secret per file, as Kubernetes mounts a Secret. Default: `/etc/secrets`, if it exists.
    #[arg(long, env = "DATAFLOW_SECRET_DIR", value_name = "DIR")]
    pub secret_dir: Option<PathBuf>,

    /// Directory with one setting per file, as Kubernetes mounts a ConfigMap. Default: `/etc/config`, if it exists.
    #[arg(long, env = "DATAFLOW_CONFIG_DIR", value_name = "DIR")]
    pub config_dir: Option<PathBuf>,

    /// YAML or JSON file with settings. It overrides only settings pushed by the config service and the defaults.
    #[arg(long, env = "DATAFLOW_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print every setting with its source, then exit; secrets are not shown.
    #[arg(long, env = "DATAFLOW_SHOW_CONFIG", value_parser = FalseyValueParser::new())]
    pub show_config: bool,
}

/// Those of the flags above that the sources they select cannot set.
pub(super) const SOURCE_FLAGS: [&str; 3] = ["secret_dir", "config_dir", "config"];
