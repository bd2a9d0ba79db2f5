//! The dialect of the predecessor's API: its routes, and one request from its head to its response. Separate from
//! parsing and writing, which are pure, because this module depends on the gateway.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::to_status;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use tonic::Status;

use super::failure::ValidationError;
use super::operation::{Operation, ROUTES};
use super::pending::{Pending, RULESET, failed, refused};
use super::request::Request;
use super::rule::request::{Addition, Changes, RuleFilter};
use crate::dialect::{BodyMode, Dialect, Exchange, Failure, Reply, RequestBody};
use crate::frame::{ReplyError, framed};
use crate::problem;
use crate::route::{RouteError, Table, Template};
use crate::schema::Schema;

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
    /// The rule in the path, or an empty text.
    rule: String,
    query: String,
    /// The full URL.
    instance: String,
    /// The operation, once the request has been read.
    pending: OnceLock<Result<Pending, ValidationError>>,
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
            pending: OnceLock::new(),
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
    fn read(&self, body: &[u8]) -> Result<(Pending, Bytes), ValidationError> {
        let (ruleset, rule_id) = (RULESET.to_owned(), self.rule.clone());
        Ok(match self.route.operation {
            Operation::Analyze => {
                let Request { document, filters, .. } = Request::parse(body)?;
                let document = Some(HttpBody { data: document.into(), ..HttpBody::default() });
                let request = analysis::AnalyzeCatalogueRequest { ruleset, document, ..Default::default() };
                (Pending::Analysis(filters), framed(&request))
            }
            Operation::List => {
                (Pending::Rules(RuleFilter::parse(&self.query)?), framed(&config::ListRulesetsRequest {}))
            }
            Operation::Add => {
                let addition = Addition::parse(body)?;
                let pending = Pending::Added(addition.rule_id.clone());
                (pending, framed(&addition.into_request(ruleset)))
            }
            Operation::Change => {
                (Pending::Changed, framed(&Changes::parse(body)?.into_request(ruleset, rule_id)))
            }
            Operation::Remove => {
                let request = config::DeleteRuleRequest { ruleset, rule: rule_id, ..Default::default() };
                (Pending::Removed, framed(&request))
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

    fn forwards_digest(&self, _: &HeaderMap) -> bool {
        // The header is the digest of the embedded document.
        self.route.operation == Operation::Analyze
    }

    fn read_request(&self, _: &HeaderMap, body: RequestBody) -> Result<Body, Status> {
        let body = body.buffered();
        match self.read(&body.bytes) {
            Ok((pending, frame)) => {
                self.pending.get_or_init(|| Ok(pending));
                Ok(body.sent_as(frame))
            }
            Err(error) => {
                let status = to_status(&error);
                self.pending.get_or_init(|| Err(error));
                Err(status)
            }
        }
    }

    fn write_response(&self, reply: Reply) -> BoxFuture<'_, Result<http::Response<Body>, Status>> {
        let Reply { mut frames, limit, .. } = reply;
        let written = async move {
            let length = frames.single_length().await?;
            let message = frames.single(length, limit).await?;
            let Some(Ok(pending)) = self.pending.get() else {
                return Err(ReplyError::unreadable(&"it came before the request").into());
            };
            let written = pending.response(&self.rule, message, self.began.elapsed());
            written.map_err(|error| ReplyError::unreadable(&error).into())
        };
        written.boxed()
    }

    fn write_failure(&self, failure: &Failure, _: &HeaderValue) -> http::Response<Body> {
        let Failure { http, status } = failure;
        let mut response = match self.pending.get() {
            Some(Err(error)) => refused(error, &self.instance),
            Some(Ok(pending)) => {
                let (http, detail) = pending.failure(&self.rule, *http, status.message());
                failed(http, detail, &self.instance)
            }
            None => failed(*http, status.message(), &self.instance),
        };
        problem::set_retry_after(&mut response, status);
        response
    }
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
