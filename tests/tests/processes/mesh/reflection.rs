//! Reflection lists the services of the process and no others of the contract.

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
