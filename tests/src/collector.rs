//! A collector of traces that keeps what it receives over OTLP.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// A span, with ids in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The attributes of its process, as text.
    pub resource: BTreeMap<String, String>,
    /// Its name.
    pub name: String,
    /// Whether it is a client span.
    pub is_client: bool,
    /// Whether it says that the call failed.
    pub has_failed: bool,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The id of its trace.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// The id of its parent; empty without one.
    pub parent: String,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

// === impl Collector ===

impl Collector {
    /// A collector in this process, and its URL.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn start() -> (Self, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let routes = tonic::service::Routes::new(service).into_axum_router();
        tokio::spawn(axum::serve(listener, routes).into_future());
        (collector, url)
    }

    /// All that it received, as text.
    ///
    /// # Panics
    ///
    /// If a receiver has panicked.
    pub fn text(&self) -> String {
        format!("{:?}", self.requests.lock().expect("no receiver panics"))
    }

    /// The spans so far.
    ///
    /// # Panics
    ///
    /// If a receiver has panicked.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().expect("no receiver panics").clone();
        let of_processes = requests.into_iter().flat_map(|request| request.resource_spans);
        let spans = of_processes.flat_map(|of_process| {
            let resource = text_of(of_process.resource.unwrap_or_default().attributes);
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| Span {
                resource: resource.clone(),
                is_client: span.kind() == SpanKind::Client,
                has_failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
                name: span.name,
                attributes: text_of(span.attributes),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
            })
        });
        spans.collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.requests.lock().expect("no receiver panics").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text_of(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let text = match attribute.value?.value? {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((attribute.key, text))
    };
    attributes.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
