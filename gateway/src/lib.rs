//! The public port of the mesh: REST by transcoding, gRPC by pass-through, health and reflection of every service.
//!
//! Everything is derived from a descriptor set ([`schema`]). The `frontend` receives all requests. gRPC passes directly
//! to the stack of the mesh; any other request is claimed by a `dialect`: `rest` finds its [`route`] among the
//! annotations, [`legacy`] is the predecessor's API. It passes the same stack as a `call`, whose innermost service
//! `forward` converts it to gRPC and sends it to its upstream. The dialect converts the reply to its response.
//!
//! Imports have one direction: this file composes the gateway, the frontend and `forward` know the traits of calls and
//! dialects but no implementation, and each dialect uses leaf modules (bodies, JSON, queries, framing, routes, the
//! schema).

pub mod args;
pub mod legacy;
pub mod route;
pub mod schema;

mod access;
mod auth;
mod body;
mod breakers;
mod call;
mod caller;
mod dialect;
mod forward;
mod frame;
mod frontend;
mod health;
mod json;
mod problem;
mod query;
mod rate_limit;
mod refusals;
mod rest;
mod upstreams;

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dataflow_mesh::access_log::AccessLog;
use dataflow_mesh::context::Context;
use dataflow_mesh::inbound::Stack;
use dataflow_mesh::mesh_service::Service as OwnService;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::sampling::Sampler;
use dataflow_mesh::serve::Server;
use dataflow_mesh::tls::ServerTls;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1::cache_service_server::SERVICE_NAME as CACHE_SERVICE;
use dataflow_proto::config::v1::key_service_server::SERVICE_NAME as KEY_SERVICE;
use dataflow_proto::mesh::v1::mesh_service_server::{MeshServiceServer, SERVICE_NAME as MESH_SERVICE};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;

use access::Access;
pub use args::Args;
use auth::{Auth, Authenticator};
pub use auth::{AuthArgs, NotAuthenticating};
use breakers::MeshBreakers;
use dialect::Dialect;
use forward::Forward;
use frontend::{Encoders, Frontend, FrontendService};
use health::MeshHealth;
use legacy::Legacy;
pub use rate_limit::{RateLimitArgs, RepeatedTenant};
use rate_limit::{RateLimits, Rates};
pub use refusals::RefusalArgs;
use refusals::Refusals;
use rest::{PartLimits, Transcoder};
use schema::{Schema, SchemaError};
use upstreams::Upstreams;

/// The most bytes of a message to the service of the gateway itself: names of circuit breakers.
const MAX_OWN_MESSAGE: usize = 64 * 1024;

/// A gateway with a parsed descriptor set.
#[derive(Debug)]
pub struct Gateway {
    args: Args,
    /// The config service, unless the services are foreign.
    config: Option<Upstream>,
    callers: Option<Authenticator>,
    rates: Rates,
    tls: Option<ServerTls>,
    schema: Schema,
    upstreams: Upstreams,
}

