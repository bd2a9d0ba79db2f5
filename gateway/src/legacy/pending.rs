//! The state of a request that its response needs, and the responses. Separate from the exchange, which depends on the
//! gateway.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::config::v1 as config;
use http::StatusCode;
use jiff::Timestamp;
use prost::{DecodeError, Message};
use serde::Serialize;

use super::failure::{Failure, ValidationError};
use super::response::Response;
use super::rule::request::RuleFilter;
use super::rule::response::{Confirmation, RuleList};
use super::selection::Filters;
use crate::json;

/// The predecessor's rules.
pub(super) const RULESET: &str = "legacy";

/// The state of a request that its response needs.
#[derive(Debug)]
pub(super) enum Pending {
    /// An analysis, and the filters of its lists.
    Analysis(Filters),
    /// The rules, and which of them to list.
    Rules(RuleFilter),
    /// A rule to add.
    Added(String),
    /// A change of the rule that the path names.
    Changed,
    /// The removal of the rule that the path names.
    Removed,
}

// === impl Pending ===

impl Pending {
    /// The response that a reply makes. `rule` is the one that the path names.
    pub(super) fn response(
        &self,
        rule: &str,
        message: Bytes,
        took: Duration,
    ) -> Result<http::Response<Body>, DecodeError> {
        let now = Timestamp::now();
        let confirm = |status, message| Ok(answer(status, &Confirmation::new(message, now)));
        match self {
            Self::Analysis(filters) => {
                let reply = analysis::AnalyzeCatalogueResponse::decode(message)?;
                let analysis = reply.analysis.unwrap_or_default();
                Ok(answer(StatusCode::OK, &Response::new(&analysis, filters, took, now)))
            }
            Self::Rules(filter) => {
                let reply = config::ListRulesetsResponse::decode(message)?;
                let set = reply.rulesets.into_iter().find(|set| set.ruleset == RULESET).unwrap_or_default();
                Ok(answer(StatusCode::OK, &RuleList::new(&set.rules, filter, now)))
            }
            Self::Added(rule) => confirm(StatusCode::CREATED, format!("Rule {rule} created successfully")),
            Self::Changed => confirm(StatusCode::OK, format!("Rule {rule} updated successfully")),
            Self::Removed => confirm(StatusCode::OK, format!("Rule {rule} deleted successfully")),
        }
    }

    /// The predecessor's status and detail of a failure: a document that is malformed is a 400, and so is a rule that
    /// is there already.
    pub(super) fn failure(&self, rule: &str, status: StatusCode, message: &str) -> (StatusCode, String) {
        let what_failed = match self {
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
        (status, format!("{what_failed}: {message}"))
    }
}

/// The response to a request that cannot be read.
pub(super) fn refused(error: &ValidationError, instance: &str) -> http::Response<Body> {
    match error {
        ValidationError::Unprocessable(unprocessable) => answer(error.status(), unprocessable),
        other => failed(other.status(), other.to_string(), instance),
    }
}

/// The response to a request that failed.
pub(super) fn failed(status: StatusCode, detail: impl Into<String>, instance: &str) -> http::Response<Body> {
    answer(status, &Failure::new(status, detail, instance, Timestamp::now()))
}

fn answer(status: StatusCode, body: &impl Serialize) -> http::Response<Body> {
    let mut response = json::response(serde_json::to_vec(body).expect("it is plain JSON"));
    *response.status_mut() = status;
    response
}
