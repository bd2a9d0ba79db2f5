//! Concurrent changes, and their audit records.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::editor::{editor, new, reason};
use dataflow_tests::services;
use prost_types::FieldMask;
use tonic::Code;
use tonic_types::StatusExt;

fn update(rule: pb::Rule, paths: &[&str]) -> pb::UpdateRuleRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    pb::UpdateRuleRequest { rule: Some(rule), update_mask: Some(FieldMask { paths }), ..Default::default() }
}

#[tokio::test]
async fn of_two_concurrent_changes_one_wins_and_the_other_gets_the_current_etag() {
    let config = services::config([]).await;
    let made = editor(&config).create_rule(new("r", Category::Health, "care")).await.unwrap();
    let made = made.into_inner().rule.unwrap();
    let edit = async |priority| {
        editor(&config).update_rule(update(pb::Rule { priority, ..made.clone() }, &["priority"])).await
    };
    let (one, other) = tokio::join!(edit(7), edit(8));
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    let won = won.unwrap().into_inner().rule.unwrap();
    let lost = lost.unwrap_err();
    assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(lost.get_error_details().error_info().unwrap().metadata["etag"], won.etag);
    assert_ne!(won.etag, made.etag);
    let read = pb::GetRuleRequest { rule: "r".to_owned(), ..Default::default() };
    assert_eq!(editor(&config).get_rule(read).await.unwrap().into_inner().rule.unwrap(), won);
}

