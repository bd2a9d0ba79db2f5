//! Round robin over several peers, and transparent retries of calls that reached no handler.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::services;
use h2::Reason;
use http::{HeaderMap, Response};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Status};

/// The reaction of a peer to one stream.
#[derive(Clone, Copy)]
enum Reaction {
    /// Sends a response.
    Answer,
    /// Resets the stream.
    Reset(Reason),
    /// Closes the connection with GOAWAY without processing the stream.
    GoAway,
}

/// A peer at the level of frames. It follows a script for the first streams, then responds to all others.
struct Peer {
    address: SocketAddr,
    /// The authority and the body of each call that reached it, including reset ones.
    calls: Arc<Mutex<Vec<(String, Bytes)>>>,
}

// === impl Peer ===

impl Peer {
    async fn start(script: &[Reaction]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::default();
        let script = Arc::new(Mutex::new(script.iter().copied().collect::<VecDeque<_>>()));
        let (kept, played) = (Arc::clone(&calls), script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&played), Arc::clone(&kept)));
            }
        });
        Self { address, calls }
    }

    fn calls(&self) -> Vec<(String, Bytes)> {
        self.calls.lock().unwrap().clone()
    }
}

async fn connection(
    stream: TcpStream,
    script: Arc<Mutex<VecDeque<Reaction>>>,
    calls: Arc<Mutex<Vec<(String, Bytes)>>>,
) {
    if script.lock().unwrap().pop_front_if(|does| matches!(does, Reaction::GoAway)).is_some() {
        return go_away(stream).await;
    }
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let does = script.lock().unwrap().pop_front().unwrap_or(Reaction::Answer);
        let (calls, authority) = (Arc::clone(&calls), request.uri().authority().unwrap().to_string());
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut whole = Vec::new();
            while let Some(data) = body.data().await {
                let Ok(data) = data else { break };
                whole.extend_from_slice(&data);
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            calls.lock().unwrap().push((authority, whole.into()));
            match does {
                Reaction::Reset(reason) => answer.send_reset(reason),
                Reaction::Answer | Reaction::GoAway => {
                    let head =
                        Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut stream = answer.send_response(head, false).unwrap();
                    let message = pb::GetEntryResponse::default().encode_to_vec();
                    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                    stream.send_data([&[0], &length[..], &message].concat().into(), false).unwrap();
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    stream.send_trailers(trailers).unwrap();
                }
            }
        });
    }
}

/// Accepts a stream and sends a GOAWAY with last stream 0. It writes raw bytes, since a library would process the
/// stream.
async fn go_away(mut stream: TcpStream) {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const GOAWAY_OF_ALL: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const HEADERS: u8 = 1;
    stream.write_all(SETTINGS).await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(GOAWAY_OF_ALL).await.unwrap();
    // Reads until the client closes; otherwise a reset would discard unread bytes.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn client(upstream: &str) -> CacheServiceClient<Outbound> {
    CacheServiceClient::new(Outbound::new(&upstream.parse().unwrap(), TIMEOUT))
}

async fn call(client: &mut CacheServiceClient<Outbound>, key: &str) -> Result<(), Status> {
    client.get_entry(pb::GetEntryRequest { key: key.to_owned() }).await.map(|_| ())
}

#[tokio::test]
async fn peers_are_called_round_robin_and_an_unreachable_one_is_no_failure() {
    let (one, other, away) = (Peer::start(&[]).await, Peer::start(&[]).await, services::closed_port());
    let mut client = client(&format!("http://{},{},http://{}", one.address, away.upstream, other.address));
    for _ in 0..30 {
        call(&mut client, "k").await.unwrap();
    }
    let (one, other) = (one.calls().len(), other.calls().len());
    assert_eq!(one + other, 30);
    assert!((10..=20).contains(&one), "{one} and {other}");
}

#[tokio::test]
async fn a_dns_name_is_resolved_and_stays_the_authority() {
    let peer = Peer::start(&[]).await;
    let name = format!("localhost:{}", peer.address.port());
    let mut named = client(&format!("dns://{name}"));
    for _ in 0..10 {
        // If the name also resolves to a closed port, the call goes to the other address.
        call(&mut named, "k").await.unwrap();
    }
    let calls = peer.calls();
    assert_eq!(calls.len(), 10);
    assert!(calls.iter().all(|(authority, _)| *authority == name), "{calls:?}");

    let mut unknown = client("dns://no-such-name.invalid:1");
    assert_eq!(call(&mut unknown, "k").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_that_reached_no_handler_is_retried_once_and_completely() {
    let refused = Reaction::Reset(Reason::REFUSED_STREAM);
    let check = async |script: &[Reaction], expected: Option<usize>| {
        let peer = Peer::start(script).await;
        let outcome = call(&mut client(&format!("http://{}", peer.address)), "k").await;
        let calls = peer.calls();
        assert_eq!(outcome.is_ok(), expected.is_some(), "{outcome:?}");
        if let Some(expected) = expected {
            assert_eq!(calls.len(), expected);
        }
        assert!(calls.iter().all(|(_, body)| *body == calls[0].1 && !body.is_empty()), "{calls:?}");
    };
    check(&[], Some(1)).await;
    check(&[refused], Some(2)).await;
    check(&[Reaction::GoAway], Some(1)).await;
    // Only one retry.
    check(&[refused, refused], None).await;
    // The call may have been processed: only the caller knows whether it is idempotent.
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::NO_ERROR] {
        check(&[Reaction::Reset(reason)], None).await;
    }
}

#[tokio::test]
async fn a_call_with_a_large_body_is_not_retried() {
    let peer = Peer::start(&[Reaction::Reset(Reason::REFUSED_STREAM)]).await;
    // A body that fits the replay buffer is retried.
    let status = call(&mut client(&format!("http://{}", peer.address)), &"k".repeat(65_000)).await;
    assert!(status.is_ok());
    // This one is larger than the replay buffer, and smaller than the flow-control window, so that it can be sent.
    let peer = Peer::start(&[Reaction::Reset(Reason::REFUSED_STREAM)]).await;
    let outcome = call(&mut client(&format!("http://{}", peer.address)), &"k".repeat(70_000)).await;
    assert!(outcome.is_err());
    assert_eq!(peer.calls().len(), 1);
}
