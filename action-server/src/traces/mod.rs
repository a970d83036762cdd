//! Traces for OpenTelemetry: a call, the run that it starts, and that run's jobs, as spans of the
//! caller's own trace.
//!
//! Off unless the settings name a collector. A span holds no token, argument or output.

mod sending;

use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, Value,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{
        FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
        WithContext,
    },
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};

pub use opentelemetry_otlp::ExporterBuildError as OpenError;
pub use sending::SpanSender;

use crate::metrics::Metrics;

/// The longest text in a span, in characters: many of them may wait.
const LONGEST: usize = 512;

/// Begins the spans of calls. Clones send them to the same collector.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// `None` where traces are off.
    tracer: Option<SdkTracer>,
}

/// A part of a trace, in a context that has the tracer too. It ends with the last of its clones. Without
/// a tracer it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Span(Context);

/// A caller's headers, for the propagator.
struct TraceHeaders<'a>(&'a HeaderMap);

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // Any other header of a caller would be kept in every span, and is not sent on.
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
    /// The endpoint is not an address.
    pub fn open(endpoint: &str, metrics: Metrics) -> Result<(Traces, SpanSender), OpenError> {
        let (queue, sending) = sending::open(endpoint, metrics)?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let traces = Traces {
            tracer: Some(provider.tracer("action-server")),
        };
        Ok((traces, sending))
    }

    /// Begins the span of a call, as a part of the trace that its headers name.
    pub fn call(&self, method: &str, headers: &HeaderMap) -> Span {
        let Some(tracer) = &self.tracer else {
            return Span::default();
        };
        let parent = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &TraceHeaders(headers));
        let parent = parent.with_value(tracer.clone());
        let span = Span::begin(
            cut(method.trim_start_matches('/')),
            SpanKind::Server,
            &parent,
        );
        span.set("rpc.system", "grpc");
        span
    }
}

impl Span {
    fn begin(name: String, kind: SpanKind, parent: &Context) -> Span {
        let Some(tracer) = parent.get::<SdkTracer>() else {
            return Span::default();
        };
        let builder = tracer.span_builder(name).with_kind(kind);
        Span(parent.with_span(tracer.build_with_context(builder, parent)))
    }

    /// The span of the future that is being polled: see [`Span::scope`].
    pub fn current() -> Span {
        Span(Context::current())
    }

    /// A future in which this is the current span.
    pub fn scope<F: Future>(&self, future: F) -> WithContext<F> {
        future.with_context(self.0.clone())
    }

    /// Begins a span within this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Span {
        Span::begin(name.to_owned(), SpanKind::Internal, &self.0)
    }

    /// Sets an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if self.0.has_active_span() {
            let value = match value.into() {
                Value::String(text) => cut(text.as_str()).into(),
                other => other,
            };
            self.0.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks the span as failed.
    pub fn fail(&self, reason: &str) {
        self.0.span().set_status(Status::error(cut(reason)));
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