#[tokio::test]
async fn only_the_fields_that_the_mask_names_change() {
    let config = services::config([]).await;
    let made = editor(&config).create_rule(new("r", Category::Health, "care")).await.unwrap();
    let made = made.into_inner().rule.unwrap();
    let given = pb::Rule {
        rule_id: "r".to_owned(),
        category: Category::Labour.into(),
        priority: 7,
        description: "new".to_owned(),
        ..Default::default()
    };
    let changed = editor(&config).update_rule(update(given.clone(), &["priority", "description"])).await;
    let changed = changed.unwrap().into_inner().rule.unwrap();
    assert_eq!((changed.priority, changed.description.as_str()), (7, "new"));
    assert_eq!((changed.category, &changed.keywords), (made.category, &made.keywords));
    assert_eq!(changed.create_time, made.create_time);
    // An identical update is no change and makes no revision.
    let again = editor(&config).update_rule(update(given.clone(), &["priority", "description"])).await;
    assert_eq!(again.unwrap().into_inner().rule.unwrap(), changed);
    for (paths, field) in
        [(&["colour"][..], "update_mask"), (&["etag"], "update_mask"), (&["keywords"], "rule.keywords")]
    {
        let refused = editor(&config).update_rule(update(given.clone(), paths)).await.unwrap_err();
        let details = refused.get_error_details();
        let named = &details.bad_request().unwrap().field_violations[0].field;
        assert!(
            refused.code() == Code::InvalidArgument && named.starts_with(field),
            "{paths:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_rollback_restores_a_rule_set_and_is_audited() {
    let config = services::config([]).await;
    let mut rules = editor(&config);
    let mut request = tonic::Request::new(pb::CreateRuleRequest {
        reason: "on request".to_owned(),
        ..new("r", Category::Health, "care")
    });
    request.metadata_mut().insert("dataflow-subject", "ada".parse().unwrap());
    request.metadata_mut().insert("x-request-id", "r-1".parse().unwrap());
    rules.create_rule(request).await.unwrap();
    let delete = pb::DeleteRuleRequest { rule: "r".to_owned(), ..Default::default() };
    assert_eq!(rules.delete_rule(delete.clone()).await.unwrap().into_inner().revision, 3);
    assert_eq!(reason(&rules.delete_rule(delete).await.unwrap_err()), "RULE_NOT_FOUND");

    let back = |revision| pb::RollbackRulesetRequest {
        ruleset: "default".to_owned(),
        revision,
        ..Default::default()
    };
    let set = rules.rollback_ruleset(back(2)).await.unwrap().into_inner().ruleset.unwrap();
    assert_eq!(set.revision, 4);
    assert!(set.rules.iter().any(|rule| rule.rule_id == "r"));
    assert_eq!(reason(&rules.rollback_ruleset(back(9)).await.unwrap_err()), "REVISION_NOT_FOUND");

    let list = pb::ListRevisionsRequest { ruleset: "default".to_owned(), page_size: 3, ..Default::default() };
    let page = rules.list_revisions(list.clone()).await.unwrap().into_inner();
    let revisions: Vec<_> = page.revisions.iter().map(|revision| revision.revision).collect();
    assert_eq!(revisions, [4, 3, 2]);
    let made = &page.revisions[2];
    assert_eq!(
        (made.author.as_str(), made.reason.as_str(), made.request_id.as_str()),
        ("ada", "on request", "r-1")
    );
    assert_eq!(made.differences[0].rule_id, "r");
    let rest =
        rules.list_revisions(pb::ListRevisionsRequest { page_token: page.next_page_token, ..list }).await;
    let rest = rest.unwrap().into_inner();
    assert_eq!((rest.revisions.len(), rest.next_page_token.as_str()), (1, ""));
    assert_eq!(rest.revisions[0].author, "system");

    let mut audit = AuditServiceClient::new(config.channel());
    let mut records = Vec::new();
    let mut page_token = String::new();
    loop {
        let list = pb::ListAuditRecordsRequest { page_size: 4, page_token, ..Default::default() };
        let page = audit.list_audit_records(list).await.unwrap().into_inner();
        records.extend(page.records);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let places = (1..).take(records.len());
    assert!(records.iter().map(|record| record.position).eq(places), "no gaps: {records:#?}");
    let of_rules: Vec<_> = records.iter().filter(|record| record.author != "system").collect();
    let audited: Vec<_> = of_rules
        .iter()
        .map(|record| (record.action.as_str(), record.resource.as_str(), record.before, record.after))
        .collect();
    assert_eq!(
        audited,
        [
            ("RULE_PUT", "rulesets/default/rules/r", 1, 2),
            ("RULE_REMOVED", "rulesets/default/rules/r", 2, 3),
            ("RULESET_ROLLED_BACK", "rulesets/default", 3, 4),
        ]
    );
    let mut exported =
        audit.export_audit_records(pb::ExportAuditRecordsRequest::default()).await.unwrap().into_inner();
    let mut lines = Vec::new();
    while let Some(line) = exported.message().await.unwrap() {
        lines.push(line.record.unwrap());
    }
    assert_eq!(lines, records);
}

#[tokio::test]
async fn pages_of_rules_continue_after_the_last_rule_even_if_rules_were_deleted() {
    let config = services::config([]).await;
    let mut rules = editor(&config);
    for index in 0..6 {
        let request = new(&format!("paged-{index}"), Category::Health, "care");
        rules.create_rule(request).await.unwrap();
    }
    let list = |page_token: &str| pb::ListRulesRequest {
        category: Category::Health.into(),
        page_size: 1000,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    // A rule before the start of the next page, then the last rule of the previous page.
    for gone in ["paged-0", "paged-2"] {
        let all = rules.list_rules(list("")).await.unwrap().into_inner().rules;
        let last = all.iter().position(|rule| rule.rule_id == "paged-2").unwrap();
        let page_size = i32::try_from(last + 1).unwrap();
        let first =
            rules.list_rules(pb::ListRulesRequest { page_size, ..list("") }).await.unwrap().into_inner();
        let request = pb::DeleteRuleRequest { rule: gone.to_owned(), ..Default::default() };
        rules.delete_rule(request).await.unwrap();
        let rest = rules.list_rules(list(&first.next_page_token)).await.unwrap().into_inner();
        let ids: Vec<_> = rest.rules.iter().map(|rule| rule.rule_id.as_str()).collect();
        assert_eq!(ids, ["paged-3", "paged-4", "paged-5"], "{gone} removed");
    }
    for token in ["3", "x:paged-1"] {
        let refused = rules.list_rules(list(token)).await.unwrap_err();
        assert_eq!(reason(&refused), "FIELD_INVALID", "{token}");
    }
}
