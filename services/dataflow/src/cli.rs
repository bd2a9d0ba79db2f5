//! The command line: parses it and dispatches to the function of each command.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use dataflow_settings::{Loaded, Sources};

use crate::exit::{self, Exit, Failure};
use crate::predecessor::Predecessor;
use crate::roles;
use crate::{
    analyze, bench, diff, flags, healthcheck, keys, probe, providers, rules, snapshot, status, terminal,
    themes, up, verify,
};

/// Analyzes catalogues of official statistics: their dataflows, categorized by subject.
#[derive(Debug, Parser)]
#[command(name = "dataflow", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Analyze one catalogue and print the result.
    Analyze(Box<analyze::Args>),
    /// Run the whole mesh in one process.
    Up(Box<up::Args>),
    /// Show the health of a running mesh and of each service.
    Status(Box<status::Args>),
    /// Analyze a small catalogue through a running mesh, and fail unless the result is right.
    Probe(Box<probe::Args>),
    /// Check the readiness of the process in the same container.
    Healthcheck(healthcheck::Args),
    /// Read, change and evaluate the rules of a running mesh.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Read and change the mapping of themes of a running mesh.
    #[command(subcommand)]
    Themes(themes::Themes),
    /// Read the provider registry of a running mesh.
    #[command(subcommand)]
    Providers(providers::Providers),
    /// Store a catalogue as a snapshot in a running mesh; list, show and remove snapshots.
    Snapshot(Box<snapshot::Args>),
    /// Check that a snapshot is intact, and that a file is one of its documents.
    Verify(Box<verify::Args>),
    /// Show what differs between two catalogues: files, or snapshots of a running mesh.
    Diff(Box<diff::Args>),
    /// Create, list and revoke the API keys of a running mesh.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Read and set the feature flags of a running mesh.
    #[command(subcommand)]
    Flags(flags::Flags),
    /// Run the gateway.
    Gateway(Box<roles::gateway::RoleArgs>),
    /// Run the analysis service.
    Analysis(Box<roles::analysis::RoleArgs>),
    /// Run the cache service.
    Cache(Box<roles::cache::RoleArgs>),
    /// Run the config service.
    Config(Box<roles::config::RoleArgs>),
    /// Run the benchmarks of this project's performance targets.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command of a command line to completion.
pub(crate) fn run(argv: Vec<OsString>) -> ExitCode {
    let loaded = match dataflow_settings::load(&Cli::command(), &argv, Sources::of_process(&Predecessor)) {
        Ok(loaded) => loaded,
        Err(dataflow_settings::Error::Usage(error)) => error.exit(),
        Err(error) => return report(Failure::new(Exit::Usage, error)),
    };
    if loaded.asks_for_report() {
        let shown = exit::unless_closed(write!(terminal::stdout(), "{}", loaded.report));
        return shown.map_or_else(|error| report(error.into()), |()| ExitCode::SUCCESS);
    }
    match Cli::from_arg_matches(&loaded.matches) {
        Ok(cli) => cli.run(loaded),
        Err(error) => error.exit(),
    }
}

impl Cli {
    /// Runs the command to completion.
    fn run(self, loaded: Loaded) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return report(Failure::from(error)),
        };
        let result = runtime.block_on(self.command.run(loaded));
        // Not dropped: a drop waits for blocking threads, and one may be blocked on standard input.
        runtime.shutdown_background();
        result.map_or_else(report, ExitCode::from)
    }
}

impl Command {
    async fn run(self, loaded: Loaded) -> Result<Exit, Failure> {
        match self {
            Command::Analyze(args) => analyze::run(*args).await,
            Command::Up(args) => up::run(*args, loaded).await,
            Command::Status(args) => status::run(*args).await,
            Command::Probe(args) => probe::run(*args).await,
            Command::Healthcheck(args) => healthcheck::run(args).await,
            Command::Rules(rules) => rules.run().await,
            Command::Themes(themes) => themes.run().await,
            Command::Providers(providers) => providers.run().await,
            Command::Snapshot(args) => snapshot::run(*args).await,
            Command::Verify(args) => verify::run(*args).await,
            Command::Diff(args) => diff::run(*args).await,
            Command::Keys(keys) => keys.run().await,
            Command::Flags(flags) => flags.run().await,
            Command::Gateway(args) => roles::gateway::run(*args, loaded).await,
            Command::Analysis(args) => roles::analysis::run(*args, loaded).await,
            Command::Cache(args) => roles::cache::run(*args, loaded).await,
            Command::Config(args) => roles::config::run(*args, loaded).await,
            Command::Bench(bench) => bench.run().await,
            Command::Completions { shell } => {
                // Buffered in memory: the generator panics on a write error.
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "dataflow", &mut script);
                exit::unless_closed(terminal::stdout().write_all(&script))?;
                Ok(Exit::Success)
            }
        }
    }
}

fn report(failure: Failure) -> ExitCode {
    // An error cannot be reported if standard error is closed.
    let _ = writeln!(terminal::stderr(), "error: {:#}", failure.error);
    failure.exit.into()
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that run in pods, which are configured by their environment.
    const SERVICES: [&str; 5] = ["up", "gateway", "analysis", "cache", "config"];

    /// Connection flags. They are the same for all one-off commands, so they have environment variables.
    const CONNECTION: [&str; 8] = [
        "endpoint",
        "ca-file",
        "client-cert",
        "client-key",
        "token",
        "token-file",
        "api-key",
        "api-key-file",
    ];

    /// The flags of a command and of its subcommands, with their variables.
    fn flags(command: &clap::Command) -> Vec<(String, Option<String>)> {
        let own = command.get_arguments().filter_map(|arg| {
            let variable = arg.get_env().and_then(|variable| variable.to_str()).map(str::to_owned);
            Some((arg.get_long()?.to_owned(), variable))
        });
        own.chain(command.get_subcommands().flat_map(flags)).collect()
    }

    #[test]
    fn only_flags_of_services_and_connection_flags_have_variables() {
        let cli = Cli::command();
        let (services, others): (Vec<_>, Vec<_>) =
            cli.get_subcommands().partition(|command| SERVICES.contains(&command.get_name()));
        let of_services: Vec<_> = services.into_iter().flat_map(flags).collect();
        for (flag, variable) in &of_services {
            let expected = format!("DATAFLOW_{}", flag.replace('-', "_").to_ascii_uppercase());
            assert_eq!(variable.as_deref(), Some(expected.as_str()), "--{flag}");
        }
        for (flag, variable) in others.into_iter().flat_map(flags) {
            let expected = of_services.iter().find(|(known, _)| *known == flag).map(|(_, variable)| variable);
            match variable {
                Some(_) if CONNECTION.contains(&flag.as_str()) => {}
                Some(_) => assert_eq!(Some(&variable), expected, "--{flag} has a variable"),
                None => assert!(!CONNECTION.contains(&flag.as_str()), "--{flag} has no variable"),
            }
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