/// Why a gateway cannot start: mistakes on the command line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Callers are not authenticated, and would come from anywhere.
    #[error(
        "{address} is not a loopback address, and callers are not authenticated: name --jwks, \
         --admin-key-file, --tls-client-ca or --peer-identity, or add --allow-anonymous to allow this"
    )]
    Exposed {
        /// The address to listen on.
        address: SocketAddr,
    },
    /// The file of `--descriptors` cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Descriptors {
        /// The file.
        file: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Callers cannot be authenticated as the flags say.
    #[error(transparent)]
    Auth(#[from] NotAuthenticating),
    /// The rates of callers are ambiguous.
    #[error(transparent)]
    Rates(#[from] RepeatedTenant),
    /// The public port cannot speak TLS as the flags say.
    #[error(transparent)]
    Tls(#[from] args::NotSecure),
    /// The descriptor set is wrong.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// `--upstream` names a service that the descriptor set does not describe.
    #[error("--upstream {service}: the descriptor set describes no such service; it has {}", known.join(", "))]
    ServiceUnknown {
        /// The service.
        service: String,
        /// The services that it describes.
        known: Vec<String>,
    },
}

// === impl Gateway ===

impl Gateway {
    /// Reads the descriptor set.
    ///
    /// # Errors
    ///
    /// Mistakes on the command line.
    pub fn new(args: &Args) -> Result<Self, StartError> {
        let allows_anonymous = args.public.allow_anonymous;
        let config = args.upstreams.of(KEY_SERVICE).filter(|_| args.upstreams.descriptors.is_none());
        let callers = Authenticator::new(&args.public.auth, allows_anonymous, config.as_ref())?;
        let rates = Rates::new(&args.public.rates)?;
        let tls = args.public.tls()?;
        if !args.listen.ip().is_loopback() && !allows_anonymous && callers.is_none() {
            return Err(StartError::Exposed { address: args.listen });
        }
        let descriptors = match &args.upstreams.descriptors {
            None => Cow::Borrowed(FILE_DESCRIPTOR_SET),
            Some(file) => Cow::Owned(std::fs::read(file).map_err(|source| {
                let file = file.clone();
                StartError::Descriptors { file, source }
            })?),
        };
        let served = |service: &str| service == MESH_SERVICE || args.upstreams.of(service).is_some();
        let schema = Schema::new(descriptors, served)?;
        let known = schema.services();
        if let Some(at) = args.upstreams.services().find(|at| !known.contains(&at.service)) {
            return Err(StartError::ServiceUnknown { service: at.service.clone(), known });
        }
        let located = known.into_iter().filter_map(|service| {
            let upstream = args.upstreams.of(&service)?;
            Some((service, upstream))
        });
        let upstreams = Upstreams::new(located, |upstream| args.upstreams.replicas_of(upstream));
        Ok(Self { args: args.clone(), config, callers, rates, tls, schema, upstreams })
    }

    /// Serves until `shutdown` resolves and every call in flight has ended.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub async fn serve(
        self,
        context: Context,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Self { args, config, callers, rates, tls, schema, upstreams } = self;
        let Args { public, server, .. } = &args;
        let limits = frontend::Limits {
            target: public.max_target(),
            body: public.max_body(),
            reply: server.max_message(),
        };
        let encoders = Encoders::new(&context.metrics);
        if callers.is_none() && rates.are_set() {
            tracing::warn!("rate limits: off, since callers are not authenticated");
        }
        for (method, problem) in schema.left_out() {
            tracing::warn!(method, problem, "schema: method has no route over REST");
        }
        let auth = Auth::new(callers, public.auth.public_docs, schema.descriptors(), &context);
        let refusals = Refusals::new(config.as_ref(), &auth, &public.refusals, &context);
        // In front of foreign services there is no cache service.
        let cache = args.upstreams.of(CACHE_SERVICE).filter(|_| args.upstreams.descriptors.is_none());
        let rates = RateLimits::new(rates, cache.as_ref(), &context);
        let log = AccessLog::new(&server.access_log, &context);
        let access = Access::new(&context, log.clone());
        let readiness = context.readiness.clone();
        let refused = context.metrics.refused_calls(context.role);
        let bodies = body::Limits::new(limits.body, server.max_held(context.memory.limit()));
        let (shown, role) = (bodies.clone(), context.role);
        context.status.add_quotas(move || vec![shown.quota(role)]);
        let upstreams =
            upstreams.observed(|peer, services| context.observer(peer, services, schema.descriptors()));
        let own = OwnService::new(context.breakers.clone(), context.status.clone());
        let mesh = MeshServiceServer::new(MeshBreakers::new(own, upstreams.clone()))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MAX_OWN_MESSAGE);
        let forward =
            Forward { upstreams: upstreams.clone(), mesh, limits: bodies, unreachable: Sampler::default() };
        let descriptors = schema.descriptors().clone();
        let has_status = schema.services().iter().any(|service| service == MESH_SERVICE);
        let mut services = upstreams.services();
        services.extend(schema.services().into_iter().filter(|service| service == MESH_SERVICE));
        // In this order: the transcoder rejects requests that no other dialect claims.
        let (messages, parts_routes) = (schema.messages().clone(), schema.parts_routes().to_vec());
        let part_limits = PartLimits { parts: public.max_parts.get(), head_bytes: public.max_part_header() };
        let dialects: Vec<Box<dyn Dialect>> =
            vec![Box::new(Legacy::new(&schema)), Box::new(Transcoder::new(schema, part_limits))];
        let credential_receivers = args.upstreams.credential_receivers(auth.is_on());
        let frontend = Frontend {
            dialects,
            auth,
            rates,
            refusals,
            refused,
            credential_receivers,
            access,
            readiness,
            has_status,
            limits,
            parts_routes,
            messages,
            encoders,
        };
        Server::new(server, context, descriptors)
            .forwarding(services, forward)
            .over_tls(tls)
            .logging(log)
            .with_health(|own| MeshHealth::new(own, upstreams))
            .wrapped(|stack| Stack::new(FrontendService::new(frontend, stack)))
            .serve(listener, shutdown)
            .await
    }
}
