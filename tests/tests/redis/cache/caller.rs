//! A client of a cache service: from outside or inside the mesh, with or without a tenant.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::services::Service;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// A client. Cheap to clone; clones share a connection.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: CacheServiceClient<InterceptedService<Channel, Identity>>,
}

/// The trusted headers, which only the mesh sets.
#[derive(Debug, Clone)]
struct Identity {
    tenant: String,
    inside: bool,
}

/// The parts of a failure that callers may rely on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) domain: String,
    pub(crate) reason: String,
    /// The invalid field; empty if none is named.
    pub(crate) field: String,
    pub(crate) metadata: HashMap<String, String>,
    /// The retry delay, if any.
    pub(crate) retry_after: Option<Duration>,
}

// === impl Identity ===

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata_mut();
        if !self.tenant.is_empty() {
            headers.insert("dataflow-tenant", self.tenant.parse().unwrap());
        }
        if self.inside {
            headers.insert("dataflow-peer", MetadataValue::from_static("service"));
        }
        Ok(request)
    }
}

// === impl Failure ===

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("a failure without a reason: {status:?}"));
        let field = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        Self {
            code: status.code(),
            domain: info.domain.clone(),
            reason: info.reason.clone(),
            field: field.unwrap_or_default(),
            metadata: info.metadata.clone(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

/// The methods of the service; a failed call returns a [`Failure`].
macro_rules! methods {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        impl Caller {
            $(pub(crate) async fn $method(
                &self,
                request: pb::$request,
            ) -> Result<pb::$response, Failure> {
                let mut client = self.client.clone();
                let answer = timeout(TIMEOUT, client.$method(request)).await;
                answer.expect("a response arrives in time").map(|answer| answer.into_inner()).map_err(Failure::from)
            })*
        }
    };
}

methods! {
    get_entry(GetEntryRequest) -> GetEntryResponse;
    batch_get_entries(BatchGetEntriesRequest) -> BatchGetEntriesResponse;
    lease_entry(LeaseEntryRequest) -> LeaseEntryResponse;
    release_lease(ReleaseLeaseRequest) -> ReleaseLeaseResponse;
    get_generations(GetGenerationsRequest) -> GetGenerationsResponse;
    set_entry(SetEntryRequest) -> SetEntryResponse;
    delete_entry(DeleteEntryRequest) -> DeleteEntryResponse;
    delete_prefix(DeletePrefixRequest) -> DeletePrefixResponse;
    invalidate_tags(InvalidateTagsRequest) -> InvalidateTagsResponse;
    entry_exists(EntryExistsRequest) -> EntryExistsResponse;
    get_entry_ttl(GetEntryTtlRequest) -> GetEntryTtlResponse;
    get_stats(GetStatsRequest) -> GetStatsResponse;
    take_permits(TakePermitsRequest) -> TakePermitsResponse;
}

// === impl Caller ===

impl Caller {
    /// A client outside the mesh, without a tenant.
    pub(crate) fn of(service: &Service) -> Self {
        Self::with(service, Identity { tenant: String::new(), inside: false })
    }

    /// A client outside the mesh, for this tenant.
    pub(crate) fn tenant(service: &Service, tenant: &str) -> Self {
        Self::with(service, Identity { tenant: tenant.to_owned(), inside: false })
    }

    /// A service of the mesh, for this tenant.
    pub(crate) fn inside(service: &Service, tenant: &str) -> Self {
        Self::with(service, Identity { tenant: tenant.to_owned(), inside: true })
    }

    fn with(service: &Service, identity: Identity) -> Self {
        let channel = Endpoint::from_shared(service.upstream.to_string()).unwrap().connect_lazy();
        Self { client: CacheServiceClient::with_interceptor(channel, identity) }
    }

    /// The text of a fresh entry, if any.
    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        match self.get_entry(pb::GetEntryRequest { key: key.to_owned() }).await {
            Ok(pb::GetEntryResponse { entry, .. }) => Some(text(&entry.unwrap())),
            Err(refusal) if refusal.reason == "ENTRY_NOT_FOUND" => None,
            Err(refusal) => panic!("{key}: {refusal:?}"),
        }
    }

    /// Stores a text with these tags and returns its etag.
    pub(crate) async fn put(&self, key: &str, value: &str, tags: &[&str]) -> String {
        let stored = self.set_entry(set(entry(key, value, tags))).await.unwrap();
        assert!(stored.stored && !stored.degraded, "{key}: {stored:?}");
        stored.etag
    }

    /// Deletes an entry; returns whether it existed.
    pub(crate) async fn delete(&self, key: &str) -> bool {
        let request = pb::DeleteEntryRequest { key: key.to_owned(), ..Default::default() };
        self.delete_entry(request).await.unwrap().deleted
    }

    /// Invalidates tags of the namespace `user`.
    pub(crate) async fn invalidate(&self, tags: &[&str]) {
        let request = pb::InvalidateTagsRequest { tags: owned(tags), ..Default::default() };
        self.invalidate_tags(request).await.unwrap();
    }

    /// Takes the lease of an entry with these tags, for ten seconds; no other caller may hold it.
    pub(crate) async fn take(&self, key: &str, tags: &[&str]) -> pb::Lease {
        let answer = self.lease_entry(lease(key, tags)).await.unwrap();
        answer.lease.unwrap_or_else(|| panic!("no lease of {key}: {:?}", answer.entry))
    }

    /// The statistics of the replica.
    pub(crate) async fn stats(&self) -> pb::GetStatsResponse {
        self.get_stats(pb::GetStatsRequest {}).await.unwrap()
    }
}

/// An entry to set, with the default TTL.
pub(crate) fn entry(key: &str, value: &str, tags: &[&str]) -> pb::Entry {
    let value = Bytes::copy_from_slice(value.as_bytes());
    pb::Entry { key: key.to_owned(), value, tags: owned(tags), ..Default::default() }
}

/// A request to set an entry unconditionally.
pub(crate) fn set(entry: pb::Entry) -> pb::SetEntryRequest {
    pb::SetEntryRequest { entry: Some(entry), ..Default::default() }
}

/// A request for a lease of ten seconds that does not wait.
pub(crate) fn lease(key: &str, tags: &[&str]) -> pb::LeaseEntryRequest {
    let hold = millis(10_000);
    pb::LeaseEntryRequest { key: key.to_owned(), tags: owned(tags), hold, ..Default::default() }
}

/// A duration on the wire.
pub(crate) fn millis<D: TryFrom<Duration>>(millis: u64) -> Option<D> {
    Duration::from_millis(millis).try_into().ok()
}

/// Owned texts for a message.
pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// The value of an entry as text.
pub(crate) fn text(entry: &pb::Entry) -> String {
    String::from_utf8(entry.value.to_vec()).unwrap()
}
