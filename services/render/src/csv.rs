//! CSV: one row per dataflow, for spreadsheets and BI tools.
//!
//! Spreadsheets execute a cell that starts like a formula, and names come from untrusted documents: such a text gets a
//! leading apostrophe, which Excel, LibreOffice and Google Sheets interpret as "this is text". JSON keeps the name
//! unchanged.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use dataflow_proto::analysis::v1 as pb;

use super::profile;
use super::text::{self, printable};

const HEADER: [&str; 24] = [
    "id",
    "agency_id",
    "version",
    "name",
    "category",
    "score",
    "confidence",
    "flags",
    "last_update",
    "observation_count",
    "structure",
    "evidence",
    "decided_by",
    "observation_method",
    "observations_low",
    "observations_likely",
    "observations_high",
    "csv_bytes",
    "frequencies",
    "first_period",
    "last_period",
    "update_due",
    "overdue",
    "quality_flags",
];

/// Writes a header and one row per dataflow, in document order. Times are RFC 3339 in UTC; unknown values are empty.
pub(super) fn write(dataflows: &[pb::Dataflow], lang: &str, out: &mut impl Write) -> io::Result<()> {
    let mut rows = ::csv::Writer::from_writer(out);
    rows.write_record(HEADER).map_err(into_io)?;
    for flow in dataflows {
        rows.write_record(row(flow, lang).each_ref().map(|cell| cell.as_bytes())).map_err(into_io)?;
    }
    rows.flush()
}

/// The conversion of the crate csv hides the kind of an I/O error.
fn into_io(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

fn row<'a>(flow: &'a pb::Dataflow, lang: &str) -> [Cow<'a, str>; HEADER.len()] {
    let flags = flow.flags().map(|flag| flag.as_str_name());
    let contents = flow.contents.as_ref();
    let period = |period: fn(&pb::Contents) -> &str| guarded(printable(contents.map_or("", period)));
    let frequencies = contents.map_or(&[][..], |contents| &contents.frequencies);
    let [method, low, likely, high, bytes] = profile::size(flow.size.as_ref());
    let [due, overdue] = profile::freshness(flow.freshness.as_ref());
    [
        guarded(printable(&flow.id)),
        guarded(printable(&flow.agency_id)),
        guarded(printable(&flow.version)),
        guarded(text::name(flow, lang)),
        flow.category().as_str_name().into(),
        flow.score.to_string().into(),
        flow.confidence.to_string().into(),
        joined(flags, ";").into(),
        flow.last_update.map_or_else(String::new, |time| time.to_string()).into(),
        flow.observation_count.map_or_else(String::new, |count| count.to_string()).into(),
        guarded(flow.structure.as_ref().map_or_else(String::new, structure).into()),
        guarded(joined(flow.evidence.iter().filter_map(evidence), "; ").into()),
        match flow.decided_by() {
            pb::dataflow::DecidedBy::Unspecified => "".into(),
            decided_by => decided_by.as_str_name().into(),
        },
        method.into(),
        low.into(),
        likely.into(),
        high.into(),
        bytes.into(),
        guarded(printable(&joined(frequencies.iter(), ";")).into_owned().into()),
        period(|contents| &contents.first_period),
        period(|contents| &contents.last_period),
        due.into(),
        overdue.into(),
        joined(flow.quality_flags().map(|flag| flag.as_str_name()), ";").into(),
    ]
}

/// The text, escaped so that it cannot start a formula. Full-width signs count too: Excel treats them like the ASCII
/// ones.
fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => format!("'{text}").into(),
        _ => text,
    }
}

/// `AGENCY:ID(VERSION)`, as in SDMX URNs.
fn structure(structure: &pb::StructureReference) -> String {
    let pb::StructureReference { agency_id, id, version } = structure;
    printable(&format!("{agency_id}:{id}({version})")).into_owned()
}

/// `rule:keyword@field`, or `scheme/theme/theme`, followed by `<PARENT` if it is inherited and by `!` if it has ended;
/// `None` for a kind that is unknown to this release.
fn evidence(evidence: &pb::Evidence) -> Option<String> {
    let text = match evidence.kind.as_ref()? {
        pb::evidence::Kind::Theme(theme) => {
            let parent = Some(&theme.inherited_from).filter(|parent| !parent.is_empty());
            let from = parent.map_or_else(String::new, |parent| format!("<{parent}"));
            let ended = if theme.deprecated { "!" } else { "" };
            format!("{}/{}{from}{ended}", theme.scheme, theme.path.join("/"))
        }
        pb::evidence::Kind::Rule(rule) => format!("{}:{}@{}", rule.id, rule.keyword, rule.field),
        pb::evidence::Kind::Family(family) => format!("family:{}*{}", family.key, family.members),
    };
    Some(printable(&text).into_owned())
}

fn joined(items: impl Iterator<Item = impl Display>, separator: &str) -> String {
    let mut joined = String::new();
    for (index, item) in items.enumerate() {
        joined.push_str(if index == 0 { "" } else { separator });
        joined.push_str(&item.to_string());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    fn written(dataflows: &[pb::Dataflow]) -> String {
        let mut out = Vec::new();
        write(dataflows, "en", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_has_every_known_value() {
        let expected = "\
            id,agency_id,version,name,category,score,confidence,flags,last_update,observation_count,structure,evidence,\
            decided_by,observation_method,observations_low,observations_likely,observations_high,csv_bytes,frequencies,\
            first_period,last_period,update_due,overdue,quality_flags\n\
            22_289,IT1,1.0,Resident population on 1st January,POPULATION,20,0.53,HIDDEN;FILE_ONLY,\
            2026-07-22T08:34:26.801Z,435951,IT1:DCIS_POPRES1(1.0),IT1:Z1(1.0)/POP/RES; pop_rule:popolazione@name.it,THEME,\
            CONSTRAINT,435951,435951,435951,23977305,A;Q,2001,2018-Q4,2027-01-22T08:34:26.801Z,false,\
            WITHOUT_DESCRIPTION;NOT_FINAL\n";
        assert_eq!(written(&sample().dataflows[..1]), expected);
    }

    #[test]
    fn no_cell_starts_a_formula() {
        let check = |name: &str, expected: &str| {
            let names = [("en".to_owned(), name.to_owned())].into();
            let flow = pb::Dataflow { names, ..Default::default() };
            let text = written(&[flow]);
            let row = ::csv::Reader::from_reader(text.as_bytes()).records().next().unwrap().unwrap();
            assert_eq!(&row[3], expected);
        };
        check("=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("＝1", "'＝1");
        check("\t=1", "'=1");
        check("1-1", "1-1");
        check("a\r\nb", "a  b");
    }
}
