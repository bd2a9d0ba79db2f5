//! A stub of the cache service, of which a test implements only the methods that it needs.

use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::CacheService;
use tonic::{Request, Response, Status};

/// The methods of a stub. Those that are not implemented return UNIMPLEMENTED.
#[tonic::async_trait]
pub trait Stub: Send + Sync + 'static {
    /// As the method of this name of the service.
    async fn get_entry(&self, _: Request<pb::GetEntryRequest>) -> Result<pb::GetEntryResponse, Status> {
        Err(not_implemented())
    }

    /// As the method of this name of the service.
    async fn lease_entry(&self, _: Request<pb::LeaseEntryRequest>) -> Result<pb::LeaseEntryResponse, Status> {
        Err(not_implemented())
    }

    /// As the method of this name of the service.
    async fn set_entry(&self, _: Request<pb::SetEntryRequest>) -> Result<pb::SetEntryResponse, Status> {
        Err(not_implemented())
    }
}

/// Serves a stub as a cache service.
#[derive(Debug, Clone)]
pub struct Stubbed<S>(pub S);

fn not_implemented() -> Status {
    Status::unimplemented("the stub does not implement this")
}

/// Implements the service: the methods that stubs may implement, and those that none does.
macro_rules! serve {
    (
        $($method:ident($request:ident) -> $response:ident,)*
        ;
        $($absent:ident($absent_request:ident) -> $absent_response:ident,)*
    ) => {
        #[tonic::async_trait]
        impl<S: Stub> CacheService for Stubbed<S> {
            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                self.0.$method(request).await.map(Response::new)
            })*

            $(async fn $absent(
                &self,
                _: Request<pb::$absent_request>,
            ) -> Result<Response<pb::$absent_response>, Status> {
                Err(not_implemented())
            })*
        }
    };
}

serve! {
    get_entry(GetEntryRequest) -> GetEntryResponse,
    lease_entry(LeaseEntryRequest) -> LeaseEntryResponse,
    set_entry(SetEntryRequest) -> SetEntryResponse,
    ;
    batch_get_entries(BatchGetEntriesRequest) -> BatchGetEntriesResponse,
    release_lease(ReleaseLeaseRequest) -> ReleaseLeaseResponse,
    get_generations(GetGenerationsRequest) -> GetGenerationsResponse,
    delete_entry(DeleteEntryRequest) -> DeleteEntryResponse,
    delete_prefix(DeletePrefixRequest) -> DeletePrefixResponse,
    invalidate_tags(InvalidateTagsRequest) -> InvalidateTagsResponse,
    entry_exists(EntryExistsRequest) -> EntryExistsResponse,
    get_entry_ttl(GetEntryTtlRequest) -> GetEntryTtlResponse,
    get_stats(GetStatsRequest) -> GetStatsResponse,
    take_permits(TakePermitsRequest) -> TakePermitsResponse,
}
