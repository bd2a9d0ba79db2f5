//! API keys: who may create, see and revoke which, what their watch sends, and what survives a restart.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use dataflow_proto::mesh::v1::Scope;
use dataflow_store::embedded::Embedded;
use dataflow_store::key::Space;
use dataflow_store::logs::Logs;
use dataflow_tests::editor::{editor, new, reason, small};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services::{self, Service};
use ring::digest::{SHA256, digest};
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

fn client(config: &Service) -> KeyServiceClient<Outbound> {
    KeyServiceClient::new(config.channel())
}

/// A request of a caller with this tenant, as the gateway states it.
fn of_tenant<T>(tenant: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("dataflow-subject", "ada".parse().unwrap());
    if !tenant.is_empty() {
        request.metadata_mut().insert("dataflow-tenant", tenant.parse().unwrap());
    }
    request
}

fn creation(name: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest { display_name: name.to_owned(), scope: Scope::Read.into(), ..Default::default() }
}

async fn created(
    config: &Service,
    tenant: &'static str,
    request: pb::CreateKeyRequest,
) -> Result<(pb::ApiKey, String), Status> {
    let reply = client(config).create_key(of_tenant(tenant, request)).await?.into_inner();
    Ok((reply.key.unwrap(), reply.secret))
}

async fn listed(config: &Service, tenant: &'static str) -> Vec<pb::ApiKey> {
    let request = of_tenant(tenant, pb::ListKeysRequest::default());
    client(config).list_keys(request).await.unwrap().into_inner().keys
}

async fn deleted(config: &Service, tenant: &'static str, key: &str, etag: &str) -> Result<(), Status> {
    let request =
        pb::DeleteKeyRequest { key: key.to_owned(), etag: etag.to_owned(), reason: "lost".to_owned() };
    client(config).delete_key(of_tenant(tenant, request)).await.map(drop)
}

async fn watch(config: &Service) -> Streaming<pb::WatchKeysResponse> {
    client(config).watch_keys(pb::WatchKeysRequest {}).await.unwrap().into_inner()
}

/// The next complete list of a watch.
async fn next(watch: &mut Streaming<pb::WatchKeysResponse>) -> Vec<pb::WatchedKey> {
    let mut keys = Vec::new();
    loop {
        let message = timeout(TIMEOUT, watch.message()).await.expect("a list").unwrap().unwrap();
        keys.extend(message.keys);
        if message.complete {
            return keys;
        }
    }
}

#[tokio::test]
async fn a_key_is_listed_without_its_secret_and_watched_by_its_digest() {
    let config = services::config([]).await;
    let ttl = prost_types::Duration { seconds: 3600, nanos: 0 };
    let request = pb::CreateKeyRequest {
        scope: Scope::Write.into(),
        tenant: "acme".to_owned(),
        ttl: Some(ttl),
        rate_limit: "50/m".to_owned(),
        rate_burst: 7,
        ..creation("nightly")
    };
    let (key, secret) = created(&config, "", request).await.unwrap();
    assert!(secret.starts_with("dfk_") && secret.len() == 47, "{secret}");
    assert!(key.key_id.starts_with("k-") && key.key_id.len() == 18 && !key.etag.is_empty(), "{key:?}");
    assert_eq!(
        (key.display_name.as_str(), key.scope(), key.tenant.as_str()),
        ("nightly", Scope::Write, "acme")
    );
    assert_eq!((key.creator.as_str(), key.rate_limit.as_str(), key.rate_burst), ("ada", "50/m", 7));
    let lasts = key.expire_time.unwrap().seconds - key.create_time.unwrap().seconds;
    assert!((3595..=3605).contains(&lasts), "{key:?}");
    assert_eq!(listed(&config, "").await, std::slice::from_ref(&key));
    let expected = pb::WatchedKey {
        digest: digest(&SHA256, secret.as_bytes()).as_ref().to_vec().into(),
        subject: format!("key:{}", key.key_id),
        key_id: key.key_id,
        scope: key.scope,
        tenant: key.tenant,
        expire_time: key.expire_time,
        rate_limit: "50/m".to_owned(),
        rate_burst: 7,
    };
    assert_eq!(next(&mut watch(&config).await).await, [expected]);
}

#[tokio::test]
async fn keys_are_listed_by_page() {
    let config = services::config([]).await;
    for index in 0..5 {
        created(&config, if index % 2 == 0 { "acme" } else { "bolt" }, creation("x")).await.unwrap();
    }
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListKeysRequest { page_size: 2, page_token };
        let page = client(&config).list_keys(of_tenant("acme", request)).await.unwrap().into_inner();
        found.extend(page.keys);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((found.len(), &found), (3, &listed(&config, "acme").await));
}

