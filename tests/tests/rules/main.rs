//! Rules and providers as their editors meet them: every change once, in order, on record, and everywhere soon.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test reports by panicking and printing"
)]

mod changes;
mod crashes;
mod everywhere;
mod watching;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::RuleSet;
use dataflow_tests::services::Service;
use tonic::Status;
use tonic_types::StatusExt;

/// An editor of the rules at a config service.
fn editor(config: &Service) -> RuleServiceClient<Outbound> {
    RuleServiceClient::new(config.channel())
}

/// A small set `default`: what is measured is how a change travels, not how large a set is compiled in a debug build.
fn small() -> [RuleSet; 1] {
    let text = "ruleset: default\nmode: WORDS\nrules:\n  - ruleId: a\n    category: ECONOMY\n    keywords: [economy]\n";
    [dataflow_rules::file::parse(text).unwrap()]
}

/// A new rule of the set `default`.
fn new(rule_id: &str, category: Category, keyword: &str) -> pb::CreateRuleRequest {
    pb::CreateRuleRequest {
        rule_id: rule_id.to_owned(),
        category: category.into(),
        keywords: vec![keyword.to_owned()],
        priority: 1000,
        ..Default::default()
    }
}

/// Where the rule `swap` files a dataflow that it matches.
async fn categorise(client: &mut AnalysisServiceClient<Outbound>) -> analysis::CategorizeDataflowResponse {
    let names = [("en".to_owned(), "Alphabetical order".to_owned())].into();
    let dataflow = analysis::Dataflow { id: "X".to_owned(), names, ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    client.categorize_dataflow(request).await.expect("no request fails").into_inner()
}

/// The rule `swap`, for this category.
fn put(category: Category) -> pb::UpdateRuleRequest {
    let rule = pb::Rule {
        rule_id: "swap".to_owned(),
        category: category.into(),
        keywords: vec!["alphabetical".to_owned()],
        priority: 1000,
        ..Default::default()
    };
    pb::UpdateRuleRequest { rule: Some(rule), ..Default::default() }
}

/// HEALTH at even revisions, LABOUR at odd ones.
fn category_at(revision: i64) -> Category {
    if revision % 2 == 0 { Category::Health } else { Category::Labour }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("every failure carries its reason").reason.clone()
}
