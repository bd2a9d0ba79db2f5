//! Clients that edit rules and themes, and the rule `swap`, whose category depends on the revision that it belongs to.

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::config::v1::theme_service_client::ThemeServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::RuleSet;
use tonic::Status;
use tonic_types::StatusExt;

use crate::services::Service;

/// A client of the rule service of a config service.
pub fn editor(config: &Service) -> RuleServiceClient<Outbound> {
    RuleServiceClient::new(config.channel())
}

/// A client of the theme service of a config service.
pub fn theme_editor(config: &Service) -> ThemeServiceClient<Outbound> {
    ThemeServiceClient::new(config.channel())
}

/// A small rule set `default`: tests measure the propagation of a change, not the compilation of a large rule set in a
/// debug build.
pub fn small() -> [RuleSet; 1] {
    let text = "ruleset: default\nmode: WORDS\nrules:\n  - ruleId: a\n    category: ECONOMY\n    keywords: [economy]\n";
    [dataflow_rules::file::parse(text).expect("the rule set is valid")]
}

/// A new rule of the rule set `default`.
pub fn new(rule_id: &str, category: Category, keyword: &str) -> pb::CreateRuleRequest {
    pb::CreateRuleRequest {
        rule_id: rule_id.to_owned(),
        category: category.into(),
        keywords: vec![keyword.to_owned()],
        priority: 1000,
        ..Default::default()
    }
}

/// Categorizes a dataflow that the rule `swap` matches.
///
/// # Panics
///
/// If the call fails.
pub async fn categorize(
    client: &mut AnalysisServiceClient<Outbound>,
) -> analysis::CategorizeDataflowResponse {
    let names = [("en".to_owned(), "Alphabetical order".to_owned())].into();
    let dataflow = analysis::Dataflow { id: "X".to_owned(), names, ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    client.categorize_dataflow(request).await.expect("no request fails").into_inner()
}

/// Sets the category of the rule `swap`.
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
/// If it has none.
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("every failure has a reason").reason.clone()
}
