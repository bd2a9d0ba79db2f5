//! The flags that say where the other flags' values may come from. They are read before the rest, and so from the
//! command line and the environment only.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

/// Where settings come from, for the commands that run in a pod.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// What the process is run for. `production` refuses what is fit for trying things out only: state in memory,
    /// anonymous callers, a log at debug, a password in plain sight.
    #[arg(long, env = "DATAFLOW_ENVIRONMENT", default_value = "development", value_name = "NAME")]
    pub environment: String,

    /// A directory of secrets, one a file, as Kubernetes mounts a Secret. Default: `/etc/secrets` when there is one.
    #[arg(long, env = "DATAFLOW_SECRET_DIR", value_name = "DIR")]
    pub secret_dir: Option<PathBuf>,

    /// A directory of settings, one a file, as Kubernetes mounts a ConfigMap. Default: `/etc/config` when there is one.
    #[arg(long, env = "DATAFLOW_CONFIG_DIR", value_name = "DIR")]
    pub config_dir: Option<PathBuf>,

    /// A YAML or JSON file of settings, which give way to all others but the defaults.
    #[arg(long, env = "DATAFLOW_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print every setting and where it comes from, then end; secrets are not shown.
    #[arg(long, env = "DATAFLOW_SHOW_CONFIG", value_parser = FalseyValueParser::new())]
    pub show_config: bool,
}

/// The flags above that cannot be set by what they lead to.
pub(super) const LEADING: [&str; 3] = ["secret_dir", "config_dir", "config"];
