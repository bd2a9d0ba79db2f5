//! The dialect of the predecessor's surface: its routes, and one request from its head to its response. Apart from what
//! is read and written, which is pure, because here stands what binds it to the gateway.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::to_status;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use prost::{DecodeError, Message};
use serde::Serialize;
use tonic::Status;

use super::failure::{Failure, Invalid};
use super::request::Request;
use super::response::Response;
use super::rule::request::{Addition, Changes, Wanted};
use super::rule::response::{Done, Rules};
use super::selection::Filters;
use crate::dialect::{self, BodyMode, Dialect, Exchange, Reply, RequestBody};
use crate::frame::{ReplyError, framed};
use crate::route::{RouteError, Table, Template};
use crate::schema::Schema;
use crate::{json, problem};

/// The predecessor's rules.
const RULESET: &str = "legacy";

const ANALYSIS: &str = "dataflow.analysis.v1.AnalysisService";
const RULES: &str = "dataflow.config.v1.RuleService";

/// Every route of the surface.
const ROUTES: [(&str, &str, Operation); 5] = [
    ("POST", "/api/analysis/dataflow", Operation::Analyze),
    ("GET", "/api/analysis/rules", Operation::List),
    ("POST", "/api/analysis/rules", Operation::Add),
    ("PUT", "/api/analysis/rules/{rule_id}", Operation::Change),
    ("DELETE", "/api/analysis/rules/{rule_id}", Operation::Remove),
];

/// What the surface can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Analyze,
    List,
    Add,
    Change,
    Remove,
}

/// The predecessor's surface.
#[derive(Debug)]
pub(crate) struct Legacy {
    routes: Table<Arc<Route>>,
}

/// One route of the surface.
#[derive(Debug)]
struct Route {
    operation: Operation,
    /// As metrics and logs name it.
    template: &'static str,
    /// The path of the method behind it.
    path: Option<PathAndQuery>,
}

/// One request to the surface.
#[derive(Debug)]
struct LegacyExchange {
    began: Instant,
    route: Arc<Route>,
    /// The path of the method behind the route.
    path: PathAndQuery,
    /// The rule that the path names, or nothing.
    rule: String,
    query: String,
    /// The full URL.
    instance: String,
    /// What was asked for, once the request has been read.
    asked: OnceLock<Result<Asked, Invalid>>,
}

/// What must be known of a request when its reply comes.
#[derive(Debug)]
enum Asked {
    Analysis(Filters),
    Rules(Wanted),
    Added(String),
    Changed,
    Removed,
}

// === impl Operation ===

impl Operation {
    /// The method behind it: its service and its name.
    fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::Analyze => (ANALYSIS, "AnalyzeCatalogue"),
            // The rule set as a whole, however large: pages would not tell the places of a category's rules.
            Self::List => (RULES, "ListRulesets"),
            Self::Add => (RULES, "CreateRule"),
            Self::Change => (RULES, "UpdateRule"),
            Self::Remove => (RULES, "DeleteRule"),
        }
    }
}

// === impl Legacy ===

impl Legacy {
    /// The surface over the methods of a schema. Routes whose methods it lacks lead nowhere.
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut routes = Table::default();
        for (method, template, operation) in ROUTES {
            let (service, name) = operation.method();
            let path = schema.route_of(service, name).map(|binding| binding.path.clone());
            let parsed = Template::parse(template).expect("a test looks for each");
            let route = Route { operation, template, path };
            routes.insert(method, parsed, Arc::new(route)).expect("no two are the same");
        }
        Self { routes }
    }

    fn begin(&self, request: &http::Request<Body>) -> Result<Option<LegacyExchange>, RouteError> {
        let uri = request.uri();
        let found = match self.routes.find(request.method().as_str(), uri.path()) {
            Ok(found) => found,
            Err(RouteError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let route = Arc::clone(found.value);
        let path = route.path.clone().ok_or(RouteError::NotFound)?;
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.host()).unwrap_or("localhost");
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Some(LegacyExchange {
            began: Instant::now(),
            route,
            path,
            rule: found.variables.into_iter().next().map(|(_, value)| value).unwrap_or_default(),
            query: uri.query().unwrap_or_default().to_owned(),
            instance: format!("http://{host}{target}"),
            asked: OnceLock::new(),
        }))
    }
}

impl Dialect for Legacy {
    fn claim(&self, request: &http::Request<Body>) -> Result<Option<Arc<dyn Exchange>>, RouteError> {
        Ok(self.begin(request)?.map(|exchange| Arc::new(exchange) as Arc<dyn Exchange>))
    }
}

// === impl LegacyExchange ===

