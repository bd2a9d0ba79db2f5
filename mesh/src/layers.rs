//! Where the values of flags come from besides the command line. For each flag on its own the first of these that says
//! something holds: the command line, the Secret directory, the ConfigMap directory, the environment, the file that
//! `--config` names, the config service for what is dynamic, the default.
//!
//! clap defines every flag, and reads the result: what the layers say is handed to it as the flags' defaults.
//! `DATAFLOW_REDIS_URL` may be called `redis_url`, `redis-url` or `redis.url` in a directory or a file, and stand in a
//! YAML or JSON object there, nested or not.

mod args;
mod document;
mod dynamic;
mod entries;
mod field;
mod found;
mod look;
mod names;
mod predecessor;
mod problem;
mod production;
mod report;
mod resolve;
mod source;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use tokio::sync::watch::Receiver;

pub use args::LayerArgs;
pub use dynamic::{DYNAMIC, Dynamic, Held, Live, Pushed};
pub use predecessor::Inherited;
pub use problem::{Error, Problem, Problems, Unusable};
pub use report::{Line, Report};
pub use resolve::Unknown;
pub use source::{Place, Source};

use field::{Field, with_values};
use found::Found;
use look::{Layers, Look};
use names::{Names, PREFIX};
use resolve::{Resolved, Resolver, Setting};

/// What lies around the process.
#[derive(Clone)]
pub struct Surroundings {
    /// Its environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// The Secret directory when none is named, if there is one.
    pub secrets: PathBuf,
    /// The ConfigMap directory when none is named, if there is one.
    pub config: PathBuf,
}

/// A command line, read with all its layers.
pub struct Loaded {
    /// For clap's `from_arg_matches`.
    pub matches: ArgMatches,
    /// What holds, and why.
    pub report: Report,
    resolver: Resolver,
    settings: Vec<Setting>,
    look: Look,
}

/// Reads a command line. Directories, `--config` and the predecessor's names count for those commands that take
/// [`LayerArgs`]; the others have their environment only.
///
/// # Errors
///
/// [`Error`], with everything that is wrong.
pub fn load(command: &Command, argv: &[OsString], around: Surroundings) -> Result<Loaded, Error> {
    let typed = without_variables(command.clone()).try_get_matches_from(argv).map_err(|error| {
        // The command as it was defined names its variables in its help.
        command.clone().try_get_matches_from(argv).err().unwrap_or(error)
    })?;
    let (path, fields) = selected(command, &typed);
    // Whoever takes one of `LayerArgs` takes all.
    let in_pod = fields.iter().any(|field| field.key == args::LEADING[0]);
    let layers = around.layers(&fields, in_pod);
    let resolver = Resolver { layers, names: Names::of(command, in_pod), fields };
    let look = resolver.layers.look();
    let resolved = resolver.resolve(&look, &Pushed::new());

    if !resolved.problems.is_empty() {
        return Err(Error::Problems(Problems(resolved.problems)));
    }
    let report = Report::new(&resolved);
    let Resolved { found, settings, .. } = resolved;
    let matches = with_found(command.clone(), &path, &found).try_get_matches_from(argv)?;
    Ok(Loaded { matches, report, resolver, settings, look })
}

/// The subcommands that were typed, and the flags of all of them.
fn selected(command: &Command, matches: &ArgMatches) -> (Vec<String>, Vec<Field>) {
    let (mut command, mut matches) = (command, matches);
    let (mut path, mut fields) = (Vec::new(), Vec::new());
    loop {
        fields.extend(command.get_arguments().filter_map(|arg| Field::new(arg, matches)));
        let Some((name, below)) = matches.subcommand() else { return (path, fields) };
        let Some(found) = command.find_subcommand(name) else { return (path, fields) };
        path.push(name.to_owned());
        (command, matches) = (found, below);
    }
}

/// The command as the command line alone has it: nothing that a layer may give is missed.
fn without_variables(command: Command) -> Command {
    command.mut_args(|arg| with_values(arg, None).required(false)).mut_subcommands(without_variables)
}

/// The command with what was found for its defaults, down the subcommands of `path`.
fn with_found(command: Command, path: &[String], found: &BTreeMap<String, Found>) -> Command {
    let command = command.mut_args(|arg| {
        let key = arg.get_env().and_then(|variable| variable.to_str()).map(names::key);
        with_values(arg, key.and_then(|key| found.get(&key)).map(|found| found.values.as_slice()))
    });
    match path {
        [name, below @ ..] => command.mut_subcommand(name, |command| with_found(command, below, found)),
        [] => command,
    }
}

// === impl Loaded ===

impl Loaded {
    /// Whether `--show-config` asks for the report instead of a run.
    pub fn asks_for_report(&self) -> bool {
        let mut matches = &self.matches;
        while let Some((_, below)) = matches.subcommand() {
            matches = below;
        }
        matches.try_get_one::<bool>("show_config").ok().flatten().is_some_and(|asked| *asked)
    }

    /// Follows the layers from now on, and what is `pushed`. A change counts when everything that is then said is right,
    /// and counts as a whole; what is wrong is told once, and what held before goes on holding.
    ///
    /// Must be called within a tokio runtime. It ends with the last receiver.
    pub fn watch(self, pushed: Receiver<Pushed>) -> Receiver<Dynamic> {
        watch::spawn(self.resolver, self.settings, self.look, pushed)
    }
}

/// As the report has it, without secrets.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("report", &self.report).finish_non_exhaustive()
    }
}

// === impl Surroundings ===

impl Surroundings {
    /// Those of this process, with the directories where Kubernetes' users mount.
    pub fn of_process() -> Self {
        Self {
            environment: env::vars_os().collect(),
            secrets: PathBuf::from("/etc/secrets"),
            config: PathBuf::from("/etc/config"),
        }
    }

    /// The layers that a command has, by what its own flags and variables say of them.
    fn layers(self, fields: &[Field], in_pod: bool) -> Layers {
        let Self { environment, secrets, config } = self;
        if !in_pod {
            return Layers { environment, ..Layers::default() };
        }
        let named = |key: &str| {
            let field = fields.iter().find(|field| field.key == key)?;
            let value = field.typed.as_ref().map(OsString::from);
            let value = value.or_else(|| {
                environment.get(OsStr::new(&(PREFIX.to_owned() + &key.to_ascii_uppercase()))).cloned()
            });
            value.filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let [secret_dir, config_dir, file] = args::LEADING.map(named);
        Layers {
            secrets: secret_dir.or_else(|| Some(secrets).filter(|path| path.is_dir())),
            config: config_dir.or_else(|| Some(config).filter(|path| path.is_dir())),
            file,
            environment,
        }
    }
}
