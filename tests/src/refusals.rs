//! The contract of refused writes and of the last uses of keys: the same for config services over every store. Two
//! services share the store, or are the same one.

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use dataflow_proto::mesh::v1::Scope;
use prost_types::Timestamp;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::editor::reason;
use crate::services::Service;

/// A time in the past: a refusal of the future would be dated now.
const TIME: i64 = 1_700_000_000;

/// Reports these refusals to a config service.
///
/// # Errors
///
/// That of the call.
pub async fn report(config: &Service, report_id: &str, refusals: Vec<pb::Refusal>) -> Result<(), Status> {
    let request = pb::ReportRefusalsRequest { report_id: report_id.to_owned(), refusals };
    AuditServiceClient::new(config.channel()).report_refusals(request).await.map(drop)
}

/// Lists a page of refusals as a caller of this tenant.
///
/// # Errors
///
/// That of the call.
pub async fn list(
    config: &Service,
    tenant: &str,
    request: pb::ListRefusalsRequest,
) -> Result<pb::ListRefusalsResponse, Status> {
    let request = of_tenant(tenant, request);
    Ok(AuditServiceClient::new(config.channel()).list_refusals(request).await?.into_inner())
}

/// Exports refusals as a caller of this tenant.
///
/// # Errors
///
/// That of the call.
pub async fn export(
    config: &Service,
    tenant: &str,
    request: pb::ExportRefusalsRequest,
) -> Result<Vec<pb::Refusal>, Status> {
    let request = of_tenant(tenant, request);
    let mut stream = AuditServiceClient::new(config.channel()).export_refusals(request).await?.into_inner();
    let mut refusals = Vec::new();
    while let Some(next) = stream.message().await? {
        refusals.extend(next.refusal);
    }
    Ok(refusals)
}

/// A refusal that happened now, with this reason.
pub fn refusal(subject: &str, tenant: &str, reason: &str) -> pb::Refusal {
    pb::Refusal {
        time: Some(std::time::SystemTime::now().into()),
        subject: subject.to_owned(),
        tenant: tenant.to_owned(),
        reason: reason.to_owned(),
        ..pb::Refusal::default()
    }
}

