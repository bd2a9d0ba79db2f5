//! The contract of `EvaluateRules` on the wire: it evaluates proposed rules on a catalogue, over gRPC and REST, and
//! stores nothing.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis::Degradation;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::config::v1::ruleset::Mode;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::services::{self, Service};
use dataflow_tests::{built_in, http};
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Three readable dataflows and an unreadable one.
const CATALOGUE: &str = r#"<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
  xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure"
  xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"><m:Structures><s:Dataflows>
  <s:Dataflow id="22_289" agencyID="IT1" version="1.5"><c:Name xml:lang="it">Popolazione residente</c:Name></s:Dataflow>
  <s:Dataflow agencyID="IT1"><c:Name xml:lang="en">Nameless</c:Name></s:Dataflow>
  <s:Dataflow id="X" agencyID="IT1"><c:Name xml:lang="en">Health care expenditure</c:Name></s:Dataflow>
  <s:Dataflow id="Y" agencyID="IT1"><c:Name xml:lang="en">Zzz</c:Name></s:Dataflow>
</s:Dataflows></m:Structures></m:Structure>"#;

fn rule(id: &str, category: Category, keyword: &str, priority: i32) -> config::Rule {
    config::Rule {
        rule_id: id.to_owned(),
        category: category.into(),
        keywords: vec![keyword.to_owned()],
        priority,
        ..Default::default()
    }
}

fn adding(rules: Vec<config::Rule>) -> pb::EvaluateRulesRequest {
    let document = Some(HttpBody { data: CATALOGUE.into(), ..Default::default() });
    pb::EvaluateRulesRequest { rules, document, ..Default::default() }
}

async fn evaluate(service: &Service, request: pb::EvaluateRulesRequest) -> Result<pb::Evaluation, Status> {
    let mut client = AnalysisServiceClient::new(service.channel());
    let reply = client.evaluate_rules(request).await?.into_inner();
    Ok(reply.evaluation.expect("a response contains an evaluation"))
}

/// The moves: identifier, category before, category after.
fn moves(evaluation: &pb::Evaluation) -> Vec<(&str, Category, Category)> {
    let side = |filing: &Option<pb::Filing>| filing.as_ref().expect("a move has both filings").category();
    let moves = evaluation.moves.iter();
    moves.map(|moved| (moved.id.as_str(), side(&moved.before), side(&moved.after))).collect()
}

#[tokio::test]
async fn an_evaluation_shows_moves_and_evidence() {
    let config = services::config([]).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    let evaluation =
        evaluate(&analysis, adding(vec![rule("mine", Category::Economy, "popolazione", 900)])).await.unwrap();
    assert_eq!(moves(&evaluation), [("22_289", Category::Population, Category::Economy)]);
    assert_eq!((evaluation.total, evaluation.recategorized, evaluation.rules_revision), (3, 1, 1));
    assert_eq!((evaluation.ruleset.as_str(), evaluation.degraded.as_slice()), ("default", [].as_slice()));
    let counted = |counts: &std::collections::BTreeMap<String, i32>| {
        ["POPULATION", "ECONOMY", "HEALTH", "OTHER"].map(|category| counts[category])
    };
    assert_eq!(counted(&evaluation.counts_before), [1, 0, 1, 1]);
    assert_eq!(counted(&evaluation.counts_after), [0, 1, 1, 1]);
    assert_eq!((evaluation.counts_before.len(), evaluation.counts_after.len()), (7, 7));
    assert_eq!(evaluation.diagnostics[0].reason, "DATAFLOW_WITHOUT_ID");

    let moved = &evaluation.moves[0];
    assert_eq!((moved.agency_id.as_str(), moved.version.as_str()), ("IT1", "1.5"));
    assert_eq!(moved.names["it"], "Popolazione residente");
    let after = moved.after.as_ref().unwrap();
    assert_eq!(after.score, 900);
    assert!(after.confidence > moved.before.as_ref().unwrap().confidence);
    let Some(pb::evidence::Kind::Rule(evidence)) = &after.evidence[0].kind else { panic!("{after:?}") };
    assert_eq!((evidence.id.as_str(), evidence.field.as_str(), evidence.offset), ("mine", "name.it", 0));

    // The rules in use have not changed.
    let set = RuleServiceClient::new(config.channel()).list_rules(config::ListRulesRequest::default()).await;
    assert_eq!(set.unwrap().into_inner().revision, 1);
    assert_eq!(evaluate(&analysis, adding(Vec::new())).await.unwrap().moves, []);
}

#[tokio::test]
async fn rules_are_added_replaced_and_removed() {
    let analysis = services::analysis(&[]).await;
    let check = async |request: pb::EvaluateRulesRequest, expected: &[(&str, Category, Category)]| {
        let evaluation = evaluate(&analysis, request).await.unwrap();
        assert_eq!(moves(&evaluation), expected);
        assert_eq!(evaluation.degraded, [i32::from(Degradation::BuiltInRules)], "evaluations need no cache");
    };
    // The default priority is 5.
    let zzz = || vec![rule("zzz", Category::Labour, "zzz", 0)];
    check(adding(zzz()), &[("Y", Category::Other, Category::Labour)]).await;
    let alone = [
        ("22_289", Category::Population, Category::Other),
        ("X", Category::Health, Category::Other),
        ("Y", Category::Other, Category::Labour),
    ];
    check(pb::EvaluateRulesRequest { replace: true, ..adding(zzz()) }, &alone).await;
    check(pb::EvaluateRulesRequest { replace: true, mode: Mode::Substring.into(), ..adding(zzz()) }, &alone)
        .await;

    // Only the score changes: without `category_only` that is a move too.
    let more = || vec![rule("more", Category::Population, "popolazione", 3)];
    check(adding(more()), &[("22_289", Category::Population, Category::Population)]).await;
    check(pb::EvaluateRulesRequest { category_only: true, ..adding(more()) }, &[]).await;

    let removed = built_in("default").rules.into_iter();
    let removed = removed.filter(|rule| rule.category == dataflow_rules::Category::Health);
    let removed_rules = removed.map(|rule| rule.id).collect();
    let request = pb::EvaluateRulesRequest { removed_rules, category_only: true, ..adding(Vec::new()) };
    let evaluation = evaluate(&analysis, request).await.unwrap();
    let [(id, before, after)] = moves(&evaluation)[..] else { panic!("{evaluation:?}") };
    assert_eq!((id, before), ("X", Category::Health));
    assert_ne!(after, Category::Health);
}

