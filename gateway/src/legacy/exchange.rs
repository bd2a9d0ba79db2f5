//! One request to the predecessor's surface on its way through the gateway, from its head to its answer.

use std::sync::OnceLock;
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::google::api::HttpBody;
use http::StatusCode;
use http::header::HOST;
use jiff::Timestamp;
use prost::Message;
use serde::Serialize;

use super::failure::Failure;
use super::request::{Invalid, Request};
use super::response::Response;
use super::selection::Filters;
use crate::error::Error;
use crate::rest::json;

/// The route.
pub(crate) const PATH: &str = "/api/analysis/dataflow";

/// The method behind it.
pub(crate) const SERVICE: &str = "dataflow.analysis.v1.AnalysisService";
pub(crate) const METHOD: &str = "AnalyzeCatalogue";

/// The predecessor's rules.
const RULESET: &str = "legacy";

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    began: Instant,
    /// The full URL.
    instance: String,
    /// What the body asked for, once it has been read.
    asked: OnceLock<Result<Filters, Invalid>>,
}

// === impl Exchange ===

impl Exchange {
    /// The exchange that a request begins; none when it is for another surface.
    pub(crate) fn begin(request: &http::Request<Body>) -> Result<Option<Self>, Error> {
        if request.uri().path() != PATH {
            return Ok(None);
        }
        if request.method() != http::Method::POST {
            return Err(Error::MethodNotAllowed { allowed: vec!["POST".to_owned()] });
        }
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri().host()).unwrap_or("localhost");
        let instance = format!("http://{host}{PATH}");
        Ok(Some(Self { began: Instant::now(), instance, asked: OnceLock::new() }))
    }

    /// The request to the analysis service.
    pub(crate) fn request(&self, body: &[u8]) -> Result<pb::AnalyzeCatalogueRequest, Error> {
        let (asked, document) = match Request::parse(body) {
            Ok(request) => (Ok(request.filters), request.document),
            Err(invalid) => (Err(invalid), String::new()),
        };
        let asked = self.asked.get_or_init(|| asked);
        if let Err(invalid) = asked {
            return Err(Error::LegacyInvalid(invalid.clone()));
        }
        Ok(pb::AnalyzeCatalogueRequest {
            ruleset: RULESET.to_owned(),
            document: Some(HttpBody { data: document.into(), ..HttpBody::default() }),
            ..pb::AnalyzeCatalogueRequest::default()
        })
    }

    /// The answer to a document that was analysed.
    pub(crate) fn response(&self, message: Bytes) -> Result<http::Response<Body>, Error> {
        let reply = pb::AnalyzeCatalogueResponse::decode(message);
        let analysis = reply.map_err(|error| Error::ReplyUnreadable(error.to_string()))?.analysis;
        let Some(Ok(filters)) = self.asked.get() else {
            return Err(Error::ReplyUnreadable("it came before the request".to_owned()));
        };
        let (analysis, took) = (analysis.unwrap_or_default(), self.began.elapsed());
        Ok(answer(StatusCode::OK, &Response::new(&analysis, filters, took, Timestamp::now())))
    }

    /// The answer to a request that failed.
    pub(crate) fn failure(&self, status: StatusCode, message: &str) -> http::Response<Body> {
        let (status, detail) = match self.asked.get() {
            Some(Err(invalid @ Invalid::Unprocessable(wrong))) => return answer(of(invalid), wrong),
            Some(Err(invalid)) => (of(invalid), invalid.to_string()),
            Some(Ok(_)) => (status, Failure::analysis_failed(message)),
            None => (status, message.to_owned()),
        };
        answer(status, &Failure::new(status.as_u16(), detail, &self.instance, Timestamp::now()))
    }
}

fn of(invalid: &Invalid) -> StatusCode {
    StatusCode::from_u16(invalid.status()).expect("it is 400 or 422")
}

fn answer(status: StatusCode, body: &impl Serialize) -> http::Response<Body> {
    let mut answer = json(serde_json::to_vec(body).expect("it is plain JSON"));
    *answer.status_mut() = status;
    answer
}
