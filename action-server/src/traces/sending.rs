//! Sends ended spans to the collector, from a bounded queue. Spans that do not fit, or that the collector
//! does not take, are dropped and counted: no run ever waits.

use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::metrics::Metrics;

/// How many spans may wait. With what may be said of one this bounds their memory to 16 MiB.
const BACKLOG: usize = 4096;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long the first waits for others, to be sent together.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the collector may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How often a collector that takes none is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Takes ended spans, as long as there is room.
#[derive(Debug)]
pub(super) struct SpanQueue {
    spans: mpsc::Sender<SpanData>,
    metrics: Metrics,
}

/// The task that sends spans.
#[derive(Debug)]
pub struct SpanSender {
    task: JoinHandle<()>,
    close: watch::Sender<bool>,
}

pub(super) fn open(
    endpoint: &str,
    metrics: Metrics,
) -> Result<(SpanQueue, SpanSender), ExporterBuildError> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(LIMIT)
        .build()?;
    let own = Resource::builder_empty()
        .with_service_name("action-server")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ));
    exporter.set_resource(&own.build());
    let (spans, waiting) = mpsc::channel(BACKLOG);
    let (close, closing) = watch::channel(false);
    let task = tokio::spawn(send_spans(exporter, waiting, closing, metrics.clone()));
    Ok((SpanQueue { spans, metrics }, SpanSender { task, close }))
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.metrics.count_spans("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanSender {
    /// Sends what is left, and takes no more.
    pub async fn close(self) {
        self.close.send_replace(true);
        _ = self.task.await;
    }
}

async fn send_spans(
    exporter: SpanExporter,
    mut spans: mpsc::Receiver<SpanData>,
    mut closing: watch::Receiver<bool>,
    metrics: Metrics,
) {
    let mut logged: Option<Instant> = None;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            // The sender is dropped when the server ends.
            _ = closing.wait_for(|closing| *closing) => spans.close(),
            () = sleep(PAUSE) => {}
        }
        loop {
            let count = spans.recv_many(&mut batch, BATCH).await;
            if count == 0 {
                return;
            }
            let sent = timeout(LIMIT, exporter.export(std::mem::take(&mut batch))).await;
            let result = if matches!(sent, Ok(Ok(()))) {
                "sent"
            } else {
                "failed"
            };
            metrics.count_spans(result, count as u64);
            if result == "failed" && logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
                logged = Some(Instant::now());
                tracing::warn!(
                    spans = count,
                    "the collector of traces does not take them; they are dropped and counted"
                );
            }
            if count < BATCH {
                break;
            }
        }
    }
}
