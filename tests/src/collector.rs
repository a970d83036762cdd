//! A collector of traces, as OpenTelemetry's is: takes spans over OTLP, or takes connections and
//! says nothing.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1,
};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status, async_trait, transport::Server};

/// A span that was taken.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its own number.
    pub id: Vec<u8>,
    /// The number of the span that it is a part of; none for the first.
    pub parent: Vec<u8>,
    /// The number of its trace.
    pub trace: Vec<u8>,
    /// Its attributes, as texts.
    pub attributes: BTreeMap<String, String>,
    /// What is said of it where it did not go well.
    pub error: Option<String>,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
}

/// A collector that lives as long as the value.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    _runtime: Runtime,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector::start()
    }
}

impl Collector {
    /// Starts one on a free port.
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::default();
        let service = TraceServiceServer::new(Taking(Arc::clone(&spans)));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            let server = Server::builder().add_service(service);
            server.serve_with_incoming(incoming).await
        });
        Collector {
            address,
            spans,
            _runtime: runtime,
        }
    }

    /// Where it listens, as settings say it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

struct Taking(Arc<Mutex<Vec<Span>>>);

#[async_trait]
impl TraceService for Taking {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let own = resource.resource.map(|it| texts(&it.attributes));
            let own = own.unwrap_or_default();
            let service = own.get("service.name").map(String::as_str);
            assert_eq!(service, Some("action-server"), "{own:?}");
            let spans = resource.scope_spans.into_iter().flat_map(|it| it.spans);
            self.0.lock().unwrap().extend(spans.map(Span::from));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl From<v1::Span> for Span {
    fn from(span: v1::Span) -> Span {
        let is_error = |status: &v1::Status| status.code() == v1::status::StatusCode::Error;
        Span {
            attributes: texts(&span.attributes),
            error: span.status.filter(is_error).map(|status| status.message),
            times: (span.start_time_unix_nano, span.end_time_unix_nano),
            name: span.name,
            id: span.span_id,
            parent: span.parent_span_id,
            trace: span.trace_id,
        }
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |it: &KeyValue| match it.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .iter()
        .map(|it| (it.key.clone(), text(it)))
        .collect()
}
