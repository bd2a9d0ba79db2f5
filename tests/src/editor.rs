//! Somebody who edits rules, and a rule to edit: `swap`, which files what it matches by the revision that it is of.

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::RuleSet;
use tonic::Status;
use tonic_types::StatusExt;

use crate::services::Service;

/// An editor of the rules at a config service.
pub fn editor(config: &Service) -> RuleServiceClient<Outbound> {
    RuleServiceClient::new(config.channel())
}

/// A small set `default`: what is measured is how a change travels, not how large a set is compiled in a debug build.
pub fn small() -> [RuleSet; 1] {
    let text = "ruleset: default\nmode: WORDS\nrules:\n  - ruleId: a\n    category: ECONOMY\n    keywords: [economy]\n";
    [dataflow_rules::file::parse(text).expect("the set is written as sets are")]
}

/// A new rule of the set `default`.
pub fn new(rule_id: &str, category: Category, keyword: &str) -> pb::CreateRuleRequest {
    pb::CreateRuleRequest {
        rule_id: rule_id.to_owned(),
        category: category.into(),
        keywords: vec![keyword.to_owned()],
        priority: 1000,
        ..Default::default()
    }
}

/// Where the rule `swap` files a dataflow that it matches.
///
/// # Panics
///
/// When the call fails.
pub async fn categorise(
    client: &mut AnalysisServiceClient<Outbound>,
) -> analysis::CategorizeDataflowResponse {
    let names = [("en".to_owned(), "Alphabetical order".to_owned())].into();
    let dataflow = analysis::Dataflow { id: "X".to_owned(), names, ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    client.categorize_dataflow(request).await.expect("no request fails").into_inner()
}

/// The rule `swap`, for this category.
pub fn put(category: Category) -> pb::UpdateRuleRequest {
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
pub fn category_at(revision: i64) -> Category {
    if revision % 2 == 0 { Category::Health } else { Category::Labour }
}

/// The reason of a failure.
///
/// # Panics
///
/// When it carries none.
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("every failure carries its reason").reason.clone()
}
