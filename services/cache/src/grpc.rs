//! The tonic adapter of CacheService.

use dataflow_mesh::status::to_status;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::CacheService;
use dataflow_store::entries::Entries;
use tonic::{Request, Response, Status};

use crate::args::CacheArgs;
use crate::convert;

/// Serves CacheService.
#[derive(Debug, Clone)]
pub struct Service {
    entries: Entries,
    args: CacheArgs,
}

impl Service {
    /// Serves these entries within the limits of `args`.
    pub fn new(entries: Entries, args: CacheArgs) -> Self {
        Self { entries, args }
    }
}

#[tonic::async_trait]
impl CacheService for Service {
    async fn get_entry(
        &self,
        request: Request<pb::GetEntryRequest>,
    ) -> Result<Response<pb::GetEntryResponse>, Status> {
        let key = convert::key(&request.get_ref().key, "key").map_err(|error| to_status(&error))?;
        let entry = self.entries.get(key.as_ref()).await.map(|entry| convert::to_wire(&key, entry));
        Ok(Response::new(pb::GetEntryResponse { entry }))
    }

    async fn set_entry(
        &self,
        request: Request<pb::SetEntryRequest>,
    ) -> Result<Response<pb::SetEntryResponse>, Status> {
        let given = request.into_inner().entry;
        let (key, entry) = convert::entry(given, &self.args).map_err(|error| to_status(&error))?;
        self.entries.set(key.to_string(), entry).await;
        Ok(Response::new(pb::SetEntryResponse { stored: true }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        cache: CacheArgs,
    }

    fn service() -> Service {
        let args = Cli::parse_from(["test", "--max-entry-bytes", "8B"]).cache;
        Service::new(Entries::new(args.capacity.as_u64()), args)
    }

    fn entry(key: &str, value: &'static [u8]) -> pb::Entry {
        pb::Entry { key: key.to_owned(), value: value.into(), content_type: String::new(), ttl: None }
    }

    #[tokio::test]
    async fn what_is_set_is_got_and_a_miss_is_an_answer() {
        let service = service();
        let get = || Request::new(pb::GetEntryRequest { key: "user/a".to_owned() });
        assert_eq!(service.get_entry(get()).await.unwrap().into_inner().entry, None);
        let set = pb::SetEntryRequest { entry: Some(entry("user/a", b"12345678")) };
        assert!(service.set_entry(Request::new(set)).await.unwrap().into_inner().stored);
        let got = service.get_entry(get()).await.unwrap().into_inner().entry.unwrap();
        assert_eq!(
            (&got.value[..], got.content_type.as_str()),
            (&b"12345678"[..], "application/octet-stream")
        );
        assert!(got.ttl.unwrap().seconds >= 29 * 60);
    }

    #[tokio::test]
    async fn every_refusal_names_its_field() {
        let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let check = async |entry: Option<pb::Entry>, code: Code, field: &str| {
            let status = service().set_entry(Request::new(pb::SetEntryRequest { entry })).await.unwrap_err();
            assert_eq!(status.code(), code, "{field}");
            let details = status.get_error_details();
            assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
            assert_eq!(details.error_info().unwrap().domain, "dataflow.cache.v1");
        };
        check(None, Code::InvalidArgument, "entry").await;
        check(Some(entry("nokey", b"")), Code::InvalidArgument, "entry.key").await;
        check(Some(entry("user/a", b"123456789")), Code::ResourceExhausted, "entry.value").await;
        let media_type = |content_type: String| Some(pb::Entry { content_type, ..entry("user/a", b"") });
        for text in ["x".repeat(256), "text/plain\n".to_owned(), "tést/plain".to_owned()] {
            check(media_type(text), Code::InvalidArgument, "entry.content_type").await;
        }
        let longest = media_type(format!("a/b; {}", "x".repeat(250)));
        service().set_entry(Request::new(pb::SetEntryRequest { entry: longest })).await.unwrap();
        for ttl in [ttl(0, 0), ttl(-1, 0), ttl(0, 999_999), ttl(30 * 24 * 3600, 1)] {
            check(Some(pb::Entry { ttl, ..entry("user/a", b"") }), Code::InvalidArgument, "entry.ttl").await;
        }
        for ttl in [ttl(0, 1_000_000), ttl(30 * 24 * 3600, 0)] {
            let entry = Some(pb::Entry { ttl, ..entry("user/a", b"") });
            service().set_entry(Request::new(pb::SetEntryRequest { entry })).await.unwrap();
        }
    }
}