#[tokio::test]
async fn rest_returns_the_evaluation() {
    let (gateway, _services) = services::mesh(&[]).await;
    let request = adding(vec![rule("mine", Category::Economy, "popolazione", 900)]);
    let answer = async |request: &pb::EvaluateRulesRequest| {
        let (headers, body) = ([("content-type", "application/json")], as_json(request));
        let answer =
            http::request(&gateway.upstream, "POST", "/v1/rules:evaluate", &headers, &body).await.unwrap();
        (answer.status, serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap())
    };
    let (status, evaluation) = answer(&request).await;
    assert_eq!(status, 200, "{evaluation}");
    assert_eq!((&evaluation["recategorized"], &evaluation["countsAfter"]["ECONOMY"]), (&1.into(), &1.into()));
    assert_eq!(evaluation["moves"][0]["after"]["evidence"][0]["rule"]["field"], "name.it");
    let (status, refused) = answer(&adding(vec![rule("mine", Category::Economy, "*", 5)])).await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(refused["details"][1]["fieldViolations"][0]["field"], "rules[0].keywords[0]");
}

/// The request as JSON, its document in base64.
fn as_json(request: &pb::EvaluateRulesRequest) -> Vec<u8> {
    let pool = DescriptorPool::decode(dataflow_proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("dataflow.analysis.v1.EvaluateRulesRequest").unwrap();
    let mut message = DynamicMessage::new(descriptor);
    message.transcode_from(request).unwrap();
    serde_json::to_vec(&message).unwrap()
}

#[tokio::test]
async fn errors_name_the_field() {
    let analysis = services::analysis(&["--max-message-bytes", "100KiB"]).await;
    let check = async |request: pb::EvaluateRulesRequest, code: Code, reason: &str, expected: &str| {
        let status = evaluate(&analysis, request).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!((status.code(), &*details.error_info().unwrap().reason), (code, reason), "{status}");
        let field = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!(field.unwrap_or_default(), expected, "{status}");
    };
    let invalid = async |request, expected: &str| {
        check(request, Code::InvalidArgument, "FIELD_INVALID", expected).await;
    };
    let good = || rule("good", Category::Health, "zzz", 5);
    invalid(adding(vec![good(), rule("bad", Category::Health, "*", 5)]), "rules[1].keywords[0]").await;
    invalid(adding(vec![rule("bad", Category::Unspecified, "zzz", 5)]), "rules[0].category").await;
    invalid(adding(vec![rule("bad", Category::Health, "zzz", -1)]), "rules[0].priority").await;
    invalid(adding(vec![good(), good()]), "rules[1].ruleId").await;
    invalid(adding(vec![config::Rule { keywords: Vec::new(), ..good() }]), "rules[0].keywords").await;
    invalid(
        adding(vec![config::Rule { weights: [("zzz".to_owned(), -1)].into(), ..good() }]),
        "rules[0].weights[\"zzz\"]",
    )
    .await;
    let nameless =
        pb::EvaluateRulesRequest { removed_rules: vec!["no such".to_owned()], ..adding(Vec::new()) };
    invalid(nameless, "removed_rules[0]").await;
    invalid(pb::EvaluateRulesRequest { mode: 99, ..adding(Vec::new()) }, "mode").await;
    invalid(pb::EvaluateRulesRequest { ruleset: "x".repeat(65), ..adding(Vec::new()) }, "ruleset").await;
    invalid(pb::EvaluateRulesRequest { document: None, ..adding(Vec::new()) }, "document").await;

    let unknown = pb::EvaluateRulesRequest { ruleset: "unheard-of".to_owned(), ..adding(Vec::new()) };
    check(unknown, Code::NotFound, "RULESET_NOT_FOUND", "").await;
    let with = |document: String| pb::EvaluateRulesRequest {
        document: Some(HttpBody { data: document.into(), ..Default::default() }),
        ..adding(Vec::new())
    };
    check(with(String::new()), Code::InvalidArgument, "EMPTY_DOCUMENT", "").await;
    check(with(CATALOGUE[..500].to_owned()), Code::InvalidArgument, "TRUNCATED_DOCUMENT", "").await;
    check(with(" ".repeat(100 * 1024)), Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "").await;
}

#[tokio::test]
async fn a_current_rule_set_that_does_not_compile_is_an_error() {
    let broken = config::Ruleset {
        ruleset: "broken".to_owned(),
        mode: Mode::Words.into(),
        revision: 1,
        rules: vec![rule("a", Category::Health, "*", 5)],
        ..Default::default()
    };
    let config = services::unvalidated_config(vec![broken]).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    let request = pb::EvaluateRulesRequest { ruleset: "broken".to_owned(), ..adding(Vec::new()) };
    assert_eq!(evaluate(&analysis, request).await.unwrap_err().code(), Code::FailedPrecondition);
}
