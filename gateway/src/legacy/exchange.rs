//! One request to the predecessor's surface on its way through the gateway, from its head to its answer.

use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use http::StatusCode;
use http::header::HOST;
use jiff::Timestamp;
use prost::Message;
use serde::Serialize;

use super::failure::{Failure, Invalid};
use super::request::Request;
use super::response::Response;
use super::rule::request::{Addition, Changes, Wanted};
use super::rule::response::{Done, Rules};
use super::selection::Filters;
use crate::error::Error;
use crate::frame::framed;
use crate::json;
use crate::route::{Missing, Table, Template};

/// The predecessor's rules.
const RULESET: &str = "legacy";

const ANALYSIS: &str = "dataflow.analysis.v1.AnalysisService";
const RULES: &str = "dataflow.config.v1.RuleService";

/// What the surface can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Analyse,
    List,
    Add,
    Change,
    Remove,
}

static ROUTES: LazyLock<Table<Operation>> = LazyLock::new(|| {
    let mut table = Table::default();
    for (method, path, operation) in [
        ("POST", "/api/analysis/dataflow", Operation::Analyse),
        ("GET", "/api/analysis/rules", Operation::List),
        ("POST", "/api/analysis/rules", Operation::Add),
        ("PUT", "/api/analysis/rules/{rule_id}", Operation::Change),
        ("DELETE", "/api/analysis/rules/{rule_id}", Operation::Remove),
    ] {
        let template = Template::parse(path).expect("a test looks for each");
        table.insert(method, template, operation).expect("no two are the same");
    }
    table
});

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    began: Instant,
    operation: Operation,
    /// The route, as metrics and logs name it.
    template: String,
    /// The rule that the path names, or nothing.
    rule: String,
    query: String,
    /// The full URL.
    instance: String,
    /// What was asked for, once it has been read.
    asked: OnceLock<Result<Asked, Invalid>>,
}

/// What must be known of a request when its answer comes.
#[derive(Debug)]
enum Asked {
    Analysis(Filters),
    Rules(Wanted),
    Added(String),
    Changed,
    Removed,
}

// === impl Exchange ===

impl Exchange {
    /// The exchange that a request begins; none when it is for another surface.
    pub(crate) fn begin(request: &http::Request<Body>) -> Result<Option<Self>, Error> {
        let uri = request.uri();
        let found = match ROUTES.find(request.method().as_str(), uri.path()) {
            Ok(found) => found,
            Err(Missing::NoRoute) => return Ok(None),
            Err(missing) => return Err(missing.into()),
        };
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.host()).unwrap_or("localhost");
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Some(Self {
            began: Instant::now(),
            operation: *found.value,
            template: found.template.to_string(),
            rule: found.variables.into_iter().next().map(|(_, value)| value).unwrap_or_default(),
            query: uri.query().unwrap_or_default().to_owned(),
            instance: format!("http://{host}{target}"),
            asked: OnceLock::new(),
        }))
    }

    /// The route, as metrics and logs name it.
    pub(crate) fn route(&self) -> &str {
        &self.template
    }

    /// The method behind it: its service and its name.
    pub(crate) fn method(&self) -> (&'static str, &'static str) {
        match self.operation {
            Operation::Analyse => (ANALYSIS, "AnalyzeCatalogue"),
            // The rule set as a whole, however large: pages would not tell the places of a category's rules.
            Operation::List => (RULES, "ListRulesets"),
            Operation::Add => (RULES, "CreateRule"),
            Operation::Change => (RULES, "UpdateRule"),
            Operation::Remove => (RULES, "DeleteRule"),
        }
    }

    /// Whether its body is looked at.
    pub(crate) fn has_body(&self) -> bool {
        matches!(self.operation, Operation::Analyse | Operation::Add | Operation::Change)
    }

    /// The request to the service, framed.
    pub(crate) fn request(&self, body: &[u8]) -> Result<Bytes, Error> {
        let (asked, request) = match self.read(body) {
            Ok((asked, request)) => (Ok(asked), Ok(request)),
            Err(invalid) => (Err(invalid.clone()), Err(Error::LegacyInvalid(invalid))),
        };
        self.asked.get_or_init(|| asked);
        request
    }

    fn read(&self, body: &[u8]) -> Result<(Asked, Bytes), Invalid> {
        let (ruleset, rule_id) = (RULESET.to_owned(), self.rule.clone());
        Ok(match self.operation {
            Operation::Analyse => {
                let Request { document, filters, .. } = Request::parse(body)?;
                let document = Some(HttpBody { data: document.into(), ..HttpBody::default() });
                let request = analysis::AnalyzeCatalogueRequest { ruleset, document, ..Default::default() };
                (Asked::Analysis(filters), framed(&request))
            }
            Operation::List => {
                (Asked::Rules(Wanted::parse(&self.query)?), framed(&config::ListRulesetsRequest {}))
            }
            Operation::Add => {
                let addition = Addition::parse(body)?;
                let asked = Asked::Added(addition.rule_id.clone());
                (asked, framed(&addition.into_request(ruleset)))
            }
            Operation::Change => {
                (Asked::Changed, framed(&Changes::parse(body)?.into_request(ruleset, rule_id)))
            }
            Operation::Remove => {
                let request = config::DeleteRuleRequest { ruleset, rule: rule_id, ..Default::default() };
                (Asked::Removed, framed(&request))
            }
        })
    }

    /// The answer to a request that was served.
    pub(crate) fn response(&self, message: Bytes) -> Result<http::Response<Body>, Error> {
        let Some(Ok(asked)) = self.asked.get() else {
            return Err(Error::ReplyUnreadable("it came before the request".to_owned()));
        };
        asked.response(&self.rule, message, self.began.elapsed())
    }

    /// The answer to a request that failed.
    pub(crate) fn failure(&self, status: StatusCode, message: &str) -> http::Response<Body> {
        let (status, detail) = match self.asked.get() {
            Some(Err(invalid @ Invalid::Unprocessable(wrong))) => return answer(invalid.status(), wrong),
            Some(Err(invalid)) => (invalid.status(), invalid.to_string()),
            Some(Ok(asked)) => asked.failure(&self.rule, status, message),
            None => (status, message.to_owned()),
        };
        answer(status, &Failure::new(status, detail, &self.instance, Timestamp::now()))
    }
}