/// What is reported to one service is listed by the other one, once, to those who may see it.
///
/// # Panics
///
/// If it is not.
pub async fn refusals_are_listed_to_their_tenant(one: &Service, other: &Service) {
    let refusals = vec![refusal("ada", "acme", "1"), refusal("bob", "bolt", "2"), refusal("root", "", "3")];
    for config in [one, other, one] {
        report(config, "first", refusals.clone()).await.expect("it is recorded, and recorded again");
    }
    report(other, "second", vec![refusal("ada", "acme", "4")]).await.expect("it is recorded");
    let check = async |tenant: &str, request: pb::ListRefusalsRequest, expected: &[&str]| {
        let pb::ListRefusalsRequest { start_time, end_time, subject, .. } = request.clone();
        let exported = pb::ExportRefusalsRequest { start_time, end_time, subject };
        for config in [one, other] {
            let found = list(config, tenant, request.clone()).await.expect("they are listed").refusals;
            assert_eq!(export(config, tenant, exported.clone()).await.expect("they are exported"), found);
            let found: Vec<_> = found.iter().map(|refusal| refusal.reason.as_str()).collect();
            assert_eq!(found, expected, "{tenant} {request:?}");
        }
    };
    let all = pb::ListRefusalsRequest::default;
    let of = |subject: &str| pb::ListRefusalsRequest { subject: subject.to_owned(), ..all() };
    check("", all(), &["1", "2", "3", "4"]).await;
    check("acme", all(), &["1", "4"]).await;
    check("bolt", all(), &["2"]).await;
    check("other", all(), &[]).await;
    check("", of("ada"), &["1", "4"]).await;
    check("bolt", of("ada"), &[]).await;
    let long_ago = Some(Timestamp { seconds: TIME, nanos: 0 });
    check("", pb::ListRefusalsRequest { start_time: long_ago, ..all() }, &["1", "2", "3", "4"]).await;
    check("", pb::ListRefusalsRequest { end_time: long_ago, ..all() }, &[]).await;

    let (mut found, mut page_token) = (Vec::new(), String::new());
    for config in [one, other, one] {
        let request = pb::ListRefusalsRequest { page_size: 1, page_token, ..all() };
        let page = list(config, "acme", request).await.expect("a token is of all replicas");
        found.extend(page.refusals);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((found.len(), page_token.as_str()), (2, ""));
}

/// What is invalid is rejected, and its field named.
///
/// # Panics
///
/// If it is not.
pub async fn invalid_requests_are_rejected(config: &Service) {
    let field = |outcome: Result<(), Status>| {
        let status = outcome.expect_err("it is invalid");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
        let details = status.get_error_details();
        details.bad_request().expect("a field is invalid").field_violations[0].field.clone()
    };
    let all = pb::ListRefusalsRequest::default;
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    for (request, expected) in [
        (pb::ListRefusalsRequest { page_size: 1001, ..all() }, "page_size"),
        (pb::ListRefusalsRequest { page_token: "7".to_owned(), ..all() }, "page_token"),
        (pb::ListRefusalsRequest { page_token: "x.1".to_owned(), ..all() }, "page_token"),
        (pb::ListRefusalsRequest { start_time: time(-1), ..all() }, "start_time"),
        (pb::ListRefusalsRequest { start_time: time(5), end_time: time(5), ..all() }, "end_time"),
    ] {
        assert_eq!(field(list(config, "", request).await.map(drop)), expected);
    }
    let none = pb::ExportRefusalsRequest { start_time: time(5), end_time: time(5), ..Default::default() };
    assert_eq!(field(export(config, "", none).await.map(drop)), "end_time");
    let some = |count: usize| vec![refusal("ada", "acme", "X"); count];
    report(config, "whole", some(100)).await.expect("a report has up to 100");
    assert_eq!(field(report(config, "many", some(101)).await), "refusals");
    assert_eq!(field(report(config, "none", some(0)).await), "refusals");
    assert_eq!(field(report(config, "", some(1)).await), "report_id");
    let timeless = vec![pb::Refusal { time: None, ..refusal("ada", "acme", "X") }];
    assert_eq!(field(report(config, "timeless", timeless).await), "refusals[0].time");

    let mut keys = KeyServiceClient::new(config.channel());
    let one = pb::KeyUse { key_id: "k-1".to_owned(), use_time: time(TIME) };
    for (uses, expected) in [
        (Vec::new(), "uses"),
        (vec![one.clone(); 1001], "uses"),
        (vec![one.clone(), pb::KeyUse { use_time: None, ..one.clone() }], "uses[1].use_time"),
    ] {
        let outcome = keys.report_key_uses(pb::ReportKeyUsesRequest { uses }).await.map(drop);
        assert_eq!(field(outcome), expected);
    }
    let whole = pb::ReportKeyUsesRequest { uses: vec![one; 1000] };
    keys.report_key_uses(whole).await.expect("unknown keys are ignored");
}

/// The last use of a key is listed by every service, and forgotten with the key.
///
/// # Panics
///
/// If it is not.
pub async fn the_last_use_of_a_key_is_listed(one: &Service, other: &Service) {
    let key = created(one).await;
    let use_at = async |config: &Service, seconds: i64| {
        let use_time = Some(Timestamp { seconds, nanos: 0 });
        let uses = vec![
            pb::KeyUse { key_id: key.key_id.clone(), use_time },
            pb::KeyUse { key_id: "k-0000000000000000".to_owned(), use_time },
        ];
        let request = pb::ReportKeyUsesRequest { uses };
        KeyServiceClient::new(config.channel()).report_key_uses(request).await.expect("it is recorded");
    };
    assert_eq!(last_use(one, &key.key_id).await, None);
    // A service learns the new key before it records a use of it.
    for (config, seconds, expected) in
        [(other, TIME, TIME), (one, TIME + 60, TIME + 60), (other, TIME + 30, TIME + 60)]
    {
        use_at(config, seconds).await;
        for config in [one, other] {
            assert_eq!(last_use(config, &key.key_id).await, Some(expected));
        }
    }
    let listed = keys(one).await.into_iter().find(|listed| listed.key_id == key.key_id);
    let listed = listed.expect("the key is listed");
    assert_eq!(pb::ApiKey { last_use_time: None, ..listed }, key, "nothing else changes");

    let request = pb::DeleteKeyRequest { key: key.key_id.clone(), etag: key.etag, reason: String::new() };
    KeyServiceClient::new(one.channel()).delete_key(request).await.expect("the use changed no etag");
    use_at(other, TIME + 90).await;
    assert!(keys(other).await.iter().all(|listed| listed.key_id != key.key_id));
}

/// Creates a key without a tenant.
///
/// # Panics
///
/// If that fails.
pub async fn created(config: &Service) -> pb::ApiKey {
    let (display_name, scope) = ("a key".to_owned(), Scope::Read.into());
    let request = pb::CreateKeyRequest { display_name, scope, ..Default::default() };
    let mut client: KeyServiceClient<Outbound> = KeyServiceClient::new(config.channel());
    let created = client.create_key(request).await.expect("it is created");
    created.into_inner().key.expect("the response has it")
}

async fn keys(config: &Service) -> Vec<pb::ApiKey> {
    let mut client = KeyServiceClient::new(config.channel());
    let request = pb::ListKeysRequest { page_size: 1000, ..Default::default() };
    client.list_keys(request).await.expect("they are listed").into_inner().keys
}

/// When a key was last used, in seconds.
///
/// # Panics
///
/// If the keys are not listed.
pub async fn last_use(config: &Service, key_id: &str) -> Option<i64> {
    let found = keys(config).await.into_iter().find(|key| key.key_id == key_id)?;
    found.last_use_time.map(|time| time.seconds)
}

/// A request of a caller with this tenant, as the gateway states it.
fn of_tenant<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !tenant.is_empty() {
        let tenant = tenant.parse().expect("the tenants of tests are ASCII");
        request.metadata_mut().insert("dataflow-tenant", tenant);
    }
    request
}
