//! gRPC server reflection (grpc/reflection/v1, and v1alpha, which has the same messages) over a descriptor set. What a
//! client asks for and is not there is answered in the stream, which goes on, as the protocol requires.

mod index;

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use futures_util::{Stream, StreamExt};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

use crate::status::Kind;

use index::Index;

/// Adds both versions of reflection, which list `services`, to the routes. Each version lists itself too.
pub(super) fn add(sets: Vec<Cow<'static, [u8]>>, services: &[&str], routes: &mut RoutesBuilder) {
    let index = Arc::new(LateIndex { sets, index: OnceLock::new() });
    let services = |own: &str| {
        let mut names: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
        names.push(own.to_owned());
        names.sort();
        names.into()
    };
    routes.add_service(v1::server(Arc::clone(&index), services(v1::SERVICE)));
    routes.add_service(v1alpha::server(index, services(v1alpha::SERVICE)));
}

/// An index that the first request makes: nearly every process gets none.
struct LateIndex {
    sets: Vec<Cow<'static, [u8]>>,
    index: OnceLock<Index>,
}

impl LateIndex {
    fn get(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.sets))
    }
}

/// The service in one version of the protocol; the versions differ in the names of their types only.
macro_rules! version {
    ($version:ident) => {
        mod $version {
            use tonic_reflection::pb::$version as pb;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            pub(super) use tonic_reflection::pb::$version::server_reflection_server::SERVICE_NAME as SERVICE;
            use tonic_reflection::pb::$version::server_reflection_server::{
                ServerReflection, ServerReflectionServer,
            };

            use super::*;

            #[derive(Clone)]
            pub(super) struct Reflection {
                index: Arc<LateIndex>,
                services: Arc<[String]>,
            }

            pub(super) fn server(
                index: Arc<LateIndex>,
                services: Arc<[String]>,
            ) -> ServerReflectionServer<Reflection> {
                ServerReflectionServer::new(Reflection { index, services })
            }

            impl Reflection {
                fn answer(&self, request: pb::ServerReflectionRequest) -> pb::ServerReflectionResponse {
                    let index = self.index.get();
                    let file = |found: Option<&prost::bytes::Bytes>| {
                        let file_descriptor_proto = vec![found?.to_vec()];
                        Some(MessageResponse::FileDescriptorResponse(pb::FileDescriptorResponse {
                            file_descriptor_proto,
                        }))
                    };
                    let (found, missing) = match &request.message_request {
                        Some(MessageRequest::FileByFilename(name)) => (file(index.file(name)), name.clone()),
                        Some(MessageRequest::FileContainingSymbol(name)) => {
                            (file(index.file_of_symbol(name)), name.clone())
                        }
                        Some(MessageRequest::FileContainingExtension(asked)) => {
                            let pb::ExtensionRequest { containing_type, extension_number } = asked;
                            let found = index.file_of_extension(containing_type, *extension_number);
                            (file(found), format!("extension {extension_number} of {containing_type}"))
                        }
                        Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                            let numbers = index.extension_numbers(name).map(|extension_number| {
                                let base_type_name = name.clone();
                                MessageResponse::AllExtensionNumbersResponse(pb::ExtensionNumberResponse {
                                    base_type_name,
                                    extension_number,
                                })
                            });
                            (numbers, name.clone())
                        }
                        Some(MessageRequest::ListServices(_)) => {
                            let service = |name: &String| pb::ServiceResponse { name: name.clone() };
                            let service = self.services.iter().map(service).collect();
                            let list = pb::ListServiceResponse { service };
                            (Some(MessageResponse::ListServicesResponse(list)), String::new())
                        }
                        None => (None, String::new()),
                    };
                    let is_empty = request.message_request.is_none();
                    let error = || {
                        let missing: String = missing.chars().take(100).collect();
                        let (kind, error_message) = match is_empty {
                            true => (Kind::Invalid, "message_request must be set".to_owned()),
                            false => (Kind::NotFound, format!("{missing} does not exist")),
                        };
                        MessageResponse::ErrorResponse(pb::ErrorResponse {
                            error_code: kind.code().into(),
                            error_message,
                        })
                    };
                    pb::ServerReflectionResponse {
                        valid_host: request.host.clone(),
                        message_response: Some(found.unwrap_or_else(error)),
                        original_request: Some(request),
                    }
                }
            }

            #[tonic::async_trait]
            impl ServerReflection for Reflection {
                type ServerReflectionInfoStream =
                    Pin<Box<dyn Stream<Item = Result<pb::ServerReflectionResponse, Status>> + Send>>;

                async fn server_reflection_info(
                    &self,
                    requests: Request<Streaming<pb::ServerReflectionRequest>>,
                ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
                    let own = self.clone();
                    let answers = requests.into_inner().map(move |request| Ok(own.answer(request?)));
                    Ok(Response::new(Box::pin(answers)))
                }
            }
        }
    };
}

version!(v1);
version!(v1alpha);
