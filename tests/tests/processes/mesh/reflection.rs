//! Reflection lists the services of the process and no others of the contract, and answers what it cannot find.

use tonic::transport::{Channel, Endpoint};

use super::stub::Stub;

/// The services that a version of reflection lists; the two versions differ only in their types.
macro_rules! listed {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let list = Some(MessageRequest::ListServices(String::new()));
        let request = ServerReflectionRequest { host: String::new(), message_request: list };
        let mut client = ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await;
        let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("{answer:?}");
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        names
    }};
}

#[tokio::test]
async fn reflection_lists_the_served_services() {
    let stub = Stub::start(&[]).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", stub.address)).unwrap();
    let channel: Channel = endpoint.connect().await.unwrap();
    let served = ["dataflow.cache.v1.CacheService", "dataflow.mesh.v1.MeshService", "grpc.health.v1.Health"];
    let v1 = [served.as_slice(), &["grpc.reflection.v1.ServerReflection"]].concat();
    assert_eq!(listed!(v1, channel.clone()), v1);
    let v1alpha = [served.as_slice(), &["grpc.reflection.v1alpha.ServerReflection"]].concat();
    assert_eq!(listed!(v1alpha, channel), v1alpha);
}

#[tokio::test]
async fn what_is_not_there_is_answered_and_the_stream_goes_on() {
    use tonic_reflection::pb::v1 as pb;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let stub = Stub::start(&[]).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", stub.address)).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let extension = |extension_number: i32| {
        let containing_type = "google.protobuf.MethodOptions".to_owned();
        let asked = pb::ExtensionRequest { containing_type, extension_number };
        MessageRequest::FileContainingExtension(asked)
    };
    let requests = [
        Some(MessageRequest::FileContainingSymbol("no.such.Symbol".to_owned())),
        Some(MessageRequest::FileByFilename("no/such.proto".to_owned())),
        Some(extension(1)),
        None,
        Some(extension(72_295_728)),
        Some(MessageRequest::AllExtensionNumbersOfType("google.protobuf.MethodOptions".to_owned())),
        Some(MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".to_owned())),
    ];
    let requests =
        requests.map(|message_request| pb::ServerReflectionRequest { host: String::new(), message_request });
    let answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut found = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        found.push(match answer.message_response.unwrap() {
            MessageResponse::ErrorResponse(error) => format!("error {}", error.error_code),
            MessageResponse::FileDescriptorResponse(files) => {
                format!("{} file", files.file_descriptor_proto.len())
            }
            MessageResponse::AllExtensionNumbersResponse(numbers) => {
                assert!(numbers.extension_number.contains(&72_295_728));
                "numbers".to_owned()
            }
            other => format!("{other:?}"),
        });
    }
    assert_eq!(found, ["error 5", "error 5", "error 5", "error 3", "1 file", "numbers", "1 file"]);
}