// === impl Asked ===

impl Asked {
    fn response(&self, rule: &str, message: Bytes, took: Duration) -> Result<http::Response<Body>, Error> {
        let unreadable = |error: prost::DecodeError| Error::ReplyUnreadable(error.to_string());
        let now = Timestamp::now();
        let done = |status, message| Ok(answer(status, &Done::new(message, now)));
        match self {
            Self::Analysis(filters) => {
                let reply = analysis::AnalyzeCatalogueResponse::decode(message).map_err(unreadable)?;
                let analysis = reply.analysis.unwrap_or_default();
                Ok(answer(StatusCode::OK, &Response::new(&analysis, filters, took, now)))
            }
            Self::Rules(wanted) => {
                let reply = config::ListRulesetsResponse::decode(message).map_err(unreadable)?;
                let set = reply.rulesets.into_iter().find(|set| set.ruleset == RULESET).unwrap_or_default();
                Ok(answer(StatusCode::OK, &Rules::new(&set.rules, wanted, now)))
            }
            Self::Added(rule) => done(StatusCode::CREATED, format!("Rule {rule} created successfully")),
            Self::Changed => done(StatusCode::OK, format!("Rule {rule} updated successfully")),
            Self::Removed => done(StatusCode::OK, format!("Rule {rule} deleted successfully")),
        }
    }

    /// The predecessor's status and detail of a failure: a document that is malformed is a 400, and so is a rule that is
    /// there already.
    fn failure(&self, rule: &str, status: StatusCode, message: &str) -> (StatusCode, String) {
        let failed = match self {
            Self::Added(rule) if status == StatusCode::CONFLICT => {
                let detail = format!("Failed to create rule {rule}: it may already exist");
                return (StatusCode::BAD_REQUEST, detail);
            }
            Self::Changed | Self::Removed if status == StatusCode::NOT_FOUND => {
                return (status, format!("Rule {rule} not found"));
            }
            Self::Analysis(_) => "Analysis failed",
            Self::Rules(_) => "Failed to retrieve rules",
            Self::Added(_) => "Failed to create rule",
            Self::Changed => "Failed to update rule",
            Self::Removed => "Failed to delete rule",
        };
        (status, format!("{failed}: {message}"))
    }
}

fn answer(status: StatusCode, body: &impl Serialize) -> http::Response<Body> {
    let mut answer = json::response(serde_json::to_vec(body).expect("it is plain JSON"));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_an_exchange_by_method_and_path() {
        let begin = |method: &str, target: &str| {
            let request = http::Request::builder().method(method).uri(target).header(HOST, "h:1");
            Exchange::begin(&request.body(Body::empty()).unwrap())
        };
        let check = |method: &str, target: &str, expected: &str, rule: &str| {
            let exchange = begin(method, target).unwrap().unwrap();
            assert_eq!((exchange.method().1, exchange.rule.as_str()), (expected, rule), "{method} {target}");
            assert_eq!(exchange.instance, format!("http://h:1{target}"));
        };
        check("POST", "/api/analysis/dataflow", "AnalyzeCatalogue", "");
        check("GET", "/api/analysis/rules?category=salute", "ListRulesets", "");
        check("HEAD", "/api/analysis/rules", "ListRulesets", "");
        check("POST", "/api/analysis/rules", "CreateRule", "");
        check("PUT", "/api/analysis/rules/a%2Fb:c", "UpdateRule", "a/b:c");
        check("DELETE", "/api/analysis/rules/%C3%A8?x", "DeleteRule", "è");
        for path in ["/api/analysis", "/api/analysis/rules/a/b", "/api/analysis/dataflow:x", "/"] {
            assert!(begin("GET", path).unwrap().is_none(), "{path}");
        }
        let allowed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let refused = |method: &str, path: &str, names: &[&str]| {
            let expected = Error::MethodNotAllowed { allowed: allowed(names) };
            assert_eq!(begin(method, path).err(), Some(expected), "{method} {path}");
        };
        refused("GET", "/api/analysis/dataflow", &["POST"]);
        refused("PATCH", "/api/analysis/rules", &["GET", "HEAD", "POST"]);
        refused("GET", "/api/analysis/rules/a", &["DELETE", "PUT"]);
    }
}
