//! Traces for OpenTelemetry: a call, the run that it starts, and that run's jobs, as spans that
//! belong together and to the caller's own trace.
//!
//! A leaf, and off unless the settings name a collector. A span holds no token, argument or output.

mod sending;

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, Value,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};

pub use opentelemetry_otlp::ExporterBuildError as OpenError;
pub use sending::Sending;

use crate::metrics::Metrics;

/// The longest text in a span, in characters: many of them may wait.
const LONGEST: usize = 512;

/// Makes spans. Clones make them for the same collector.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// None where traces are off.
    tracer: Option<Arc<SdkTracer>>,
}

/// A part of a trace. It ends with the last of its clones.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// None where traces are off.
    part: Option<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    tracer: Arc<SdkTracer>,
    /// With the span in it, which ends when the last one goes.
    context: Context,
}

/// A caller's headers, read by the propagator.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // What else a caller sends along would only be kept, in every span: nothing is sent on.
        let value = self.0.get(key).filter(|_| key == "traceparent")?;
        value.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

impl Traces {
    /// Traces for the collector at `endpoint`, which need not be there now. Call it in a runtime.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn open(endpoint: &str, metrics: Metrics) -> Result<(Traces, Sending), OpenError> {
        let (queue, sending) = sending::open(endpoint, metrics)?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let traces = Traces {
            tracer: Some(Arc::new(provider.tracer("action-server"))),
        };
        Ok((traces, sending))
    }

    /// Begins the span of a call, as a part of the trace that its headers name.
    pub fn call(&self, method: &str, headers: &HeaderMap) -> Span {
        let Some(tracer) = &self.tracer else {
            return Span::default();
        };
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let method = cut(method.trim_start_matches('/'));
        let span = Span::begin(tracer, method, SpanKind::Server, &parent);
        span.set("rpc.system", "grpc");
        span
    }
}

impl Span {
    fn begin(tracer: &Arc<SdkTracer>, name: String, kind: SpanKind, parent: &Context) -> Span {
        let builder = tracer.span_builder(name).with_kind(kind);
        let span = tracer.build_with_context(builder, parent);
        let part = Part {
            tracer: Arc::clone(tracer),
            context: parent.with_span(span),
        };
        Span { part: Some(part) }
    }

    /// Begins a span within this one.
    pub fn child(&self, name: &str) -> Span {
        let part = self.part.as_ref();
        let child = part.map(|part| {
            let name = name.to_owned();
            Span::begin(&part.tracer, name, SpanKind::Internal, &part.context)
        });
        child.unwrap_or_default()
    }

    /// Says something of it.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(part) = &self.part {
            let value = match value.into() {
                Value::String(text) => cut(text.as_str()).into(),
                other => other,
            };
            let attribute = KeyValue::new(key, value);
            part.context.span().set_attribute(attribute);
        }
    }

    /// Says that it did not go well.
    pub fn fail(&self, why: &str) {
        if let Some(part) = &self.part {
            part.context.span().set_status(Status::error(cut(why)));
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
