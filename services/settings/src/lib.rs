//! Settings: the sources of flag values besides the command line. Each flag takes its value from the first of these
//! sources that defines it: the command line, the Secret directory, the ConfigMap directory, the environment, the file
//! of `--config`, the config service for dynamic flags, the default.
//!
//! clap defines every flag and parses the result: [`load`] passes the values of the sources to clap as the flags'
//! defaults. `DATAFLOW_REDIS_URL` may be written `redis_url`, `redis-url` or `redis.url` in a directory or a file, and
//! may be in a YAML or JSON object there, nested or not. [`FormerNames`] adds the names of an earlier system.

mod args;
mod definitions;
mod document;
mod duration;
mod dynamic;
mod field;
mod former;
mod names;
mod problem;
mod production;
mod report;
mod resolve;
mod scan;
mod setting;
mod source;
mod value;
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

pub use args::SourceArgs;
pub use duration::{duration, nonzero_duration};
pub use dynamic::{Current, Dynamic, Live, Pushed};
pub use field::DYNAMIC;
pub use former::{FormerNames, Inherited, Translation};
pub use problem::{Error, Problem, Problems, Unusable};
pub use report::{Line, Report};
pub use resolve::Unknown;
pub use source::{FilePosition, Source};
pub use value::Value;

use field::{Field, with_values};
use names::{Names, PREFIX};
use resolve::{Resolved, Resolver};
use scan::{Locations, Scan};
use setting::Setting;

/// The sources besides the command line, before its flags select which of them to use.
#[derive(Clone)]
pub struct Sources {
    /// The process environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// The default Secret directory, used if it exists.
    pub secrets: PathBuf,
    /// The default ConfigMap directory, used if it exists.
    pub config: PathBuf,
    /// Names of settings in an earlier system.
    pub former: &'static dyn FormerNames,
}

/// A command line, parsed with all its sources.
pub struct Loaded {
    /// For clap's `from_arg_matches`.
    pub matches: ArgMatches,
    /// The current settings, with the source of each.
    pub report: Report,
    resolver: Resolver,
    settings: Vec<Setting>,
    scan: Scan,
}

/// Parses a command line. Directories, `--config` and former names apply to commands that have [`SourceArgs`]; other
/// commands use only the environment.
///
/// # Errors
///
/// [`Error`], with every problem found.
pub fn load(command: &Command, argv: &[OsString], sources: Sources) -> Result<Loaded, Error> {
    let typed = without_variables(command.clone()).try_get_matches_from(argv).map_err(|error| {
        // The original command names its variables in its help.
        command.clone().try_get_matches_from(argv).err().unwrap_or(error)
    })?;
    let (path, fields) = selected(command, &typed);
    // A command that has one of `SourceArgs` has all of them.
    let in_pod = fields.iter().any(|field| field.key == args::SOURCE_FLAGS[0]);
    let former = in_pod.then_some(sources.former);
    let names = former.map_or(Vec::new(), FormerNames::names).into_iter().map(former::key).collect();
    let locations = sources.locations(&fields, in_pod);
    let resolver = Resolver { locations, names: Names::of(command, names), former, fields };
    let scan = resolver.locations.scan();
    let resolved = resolver.resolve(&scan, &Pushed::new());

    if !resolved.problems.is_empty() {
        return Err(Error::Problems(Problems(resolved.problems)));
    }
    let report = Report::new(&resolved);
    let Resolved { values, settings, .. } = resolved;
    let matches = with_defaults(command.clone(), &path, &values).try_get_matches_from(argv)?;
    Ok(Loaded { matches, report, resolver, settings, scan })
}

/// The subcommands on the command line, and the flags of all of them.
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

/// The command for parsing the command line alone: nothing that another source may define is required.
fn without_variables(command: Command) -> Command {
    command.mut_args(|arg| with_values(arg, None).required(false)).mut_subcommands(without_variables)
}

/// The command with the values of all sources as defaults, including the subcommands in `path`.
fn with_defaults(command: Command, path: &[String], values: &BTreeMap<String, Value>) -> Command {
    let command = command.mut_args(|arg| {
        let key = arg.get_env().and_then(|variable| variable.to_str()).map(names::key);
        with_values(arg, key.and_then(|key| values.get(&key)).map(|value| value.values.as_slice()))
    });
    match path {
        [name, below @ ..] => command.mut_subcommand(name, |command| with_defaults(command, below, values)),
        [] => command,
    }
}

// === impl Loaded ===

impl Loaded {
    /// Whether `--show-config` requests the report instead of a run.
    pub fn asks_for_report(&self) -> bool {
        let mut matches = &self.matches;
        while let Some((_, below)) = matches.subcommand() {
            matches = below;
        }
        matches.try_get_one::<bool>("show_config").ok().flatten().is_some_and(|asked| *asked)
    }

    /// The dynamic flags, and the future that watches the sources and what is `pushed`. A change is applied as a whole,
    /// if all settings are valid after it; an invalid one is logged once, and the previous settings stay in effect.
    ///
    /// The future ends when the last receiver is dropped.
    pub fn watch(
        self,
        pushed: Receiver<Pushed>,
    ) -> (Receiver<Dynamic>, impl Future<Output = ()> + Send + 'static) {
        watch::follow(self.resolver, self.settings, self.scan, pushed)
    }
}

/// Prints the report, which has no secrets.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("report", &self.report).finish_non_exhaustive()
    }
}

// === impl Sources ===

impl Sources {
    /// The sources of this process, with the directories where Secrets and ConfigMaps are mounted by convention.
    pub fn of_process(former: &'static dyn FormerNames) -> Self {
        Self {
            environment: env::vars_os().collect(),
            secrets: PathBuf::from("/etc/secrets"),
            config: PathBuf::from("/etc/config"),
            former,
        }
    }

    /// The locations that a command reads, selected by its own flags and variables.
    fn locations(self, fields: &[Field], in_pod: bool) -> Locations {
        let Self { environment, secrets, config, former: _ } = self;
        if !in_pod {
            return Locations { environment, ..Locations::default() };
        }
        let named = |key: &str| {
            let field = fields.iter().find(|field| field.key == key)?;
            let value = field.typed.as_ref().map(OsString::from);
            let value = value.or_else(|| {
                environment.get(OsStr::new(&(PREFIX.to_owned() + &key.to_ascii_uppercase()))).cloned()
            });
            value.filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let [secret_dir, config_dir, file] = args::SOURCE_FLAGS.map(named);
        Locations {
            secrets: secret_dir.or_else(|| Some(secrets).filter(|path| path.is_dir())),
            config: config_dir.or_else(|| Some(config).filter(|path| path.is_dir())),
            file,
            environment,
        }
    }
}
