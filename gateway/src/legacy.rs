//! The predecessor's REST API: its paths, field names and statuses. All code that exists only for it is in this module.
//!
//! `POST /api/analysis/dataflow` is `AnalysisService.AnalyzeCatalogue` with the rule set `legacy`, in another form.
//! `/api/analysis/rules` are the rules of that set, by `RuleService`. `exchange` is the dialect, which handles a
//! request from its head to its response; `operation` lists the routes, and `pending` is the state of a request that
//! its response needs. The rest is pure: [`request`] and [`rule`] parse requests, [`selection`] selects the listed
//! dataflows, [`response`] and [`failure`] are the responses.
//!
//! Its clients can migrate without changes. The differences, where the predecessor was wrong:
//!
//! | what | the predecessor | here |
//! |---|---|---|
//! | a malformed document | 500 | 400 with the same detail, `Analysis failed: ...` |
//! | SDMX 3 | no dataflows | read as SDMX 2.1 is |
//! | XML that is not SDMX and defines no dataflow | 200 with empty lists | 400 |
//! | a document type declaration | its internal entities expanded | 400 |
//! | `xml_file_path` | read any file of the server | 400; ignored if `xml_content` is set, as before |
//! | `max_results` of 1 to 6 | every list empty | every list has one element |
//! | `include_tests` | one access test and a pause of one second per dataflow | no access tests |
//! | `only_tableau_ready` | kept only the test results that were ready | no effect, because there are no test results |
//! | times | local time without an offset; microseconds unless 0 | UTC without an offset; always microseconds |
//! | `created_at` | when each dataflow was parsed | when the reply was made |
//! | entries of a 422 | also the value (`input`) and `ctx`; any number | neither; at most [`failure::MAX_INVALID_VALUES`] |
//! | JSON | also UTF-16, UTF-32, `NaN`, half surrogate pairs | RFC 8259: UTF-8, no such thing; 422 as any bad JSON |
//! | a number as text | also `1_000` and `5.0` | digits with a sign, blanks around |
//! | numbers beyond 64 bits | exact | whole ones count as the nearest that fits |
//! | retry delay | never sent: the header was lost | `Retry-After`, where it is known |
//! | a rule was changed | seen up to 30 minutes later, by each process for itself | seen by every replica within a second |
//! | an empty change | 404 | 400 |
//! | a change to an empty list of keywords | accepted: the rule never matched again | 400; `is_active` is for that |
//! | a `priority` below 1 | accepted: the rule never won | 422, as one above 1000 |
//! | all keywords of a new rule blank | 400, the rule "may already exist" | 400 with the real reason |
//! | `id` of a rule | the row of its table | its place in the set, from 1 |
//! | equal scores | went to the rule of higher priority | go to the rule that was made earlier |

pub mod category;
pub mod failure;
pub mod request;
pub mod response;
pub mod rule;
pub mod selection;

mod body;
mod exchange;
mod operation;
mod pending;
mod time;

pub(crate) use exchange::Legacy;

/// The verb and the path of every route.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    operation::ROUTES.iter().map(|(verb, path, _)| (*verb, *path))
}
