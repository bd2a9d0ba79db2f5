//! The contract of audited reads: the same for config services over every store. Two services share the store, or are
//! the same one.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use prost_types::Timestamp;
use tonic::{Request, Status};

use crate::services::Service;

/// Lists API keys as this caller.
///
/// # Errors
///
/// That of the call.
pub async fn list_keys(config: &Service, tenant: &str, subject: &str) -> Result<(), Status> {
    let request = of_caller(tenant, subject, pb::ListKeysRequest::default());
    KeyServiceClient::new(config.channel()).list_keys(request).await.map(drop)
}

/// Lists a page of audited reads as a caller of this tenant.
///
/// # Errors
///
/// That of the call.
pub async fn list(
    config: &Service,
    tenant: &str,
    request: pb::ListReadsRequest,
) -> Result<pb::ListReadsResponse, Status> {
    let request = of_caller(tenant, "auditor", request);
    Ok(AuditServiceClient::new(config.channel()).list_reads(request).await?.into_inner())
}

/// Exports audited reads as a caller of this tenant.
///
/// # Errors
///
/// That of the call.
pub async fn export(
    config: &Service,
    tenant: &str,
    request: pb::ExportReadsRequest,
) -> Result<Vec<pb::AuditedRead>, Status> {
    let request = of_caller(tenant, "auditor", request);
    let mut stream = AuditServiceClient::new(config.channel()).export_reads(request).await?.into_inner();
    let mut reads = Vec::new();
    while let Some(next) = stream.message().await? {
        reads.extend(next.read);
    }
    Ok(reads)
}

/// A caller that has listed keys at one service is listed and exported by the other one, to those who may see it.
///
/// # Panics
///
/// If that is not so.
pub async fn reads_are_listed_to_their_tenant(one: &Service, other: &Service) {
    let callers = [("acme", "ada"), ("bolt", "bob"), ("", "root"), ("acme", "key:k-1"), ("", "")];
    for (index, (tenant, subject)) in callers.iter().enumerate() {
        let config = if index % 2 == 0 { one } else { other };
        list_keys(config, tenant, subject).await.expect("keys are listed");
    }
    let invalid = of_caller("acme", "eve", pb::ListKeysRequest { page_size: -1, ..Default::default() });
    KeyServiceClient::new(one.channel()).list_keys(invalid).await.expect_err("nothing was read");
    let check = async |tenant: &str, request: pb::ListReadsRequest, expected: &[&str]| {
        let pb::ListReadsRequest { start_time, end_time, subject, .. } = request.clone();
        let exported = pb::ExportReadsRequest { start_time, end_time, subject };
        for config in [one, other] {
            let found = list(config, tenant, request.clone()).await.expect("they are listed").reads;
            let subjects: Vec<_> = found.iter().map(|read| read.subject.as_str()).collect();
            assert_eq!(subjects, expected, "{tenant} {request:?}");
            assert_eq!(export(config, tenant, exported.clone()).await.expect("they are exported"), found);
        }
    };
    let all = pb::ListReadsRequest::default;
    let of = |subject: &str| pb::ListReadsRequest { subject: subject.to_owned(), ..all() };
    check("", all(), &["ada", "bob", "root", "key:k-1", ""]).await;
    check("acme", all(), &["ada", "key:k-1"]).await;
    check("bolt", all(), &["bob"]).await;
    check("other", all(), &[]).await;
    check("", of("ada"), &["ada"]).await;
    check("bolt", of("ada"), &[]).await;
    let long_ago = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
    check("acme", pb::ListReadsRequest { start_time: long_ago, ..all() }, &["ada", "key:k-1"]).await;
    check("acme", pb::ListReadsRequest { end_time: long_ago, ..all() }, &[]).await;

    let first = pb::ListReadsRequest { page_size: 1, ..all() };
    let page = list(one, "acme", first.clone()).await.expect("a page");
    let next = pb::ListReadsRequest { page_token: page.next_page_token, ..first };
    let second = list(other, "acme", next).await.expect("a token is of all replicas");
    assert_eq!((second.reads.len(), second.next_page_token.as_str()), (1, ""));
    let read = &second.reads[0];
    let told = [&read.action, &read.resource, &read.subject, &read.key_id, &read.tenant];
    assert_eq!(told, ["KEYS_LISTED", "keys", "key:k-1", "k-1", "acme"]);
    assert!(!read.request_id.is_empty() && read.time.is_some(), "{read:?}");

    for request in [
        pb::ListReadsRequest { page_size: 1001, ..all() },
        pb::ListReadsRequest { page_token: "7".to_owned(), ..all() },
        pb::ListReadsRequest { start_time: long_ago, end_time: long_ago, ..all() },
    ] {
        list(one, "", request.clone()).await.expect_err(&format!("{request:?}"));
    }
    let invalid = pb::ExportReadsRequest { start_time: long_ago, end_time: long_ago, ..Default::default() };
    export(one, "", invalid).await.expect_err("no time is between these");
}

/// A request of this caller, as the gateway states it.
fn of_caller<T>(tenant: &str, subject: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in [("dataflow-tenant", tenant), ("dataflow-subject", subject)] {
        if !value.is_empty() {
            let value = value.parse().expect("the names of tests are ASCII");
            request.metadata_mut().insert(name, value);
        }
    }
    request
}
