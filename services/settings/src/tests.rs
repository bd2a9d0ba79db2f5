//! Precedence of the sources, with real directories and clap's own parsing.

mod earlier;
mod invalid;
mod live;
mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tempfile::TempDir;

use super::*;

#[derive(Debug, Parser)]
#[command(name = "dataflow", version)]
struct Cli {
    #[command(subcommand)]
    command: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    Up(Box<Up>),
    Status {
        #[arg(long, env = "DATAFLOW_ENDPOINT", default_value = "http://127.0.0.1:8080")]
        endpoint: String,
    },
}

#[derive(Debug, clap::Args)]
struct Up {
    #[command(flatten)]
    sources: SourceArgs,
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[arg(long, env = "DATAFLOW_ADMIN", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    #[arg(long, env = "DATAFLOW_LOG", default_value = "info", help_heading = DYNAMIC)]
    log: String,
    #[arg(long, env = "DATAFLOW_LOG_FORMAT", default_value = "json", value_parser = ["json", "text"])]
    log_format: String,
    #[arg(long, env = "DATAFLOW_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    #[arg(long, env = "DATAFLOW_REDIS_URL", hide_env_values = true, value_parser = redis_url)]
    redis_url: Option<String>,
    #[arg(long, env = "DATAFLOW_REDIS_TIMEOUT", default_value = "500ms", value_parser = humantime::parse_duration)]
    redis_timeout: Duration,
    #[arg(long, env = "DATAFLOW_DATA_DIR")]
    data_dir: Option<PathBuf>,
    #[arg(long, env = "DATAFLOW_ALLOW_ANONYMOUS", value_parser = FalseyValueParser::new())]
    allow_anonymous: bool,
    #[arg(long, env = "DATAFLOW_PARSERS")]
    parsers: Option<u32>,
    #[arg(long, env = "DATAFLOW_MAX_MESSAGE_BYTES", default_value = "64MiB")]
    max_message_bytes: ByteSize,
    #[arg(long, env = "DATAFLOW_MAX_CONCURRENT_REQUESTS", default_value_t = 1024, help_heading = DYNAMIC)]
    max_concurrent_requests: u32,
    #[arg(long, env = "DATAFLOW_REQUEST_TIMEOUT", default_value = "300s", value_parser = humantime::parse_duration)]
    request_timeout: Duration,
    #[arg(long, env = "DATAFLOW_RESULT_TTL", default_value = "24h", value_parser = humantime::parse_duration)]
    result_ttl: Duration,
    #[arg(long, env = "DATAFLOW_BAGGAGE", value_delimiter = ',')]
    baggage: Vec<String>,
    #[arg(long, env = "DATAFLOW_UPSTREAM")]
    upstream: Vec<String>,
}

fn redis_url(text: &str) -> Result<String, String> {
    if text.contains("://") { Ok(text.to_owned()) } else { Err(format!("{text} has no scheme")) }
}

/// Mounted directories, a file, an environment and a command line.
struct Pod {
    root: TempDir,
    variables: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Pod {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("secrets")).unwrap();
        fs::create_dir(root.path().join("config")).unwrap();
        Self { root, variables: Vec::new(), flags: Vec::new() }
    }

    /// Adds a value to a source; for the file, it writes lines.
    fn with(mut self, source: &str, name: &str, value: &str) -> Self {
        match source {
            "flag" => self.flags.extend([format!("--{name}"), value.to_owned()]),
            "environment" => self.variables.push((name.to_owned(), value.to_owned())),
            "file" => self.write("file.yaml", &format!("{name}: {value}\n")),
            directory => self.write(&format!("{directory}/{name}"), value),
        }
        self
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.path(path), content).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn load(&self) -> Result<Loaded, Error> {
        self.load_as("up")
    }

    fn load_as(&self, command: &str) -> Result<Loaded, Error> {
        let mut argv = vec!["dataflow".into(), command.into()];
        argv.extend(self.flags.iter().map(OsString::from));
        let mut environment: BTreeMap<_, _> =
            self.variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let file = self.path("file.yaml");
        if file.exists() {
            environment.insert("DATAFLOW_CONFIG".into(), file.into());
        }
        let (secrets, config) = (self.path("secrets"), self.path("config"));
        load(&Cli::command(), &argv, Sources { environment, secrets, config, former: &earlier::Earlier })
    }

    fn up(&self) -> Box<Up> {
        let loaded = self.load().unwrap_or_else(|error| panic!("{error}"));
        match Cli::from_arg_matches(&loaded.matches).unwrap().command {
            Role::Up(up) => up,
            Role::Status { .. } => unreachable!("`up` was typed"),
        }
    }

    /// The problems, with paths relative to the pod.
    fn problems(&self) -> String {
        self.shorten(self.load().unwrap_err())
    }

    fn shorten(&self, text: impl ToString) -> String {
        text.to_string().replace(&format!("{}/", self.root.path().display()), "")
    }

    /// The line of `--show-config` for a flag, without alignment.
    fn line(&self, flag: &str) -> String {
        let shown = self.shorten(self.load().unwrap().report);
        let line = shown.lines().find(|line| line.split(' ').next() == Some(flag)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn the_first_source_that_defines_a_setting_wins() {
    let sources = [
        ("flag", "log", "--log f command line"),
        ("secrets", "log", "--log *** Secret secrets/log"),
        ("config", "DATAFLOW_LOG", "--log c ConfigMap config/DATAFLOW_LOG"),
        ("environment", "DATAFLOW_LOG", "--log e DATAFLOW_LOG"),
        ("file", "log", "--log f file file.yaml:1"),
        ("default", "", "--log info default"),
    ];
    // Every subset of the sources.
    for set in 0..32_u32 {
        let given: Vec<_> =
            sources.iter().enumerate().filter(|(bit, _)| *bit == 5 || set & (1 << bit) != 0).collect();
        let settings = given.iter().filter(|(bit, _)| *bit < 5);
        let pod =
            settings.fold(Pod::new(), |pod, (_, (source, name, _))| pod.with(source, name, &source[..1]));
        let (_, (source, _, expected)) = given[0];
        let line = pod.line("--log");
        assert_eq!(line.split(", over").next().unwrap(), *expected, "{set:05b}");
        assert_eq!(pod.up().log, if *source == "default" { "info" } else { &source[..1] }, "{set:05b}");
        let over = line.split(", over").nth(1).map_or(0, |over| over.split(',').count());
        assert_eq!(over + 1, given.len().saturating_sub(1).max(1), "{set:05b}: {line}");
    }
}

#[test]
fn names_and_values_have_several_spellings() {
    let check = |name: &str, content: &str| {
        let pod = Pod::new().with("config", name, content);
        assert_eq!(pod.up().max_concurrent_requests, 7, "{name}: {content}");
    };
    for name in [
        "DATAFLOW_MAX_CONCURRENT_REQUESTS",
        "max_concurrent_requests",
        "max-concurrent-requests",
        "max.concurrent.requests",
        "scaling.max_concurrent_requests",
        "scaling_max_concurrent_requests",
        "DATAFLOW_SCALING_MAX_CONCURRENT_REQUESTS",
    ] {
        for content in ["7", "7\n", " 7 \r\n"] {
            check(name, content);
        }
    }
    for content in [
        r#"{"max_concurrent_requests": 7}"#,
        r#"{"DATAFLOW_MAX_CONCURRENT_REQUESTS": "7"}"#,
        r#"{"max": {"concurrent": {"requests": 7}}}"#,
        r#"{"dataflow": {"max_concurrent_requests": 7}}"#,
        "scaling:\n  max_concurrent_requests: 7\n",
        "max-concurrent-requests: 7",
    ] {
        check("anything", content);
        check("anything.yaml", content);
    }
}

#[test]
fn values_are_parsed_by_the_flags_own_parsers() {
    let up = Pod::new()
        .with("config", "allow-anonymous", "true")
        .with("config", "max-message-bytes", "1MiB")
        .with("config", "baggage", "a,b")
        .with("file", "upstream", "[x=http://a:1, y=http://b:2]")
        .with("environment", "DATAFLOW_REQUEST_TIMEOUT", "1m 30s")
        .up();
    assert!(up.allow_anonymous);
    assert_eq!(up.max_message_bytes, ByteSize::mib(1));
    assert_eq!((up.baggage.join(" "), up.upstream.len()), ("a b".to_owned(), 2));
    assert_eq!(up.request_timeout, Duration::from_secs(90));

    for no in ["false", "0", "off", "no", ""] {
        assert!(
            !Pod::new().with("environment", "DATAFLOW_ALLOW_ANONYMOUS", no).up().allow_anonymous,
            "{no:?}"
        );
    }
}

#[test]
fn an_empty_value_counts_as_absent() {
    let pod = Pod::new().with("secrets", "log", "").with("config", "log", "\n").with(
        "environment",
        "DATAFLOW_LOG",
        "warn",
    );
    assert_eq!(pod.line("--log"), "--log warn DATAFLOW_LOG");
    let pod = Pod::new().with("config", "redis-url", "");
    assert_eq!(pod.up().redis_url, None);
}

#[test]
fn directories_belong_to_commands_that_run_in_pods() {
    let pod = Pod::new().with("config", "endpoint", "http://a:1").with("config", "broken.json", "{").with(
        "environment",
        "LOG_LEVEL",
        "x",
    );
    let loaded = pod.load_as("status").unwrap();
    let Role::Status { endpoint } = Cli::from_arg_matches(&loaded.matches).unwrap().command else { panic!() };
    assert_eq!(endpoint, "http://127.0.0.1:8080");
    let pod = pod.with("environment", "DATAFLOW_ENDPOINT", "http://b:2");
    assert!(pod.load_as("status").unwrap().report.to_string().contains("http://b:2  DATAFLOW_ENDPOINT"));
}

#[test]
fn clap_still_parses_the_command_line() {
    let kind = |flags: &[&str]| {
        let pod = Pod::new().with("secrets", "redis-url", "redis://:hunter2@r");
        let flags = flags.iter().map(ToString::to_string).collect();
        match (Pod { flags, ..pod }).load() {
            Err(Error::Usage(error)) => (error.kind(), error.to_string()),
            other => panic!("{other:?}"),
        }
    };
    use clap::error::ErrorKind;
    assert_eq!(kind(&["--no-such"]).0, ErrorKind::UnknownArgument);
    assert_eq!(kind(&["--parsers", "x"]).0, ErrorKind::ValueValidation);
    let (help, text) = kind(&["--help"]);
    assert_eq!(help, ErrorKind::DisplayHelp);
    assert!(text.contains("DATAFLOW_REDIS_URL") && !text.contains("hunter2"), "{text}");
}
