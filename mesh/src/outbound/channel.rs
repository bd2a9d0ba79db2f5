//! The channel to one peer: a connection, which carries all calls, is opened on first use and replaced when it is
//! closed. tonic's channel has a queue, a worker task and a second timeout for each call, and cannot batch what the
//! calls write.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::header::USER_AGENT;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::timeout;
use tonic::ConnectError;
use tonic::body::Body;
use tower::{BoxError, ServiceExt};

use super::connection::Connection;
use super::unsent::causes;
use crate::batched_writes::BatchedWrites;
use crate::tls::ClientTls;

/// Timeout of a connection attempt; after it the peer counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The same with TLS: such a peer may be far away, and the handshake takes further round trips.
const TLS_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The agent of calls that come without one.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("dataflow/", env!("CARGO_PKG_VERSION")));

/// Connects on first use, and again when the connection is closed. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Channel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Where to connect to.
    target: Uri,
    /// The `:authority` of calls.
    authority: Authority,
    tls: Option<ClientTls>,
    open: ArcSwapOption<Connection>,
    /// The present attempt, which all calls wait for that come meanwhile.
    attempt: Mutex<Option<Attempt>>,
}

type Attempt = Shared<BoxFuture<'static, Result<Connection, Arc<str>>>>;

// === impl Channel ===

impl Channel {
    /// A channel to the host and port of `target`, for calls to `authority`.
    pub(super) fn new(target: Uri, authority: Authority) -> Self {
        Self::over(target, authority, None)
    }

    /// A channel over TLS to the host of a URI.
    pub(super) fn secure(uri: &Uri, trusted: ClientTls) -> Self {
        let authority = uri.authority().expect("an endpoint has a host").clone();
        Self::over(uri.clone(), authority, Some(trusted))
    }

    fn over(target: Uri, authority: Authority, tls: Option<ClientTls>) -> Self {
        let (open, attempt) = (ArcSwapOption::empty(), Mutex::default());
        Self(Arc::new(Inner { target, authority, tls, open, attempt }))
    }

    /// Sends a call.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] when there is no connection, and the errors of h2.
    pub(super) async fn call(self, mut request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let path = request.uri().path_and_query().cloned();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(if self.0.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(self.0.authority.clone());
        uri.path_and_query = path.or_else(|| Some(PathAndQuery::from_static("/")));
        *request.uri_mut() = Uri::from_parts(uri).expect("it has all parts of a URI");
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        let ready = match self.0.open() {
            Some(open) => open.ready().await,
            None => None,
        };
        let connection = match ready {
            Some(connection) => connection,
            None => Inner::connected(&self.0).await?,
        };
        connection.send(request).await
    }
}

// === impl Inner ===

impl Inner {
    fn open(&self) -> Option<Connection> {
        let open = self.open.load();
        open.as_ref().filter(|open| !open.ended.is_cancelled()).map(|open| Connection::clone(open))
    }

    async fn connected(self: &Arc<Self>) -> Result<Connection, ConnectError> {
        let attempt = {
            let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
            // Another call may have connected meanwhile.
            if let Some(open) = self.open() {
                return Ok(open);
            }
            // One that has ended without making way has panicked.
            if attempt.as_ref().is_some_and(|attempt| attempt.peek().is_some()) {
                *attempt = None;
            }
            attempt.get_or_insert_with(|| Self::attempt(Arc::clone(self))).clone()
        };
        attempt.await.map_err(|error| ConnectError(error.as_ref().into()))
    }