#[tokio::test]
async fn an_invalid_key_is_rejected_and_its_field_named() {
    let config = services::config([]).await;
    let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let valid = || creation("x");
    let check = async |request: pb::CreateKeyRequest, expected: &str| {
        let status = created(&config, "", request.clone()).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "KEY_INVALID"));
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, expected, "{request:?}");
    };
    check(creation(""), "display_name").await;
    check(creation("a\u{7}b"), "display_name").await;
    for scope in [Scope::Unspecified.into(), Scope::Internal.into(), 9] {
        check(pb::CreateKeyRequest { scope, ..valid() }, "scope").await;
    }
    check(pb::CreateKeyRequest { tenant: "a/b".to_owned(), ..valid() }, "tenant").await;
    for rate in ["50", "0/s", "1000001/s", "50/d"] {
        check(pb::CreateKeyRequest { rate_limit: rate.to_owned(), ..valid() }, "rate_limit").await;
    }
    for rate_burst in [-1, 1_000_001] {
        let request = pb::CreateKeyRequest { rate_limit: "50/s".to_owned(), rate_burst, ..valid() };
        check(request, "rate_burst").await;
    }
    check(pb::CreateKeyRequest { rate_burst: 1, ..valid() }, "rate_burst").await;
    for time in [at(1, 0), at(-1, 0), at(i64::MAX, 0), at(253_402_300_800, 0), at(4_000_000_000, -1)] {
        check(pb::CreateKeyRequest { expire_time: time, ..valid() }, "expire_time").await;
    }
    for ttl in [ttl(59, 0), ttl(-60, 0), ttl(60, -1), ttl(315_576_001, 0), ttl(i64::MAX, 999_999_999)] {
        check(pb::CreateKeyRequest { ttl, ..valid() }, "ttl").await;
    }
    check(pb::CreateKeyRequest { ttl: ttl(60, 0), expire_time: at(4_000_000_000, 0), ..valid() }, "ttl")
        .await;
    assert_eq!(listed(&config, "").await, []);
}

#[tokio::test]
async fn a_tenant_has_its_own_keys_only() {
    let config = services::config([]).await;
    let for_tenant = |tenant: &str| pb::CreateKeyRequest { tenant: tenant.to_owned(), ..creation("x") };
    let (own, _) = created(&config, "acme", for_tenant("")).await.unwrap();
    assert_eq!(own.tenant, "acme");
    let (stated, _) = created(&config, "acme", for_tenant("acme")).await.unwrap();
    let (foreign, _) = created(&config, "", for_tenant("bolt")).await.unwrap();
    let (shared, _) = created(&config, "", for_tenant("")).await.unwrap();
    let status = created(&config, "acme", for_tenant("bolt")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "TENANT_MISMATCH"));

    let ids = |keys: Vec<pb::ApiKey>| {
        let mut ids: Vec<_> = keys.into_iter().map(|key| key.key_id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(listed(&config, "acme").await), ids(vec![own.clone(), stated]));
    assert_eq!(listed(&config, "").await.len(), 4);
    for key in [&foreign, &shared] {
        // The etag tells nothing about a key that the caller must not know.
        for etag in ["", "ffffff", key.etag.as_str()] {
            let status = deleted(&config, "acme", &key.key_id, etag).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "KEY_NOT_FOUND"));
        }
    }
    deleted(&config, "acme", &own.key_id, "").await.unwrap();
    deleted(&config, "", &foreign.key_id, "").await.unwrap();
    assert_eq!(listed(&config, "").await.len(), 2);
}

#[tokio::test]
async fn a_watch_has_each_revocation_and_no_other_changes() {
    let config = services::config([]).await;
    let mut watch = watch(&config).await;
    assert_eq!(next(&mut watch).await, []);
    let (one, _) = created(&config, "", creation("one")).await.unwrap();
    assert_eq!(next(&mut watch).await.len(), 1);
    let (other, _) = created(&config, "", creation("other")).await.unwrap();
    assert_eq!(next(&mut watch).await.len(), 2);
    let category = dataflow_proto::r#type::v1::Category::Health;
    editor(&config).create_rule(new("r", category, "care")).await.unwrap();

    let status = deleted(&config, "", &one.key_id, &other.etag).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    deleted(&config, "", &one.key_id, &one.etag).await.unwrap();
    let left = next(&mut watch).await;
    assert_eq!((left.len(), left[0].key_id.as_str()), (1, other.key_id.as_str()), "the rule changed no key");
    let status = deleted(&config, "", &one.key_id, "").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "KEY_NOT_FOUND"));
    config.stop().await;
    assert!(timeout(TIMEOUT, watch.message()).await.unwrap().unwrap().is_none(), "it ends with the service");
}

#[tokio::test]
async fn a_long_list_is_sent_in_parts() {
    let config = services::config([]).await;
    for _ in 0..1001 {
        created(&config, "", creation("x")).await.unwrap();
    }
    let mut watch = watch(&config).await;
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!((first.keys.len(), first.complete), (1000, false));
    let second = watch.message().await.unwrap().unwrap();
    assert_eq!((second.keys.len(), second.complete), (1, true));
}

