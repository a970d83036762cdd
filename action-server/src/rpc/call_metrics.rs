//! Counts calls, and ends their spans: how they end is in the trailers of their answer, behind its
//! last message.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    metrics::{Call, Metrics},
    traces::Span,
};

/// The codes of gRPC, by number.
const CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Counts calls.
#[derive(Clone)]
pub(crate) struct Count {
    metrics: Metrics,
    /// The methods that there are, by their paths: what callers invent is none of them.
    methods: Arc<BTreeMap<String, &'static str>>,
}

impl Count {
    /// Counts calls of the API and of health by method, and all others together.
    pub(crate) fn new(metrics: Metrics) -> Count {
        let described = [
            action_proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        ];
        Count {
            metrics,
            methods: Arc::new(described.into_iter().flat_map(methods).collect()),
        }
    }
}

/// The paths of the methods that are described, each with its name.
fn methods(described: &[u8]) -> Vec<(String, &'static str)> {
    let files = FileDescriptorSet::decode(described)
        .unwrap_or_default()
        .file;
    let mut methods = Vec::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                // Once for each method of the server, at its start.
                methods.push((path, &*method.name().to_owned().leak()));
            }
        }
    }
    methods
}

impl<S> Layer<S> for Count {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            count: self.clone(),
            inner,
        }
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    count: Count,
    inner: S,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.count.methods.get(request.uri().path());
        let call = self.count.metrics.call(method.copied().unwrap_or("other"));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            call.answer_begins();
            let span = answer.extensions_mut().remove().unwrap_or_default();
            let mut end = End { call, span };
            // An answer without messages has its end at its beginning.
            end.take_code(answer.headers());
            end.take_http_status(answer.status());
            Ok(answer.map(|body| Body::new(Counting { body, end })))
        })
    }
}

/// What ends when an answer does.
struct End {
    call: Call,
    span: Span,
}

impl End {
    /// Counts what is no gRPC, and so has no code of gRPC, by its HTTP status.
    fn take_http_status(&mut self, status: StatusCode) {
        match status {
            StatusCode::METHOD_NOT_ALLOWED => self.call.ends_with("http_405"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => self.call.ends_with("http_415"),
            _ => {}
        }
    }

    fn take_code(&mut self, headers: &HeaderMap) {
        let Some(code) = headers.get(Status::GRPC_STATUS) else {
            return;
        };
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        let code = *code
            .and_then(|at: usize| CODES.get(at))
            .unwrap_or(&"unknown");
        self.call.ends_with(code);
        self.span.set("rpc.grpc.status_code", code);
        if code != "ok" {
            self.span.fail(code);
        }
    }
}

/// An answer's body, with what ends when it does.
struct Counting {
    body: Body,
    end: End,
}

impl hyper::body::Body for Counting {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.end.take_code(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