impl LegacyExchange {
    fn read(&self, body: &[u8]) -> Result<(Asked, Bytes), Invalid> {
        let (ruleset, rule_id) = (RULESET.to_owned(), self.rule.clone());
        Ok(match self.route.operation {
            Operation::Analyze => {
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
}

impl Exchange for LegacyExchange {
    fn route(&self) -> &str {
        self.route.template
    }

    fn path(&self) -> &PathAndQuery {
        &self.path
    }

    fn body_mode(&self) -> BodyMode {
        match self.route.operation {
            Operation::Analyze | Operation::Add | Operation::Change => BodyMode::Json,
            Operation::List | Operation::Remove => BodyMode::Ignored,
        }
    }

    fn forwards_digest(&self) -> bool {
        // It is taken for that of the document within.
        self.route.operation == Operation::Analyze
    }

    fn read_request(&self, _: &HeaderMap, body: RequestBody) -> Result<Body, Status> {
        let body = body.buffered();
        match self.read(&body.bytes) {
            Ok((asked, frame)) => {
                self.asked.get_or_init(|| Ok(asked));
                Ok(body.sent_as(frame))
            }
            Err(invalid) => {
                let status = to_status(&invalid);
                self.asked.get_or_init(|| Err(invalid));
                Err(status)
            }
        }
    }

    fn write_response(&self, reply: Reply) -> BoxFuture<'_, Result<http::Response<Body>, Status>> {
        let Reply { mut frames, limit, .. } = reply;
        let written = async move {
            let length = frames.single_length().await?;
            let message = frames.single(length, limit).await?;
            let Some(Ok(asked)) = self.asked.get() else {
                return Err(ReplyError::unreadable(&"it came before the request").into());
            };
            let written = asked.response(&self.rule, message, self.began.elapsed());
            written.map_err(|error| ReplyError::unreadable(&error).into())
        };
        written.boxed()
    }

    fn write_failure(&self, failure: &dialect::Failure, _: &HeaderValue) -> http::Response<Body> {
        let dialect::Failure { http, status } = failure;
        let mut response = match self.asked.get() {
            Some(Err(invalid)) => invalid_response(invalid, &self.instance),
            Some(Ok(asked)) => {
                let (http, detail) = asked.failure(&self.rule, *http, status.message());
                failed(http, detail, &self.instance)
            }
            None => failed(*http, status.message(), &self.instance),
        };
        problem::set_retry_after(&mut response, status);
        response
    }
}

// === impl Asked ===

impl Asked {
    fn response(
        &self,
        rule: &str,
        message: Bytes,
        took: Duration,
    ) -> Result<http::Response<Body>, DecodeError> {
        let now = Timestamp::now();
        let done = |status, message| Ok(answer(status, &Done::new(message, now)));
        match self {
            Self::Analysis(filters) => {
                let reply = analysis::AnalyzeCatalogueResponse::decode(message)?;
                let analysis = reply.analysis.unwrap_or_default();
                Ok(answer(StatusCode::OK, &Response::new(&analysis, filters, took, now)))
            }
            Self::Rules(wanted) => {
                let reply = config::ListRulesetsResponse::decode(message)?;
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

/// The response to a request that cannot be read.
fn invalid_response(invalid: &Invalid, instance: &str) -> http::Response<Body> {
    match invalid {
        Invalid::Unprocessable(unprocessable) => answer(invalid.status(), unprocessable),
        other => failed(other.status(), other.to_string(), instance),
    }
}

fn failed(status: StatusCode, detail: impl Into<String>, instance: &str) -> http::Response<Body> {
    answer(status, &Failure::new(status, detail, instance, Timestamp::now()))
}

fn answer(status: StatusCode, body: &impl Serialize) -> http::Response<Body> {
    let mut answer = json::response(serde_json::to_vec(body).expect("it is plain JSON"));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use dataflow_proto::FILE_DESCRIPTOR_SET;

    use super::*;

    #[test]
    fn a_request_begins_an_exchange_by_method_and_path() {
        let legacy = Legacy::new(&Schema::new(FILE_DESCRIPTOR_SET, |_| true).unwrap());
        let begin = |method: &str, target: &str| {
            let request = http::Request::builder().method(method).uri(target).header(HOST, "h:1");
            legacy.begin(&request.body(Body::empty()).unwrap())
        };
        let check = |method: &str, target: &str, expected: &str, rule: &str| {
            let exchange = begin(method, target).unwrap().unwrap();
            let (_, called) = exchange.path.path().rsplit_once('/').unwrap();
            assert_eq!((called, exchange.rule.as_str()), (expected, rule), "{method} {target}");
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
            let expected = RouteError::MethodNotAllowed { allowed: allowed(names) };
            assert_eq!(begin(method, path).err(), Some(expected), "{method} {path}");
        };
        refused("GET", "/api/analysis/dataflow", &["POST"]);
        refused("PATCH", "/api/analysis/rules", &["GET", "HEAD", "POST"]);
        refused("GET", "/api/analysis/rules/a", &["DELETE", "PUT"]);
    }
}
