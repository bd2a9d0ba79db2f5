//! The flags that shape the output of one format, and the check that they are given with that format.

use clap::ValueEnum;
use dataflow_render::{Format, Heading, Options};

use crate::exit::{Exit, Failure};

/// What the table lists, and how CSV begins.
#[derive(Debug, clap::Args)]
pub(super) struct ShapeArgs {
    /// List every dataflow in the table.
    #[arg(long, conflicts_with = "top")]
    all: bool,

    /// Number of dataflows that the table lists under each heading, those with the highest scores first; 0 lists none.
    /// Default: 5.
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Heading of the table whose dataflows it lists; repeatable. Default: all.
    #[arg(long = "category", value_name = "CATEGORY", ignore_case = true)]
    categories: Vec<Heading>,

    /// Begin CSV with a byte order mark, by which Excel recognizes UTF-8.
    #[arg(long)]
    bom: bool,
}

// === impl ShapeArgs ===

impl ShapeArgs {
    /// Checks that every flag that was given has a meaning for the format.
    pub(super) fn check(&self, format: Format) -> Result<(), Failure> {
        let flags = [
            ("--all", self.all, Format::Table),
            ("--top", self.top.is_some(), Format::Table),
            ("--category", !self.categories.is_empty(), Format::Table),
            ("--bom", self.bom, Format::Csv),
        ];
        let stray = flags.into_iter().find(|&(_, is_given, of)| is_given && of != format);
        stray.map_or(Ok(()), |(flag, _, of)| {
            let (of, format) = (name(of), name(format));
            let why = format!("{flag} shapes the format {of} only; leave it out with --format {format}");
            Err(Failure::new(Exit::Usage, anyhow::anyhow!(why)))
        })
    }

    /// The options for an output.
    pub(super) fn options(self, output: Options) -> Options {
        let top = if self.all { None } else { Some(self.top.unwrap_or(Options::TOP)) };
        Options { top, headings: self.categories, bom: self.bom, ..output }
    }
}

/// The name of a format, as the flag takes it.
fn name(format: Format) -> String {
    format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        shape: ShapeArgs,
    }

    fn parsed(flags: &[&str]) -> ShapeArgs {
        Command::try_parse_from([&["analyze"], flags].concat())
            .unwrap_or_else(|error| panic!("{error}"))
            .shape
    }

    #[test]
    fn a_flag_of_another_format_is_an_error_that_names_both() {
        let check = |flags: &[&str], format: Format, expected: Option<&str>| {
            let found = parsed(flags).check(format).err().map(|failure| {
                assert_eq!(failure.exit, Exit::Usage);
                failure.error.to_string()
            });
            assert_eq!(found.as_deref(), expected, "{flags:?} {format:?}");
        };
        for format in [Format::Table, Format::Json, Format::Ndjson, Format::Csv] {
            check(&[], format, None);
        }
        check(&["--all", "--category", "health"], Format::Table, None);
        check(&["--top", "3"], Format::Table, None);
        check(&["--bom"], Format::Csv, None);
        let table = |flag, format| {
            format!("{flag} shapes the format table only; leave it out with --format {format}")
        };
        check(&["--all"], Format::Json, Some(&table("--all", "json")));
        check(&["--top", "5"], Format::Csv, Some(&table("--top", "csv")));
        check(&["--category", "OTHER"], Format::Ndjson, Some(&table("--category", "ndjson")));
        let bom = "--bom shapes the format csv only; leave it out with --format table";
        check(&["--bom"], Format::Table, Some(bom));
    }

    #[test]
    fn flags_become_options() {
        let check = |flags: &[&str], top, headings: &[Heading]| {
            let options = parsed(flags).options(Options::plain("it"));
            assert_eq!(options, Options { top, headings: headings.to_vec(), ..Options::plain("it") });
        };
        check(&[], Some(Options::TOP), &[]);
        check(&["--top", "0"], Some(0), &[]);
        check(&["--all"], None, &[]);
        let chosen = ["--category", "Labour", "--category", "unmatched"];
        check(&chosen, Some(Options::TOP), &[Heading::Labour, Heading::Unmatched]);
    }

    #[test]
    fn all_and_top_exclude_each_other() {
        let given = Command::try_parse_from(["analyze", "--all", "--top", "3"]);
        let error = given.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("--all") && error.contains("--top"), "{error}");
    }
}