#[tokio::test]
async fn an_expired_key_is_listed_but_not_watched() {
    let config = services::config([]).await;
    let soon = SystemTime::now() + Duration::from_secs(1);
    let expiring = pb::CreateKeyRequest { expire_time: Some(soon.into()), ..creation("soon") };
    let (expiring, _) = created(&config, "", expiring).await.unwrap();
    let (lasting, _) = created(&config, "", creation("lasting")).await.unwrap();
    eventually(TIMEOUT, "a new watch no longer has it", async || {
        let valid = next(&mut watch(&config).await).await;
        valid.iter().all(|key| key.key_id == lasting.key_id)
    })
    .await;
    assert!(listed(&config, "").await.contains(&expiring));
}

#[tokio::test]
async fn the_audit_names_keys_and_has_no_secret() {
    let config = services::config([]).await;
    let (key, secret) = created(&config, "acme", creation("nightly")).await.unwrap();
    deleted(&config, "acme", &key.key_id, "").await.unwrap();
    let mut audit = AuditServiceClient::new(config.channel());
    let records = audit.list_audit_records(pb::ListAuditRecordsRequest::default()).await.unwrap();
    let records = records.into_inner().records;
    let [made, revoked] = &records[records.len() - 2..] else { panic!("{records:?}") };
    let resource = format!("keys/{}", key.key_id);
    assert_eq!(
        (made.action.as_str(), &made.resource, made.author.as_str()),
        ("KEY_CREATED", &resource, "ada")
    );
    assert_eq!(
        (revoked.action.as_str(), &revoked.resource, revoked.reason.as_str()),
        ("KEY_REVOKED", &resource, "lost")
    );
    assert_eq!((made.key_id.as_str(), made.tenant.as_str()), ("", "acme"), "the author had no key");
    assert!(!format!("{records:?}").contains(&secret));
}

#[tokio::test]
async fn keys_survive_a_restart() {
    let store = Arc::new(Embedded::new(1 << 20));
    let config = services::config_over(Arc::clone(&store) as _, small()).await;
    let (kept, _) = created(&config, "acme", creation("kept")).await.unwrap();
    let (revoked, _) = created(&config, "acme", creation("revoked")).await.unwrap();
    deleted(&config, "acme", &revoked.key_id, "").await.unwrap();
    let before = next(&mut watch(&config).await).await;
    config.stop().await;
    let config = services::config_over(store, small()).await;
    assert_eq!(listed(&config, "").await, [kept]);
    assert_eq!(next(&mut watch(&config).await).await, before);
}

#[tokio::test]
async fn a_use_wakes_no_watch() {
    let config = services::config([]).await;
    let mut watch = watch(&config).await;
    assert_eq!(next(&mut watch).await, []);
    let (key, _) = created(&config, "", creation("one")).await.unwrap();
    assert_eq!(next(&mut watch).await.len(), 1);
    let uses = vec![pb::KeyUse { key_id: key.key_id.clone(), use_time: Some(SystemTime::now().into()) }];
    client(&config).report_key_uses(pb::ReportKeyUsesRequest { uses }).await.unwrap();
    assert!(listed(&config, "").await[0].last_use_time.is_some());
    created(&config, "", creation("other")).await.unwrap();
    assert_eq!(next(&mut watch).await.len(), 2, "there was no list between these two");
    // Nor is it a change.
    let mut audit = AuditServiceClient::new(config.channel());
    let records = audit.list_audit_records(pb::ListAuditRecordsRequest::default()).await.unwrap();
    let of_keys =
        records.into_inner().records.into_iter().filter(|record| record.resource.starts_with("keys/"));
    assert_eq!(of_keys.count(), 2);
}

/// Its state lacks the keys that come after what it cannot read: it would drop their uses.
#[tokio::test]
async fn a_service_that_cannot_read_the_whole_journal_records_no_use() {
    let store = Arc::new(Embedded::new(1 << 20));
    let config = services::config_over(Arc::clone(&store) as _, small()).await;
    let (key, _) = created(&config, "", creation("one")).await.unwrap();
    let used = async || {
        let uses = vec![pb::KeyUse { key_id: key.key_id.clone(), use_time: Some(SystemTime::now().into()) }];
        client(&config).report_key_uses(pb::ReportKeyUsesRequest { uses }).await.map(drop)
    };
    used().await.unwrap();
    // The format of a later release.
    store.append(&Space::durable("config").key("changes"), "later", "\x08\x63".into()).await.unwrap();
    let status = used().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "RELEASE_OUTDATED"));
    assert!(listed(&config, "").await[0].last_use_time.is_some(), "what is recorded stays");
}
