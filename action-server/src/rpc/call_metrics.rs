//! Counts calls, and ends their spans: how they end is in the trailers of their answer, behind its
//! last message.

use std::collections::BTreeMap;

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{Status, body::Body};

use crate::{
    metrics::{CallMeter, Metrics},
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
pub(crate) struct CallCounter {
    metrics: Metrics,
    /// The names of the server's methods, by their paths: paths that callers invent are not among them.
    methods: BTreeMap<String, &'static str>,
}

impl CallCounter {
    /// Counts calls of the API and of health by method, and all others together.
    pub(crate) fn new(metrics: Metrics) -> CallCounter {
        let described = [
            action_proto::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        ];
        CallCounter {
            metrics,
            methods: described.into_iter().flat_map(methods).collect(),
        }
    }

    /// Counts a call of the method at `path`.
    pub(super) fn begin(&self, path: &str) -> CountedCall {
        let method = self.methods.get(path).copied().unwrap_or("other");
        CountedCall {
            meter: self.metrics.begin_call(method),
            span: Span::default(),
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

/// A call that goes on. It ends when it is dropped.
pub(super) struct CountedCall {
    meter: CallMeter,
    span: Span,
}

impl CountedCall {
    /// Follows the call's answer to its end.
    pub(super) fn follow(mut self, mut answer: Response<Body>) -> Response<Body> {
        self.meter.answer_begins();
        self.span = answer.extensions_mut().remove().unwrap_or_default();
        if self.ends_with_headers(&answer) {
            return answer;
        }
        answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    self.take_code(trailers);
                }
                frame
            }))
        })
    }

    /// Takes note of the code of an answer without messages, or without gRPC: that has an HTTP status.
    fn ends_with_headers(&mut self, answer: &Response<Body>) -> bool {
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => self.meter.ends_with("http_405"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => self.meter.ends_with("http_415"),
            _ => return self.take_code(answer.headers()),
        }
        true
    }

    /// Takes note of the code in headers or trailers, if there is one.
    fn take_code(&mut self, headers: &HeaderMap) -> bool {
        let Some(code) = headers.get(Status::GRPC_STATUS) else {
            return false;
        };
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        let code = *code
            .and_then(|number: usize| CODES.get(number))
            .unwrap_or(&"unknown");
        self.meter.ends_with(code);
        self.span.set("rpc.grpc.status_code", code);
        if code != "ok" {
            self.span.fail(code);
        }
        true
    }
}