    /// An attempt in a task of its own: the calls that wait for it may all be canceled. It makes way for the next one
    /// when it has ended.
    fn attempt(this: Arc<Self>) -> Attempt {
        let attempt = tokio::spawn(async move {
            let outcome = connect(this.target.clone(), this.tls.clone()).await;
            let mut attempt = this.attempt.lock().unwrap_or_else(PoisonError::into_inner);
            *attempt = None;
            this.open.store(outcome.as_ref().ok().cloned().map(Arc::new));
            outcome
        });
        let ended = attempt.map(|ended| ended.unwrap_or_else(|_| Err("the process is stopping".into())));
        ended.boxed().shared()
    }
}

async fn connect(target: Uri, tls: Option<ClientTls>) -> Result<Connection, Arc<str>> {
    let limit = if tls.is_some() { TLS_CONNECT_TIMEOUT } else { CONNECT_TIMEOUT };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    // Divided among the addresses of a name.
    connector.set_connect_timeout(Some(limit));
    let connecting = async {
        let host = target.host().unwrap_or_default().to_owned();
        let stream = connector.oneshot(target).await.map_err(|error| described(&error))?.into_inner();
        let opened = match tls {
            None => Connection::open(BatchedWrites::new(stream)).await,
            Some(tls) => {
                let stream = tls.connect(&host, stream).await.map_err(|error| described(&error))?;
                Connection::open(BatchedWrites::new(stream)).await
            }
        };
        opened.map_err(|error| described(&error))
    };
    timeout(limit, connecting).await.unwrap_or_else(|_| Err("no answer in time".into()))
}

/// An error with its causes: several calls report the one of their common attempt.
fn described(error: &(dyn Error + 'static)) -> Arc<str> {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ").into()
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use http_body_util::BodyExt;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;

    /// A peer that replies with the `:authority` and the agent of the call, and how many connections it has accepted
    /// when it stops. It closes a connection after `calls` of them.
    async fn peer(calls: usize) -> (Uri, oneshot::Sender<()>, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (stop, mut stopped) = oneshot::channel();
        let accepting = tokio::spawn(async move {
            for accepted in 0.. {
                let stream = tokio::select! {
                    stream = listener.accept() => stream.unwrap().0,
                    _ = &mut stopped => return accepted,
                };
                tokio::spawn(async move {
                    let left = Arc::new(std::sync::atomic::AtomicUsize::new(calls));
                    let (done, mut is_done) = tokio::sync::mpsc::channel(1);
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                            let _ = done.try_send(());
                        }
                        async move {
                            let agent = request.headers()[USER_AGENT].to_str().unwrap();
                            let authority = request.uri().authority().unwrap();
                            Ok::<_, std::convert::Infallible>(Response::new(format!("{authority} {agent}")))
                        }
                    });
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let mut connection =
                        std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        _ = is_done.recv() => connection.as_mut().graceful_shutdown(),
                    }
                    let _ = connection.await;
                });
            }
            unreachable!("the loop has no end")
        });
        (uri, stop, accepting)
    }

    async fn call(channel: &Channel, agent: Option<&'static str>) -> Result<String, BoxError> {
        let mut request = Request::new(Body::empty());
        if let Some(agent) = agent {
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        }
        let response = channel.clone().call(request).await?;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn calls_share_a_connection_and_keep_their_agent() {
        let (uri, stop, accepted) = peer(usize::MAX).await;
        let channel = Channel::new(uri, Authority::from_static("config:8083"));
        let ours = format!("config:8083 {}", AGENT.to_str().unwrap());
        let replies = join_all((0..10).map(|_| call(&channel, None))).await;
        assert!(replies.iter().all(|reply| reply.as_ref().is_ok_and(|reply| *reply == ours)), "{replies:?}");
        assert_eq!(call(&channel, Some("grpc-go/1.70")).await.unwrap(), "config:8083 grpc-go/1.70");
        stop.send(()).unwrap();
        assert_eq!(accepted.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_closed_connection_is_replaced() {
        let (uri, stop, accepted) = peer(1).await;
        let channel = Channel::new(uri, Authority::from_static("config:8083"));
        for _ in 0..3 {
            call(&channel, None).await.unwrap();
            let connection = channel.0.open.load_full().unwrap();
            connection.ended.cancelled().await;
        }
        stop.send(()).unwrap();
        assert_eq!(accepted.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn calls_that_wait_for_one_attempt_share_its_failure_and_the_next_one_tries_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let uri: Uri = format!("http://{address}").parse().unwrap();
        let channel = Channel::new(uri, Authority::from_static("config:8083"));
        for error in join_all((0..3).map(|_| call(&channel, None))).await {
            let error = error.unwrap_err();
            assert!(error.is::<ConnectError>(), "{error}");
            assert!(error.source().unwrap().to_string().contains("refused"), "{error:?}");
        }
        let listener = TcpListener::bind(address).await.unwrap();
        let calling = tokio::spawn(async move { call(&channel, None).await });
        listener.accept().await.unwrap();
        drop(listener);
        assert!(calling.await.unwrap().is_err(), "the connection was closed");
    }
}
