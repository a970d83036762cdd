//! What the server counts and measures, for Prometheus.
//!
//! Any module may count here. Numbers that a module has anyway are read at each scrape instead
//! (`scrape.rs`). Labels have few values, and callers choose none of them.

mod calls;
mod listener;
mod own;
mod runs;
mod table;

use std::{sync::Arc, time::SystemTime};

use prometheus::{Encoder as _, IntGauge, Registry, TextEncoder};

pub use calls::CallMeter;
pub use listener::listen;
pub use prometheus::Error;
pub use runs::{EventTally, RunMeter};
pub use table::ScrapeGauges;

use table::MetricsTable;

/// The type of what a scrape answers.
const FORMAT: &str = prometheus::TEXT_FORMAT;

/// The files that are read again while the server runs.
const RELOADED_FILES: [&str; 4] = ["definitions", "keys", "revocations", "policy"];
/// Why tokens are refused.
const REFUSALS: [&str; 9] = [
    "missing",
    "header",
    "malformed",
    "signature",
    "expired",
    "claim",
    "key",
    "revoked",
    "unknown",
];

/// All numbers of a server. Clones count in the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    table: Arc<MetricsTable>,
    gauges: Arc<ScrapeGauges>,
}

impl Metrics {
    /// All numbers, at zero.
    ///
    /// # Errors
    /// A name or label is invalid or registered twice: a bug.
    pub fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let metrics = Metrics {
            table: Arc::new(MetricsTable::register(&registry)?),
            gauges: Arc::new(ScrapeGauges::register(&registry)?),
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Numbers that exist from the start have their first increase seen, too.
    fn begin_at_zero(&self) {
        let table = &self.table;
        for reason in REFUSALS {
            table.token_refusals.with_label_values(&[reason]);
        }
        for what in RELOADED_FILES {
            for result in ["ok", "failed"] {
                table.reloads.with_label_values(&[what, result]);
            }
        }
        for result in ["accepted", "refused", "handshake_failed"] {
            table.connections.with_label_values(&[result]);
        }
        for result in ["sent", "failed", "dropped"] {
            table.spans.with_label_values(&[result]);
        }
        let version = env!("CARGO_PKG_VERSION");
        table.build_info.with_label_values(&[version]).set(1);
    }

    /// The numbers that are set at each scrape.
    pub fn gauges(&self) -> &ScrapeGauges {
        &self.gauges
    }

    /// Counts a call without a valid token. `reason` is one of `REFUSALS`.
    pub fn token_refused(&self, reason: &'static str) {
        self.table.token_refusals.with_label_values(&[reason]).inc();
    }

    /// Counts a connection: "accepted", "refused" or "handshake_failed".
    pub fn count_connection(&self, result: &'static str) {
        self.table.connections.with_label_values(&[result]).inc();
    }

    /// Counts a reload of files, and whether all of them were good.
    pub fn count_reading(&self, what: &str, is_good: bool) {
        let result = if is_good { "ok" } else { "failed" };
        self.table.reloads.with_label_values(&[what, result]).inc();
        if is_good {
            self.table
                .last_good
                .with_label_values(&[what])
                .set(now_seconds());
        }
    }

    /// Counts a reload of the nodes and commands with so many errors.
    pub fn definitions_read(&self, errors: usize) {
        self.count_reading("definitions", errors == 0);
        set_gauge(&self.gauges.faults, errors);
    }

    /// Counts a line that is in the audit log.
    pub fn audit_written(&self) {
        self.table.audit_lines.inc();
    }

    /// Counts a line that the audit log lacks.
    pub fn audit_lost(&self) {
        self.table.audit_lines_lost.inc();
    }

    /// Counts spans that were "sent", "failed" or "dropped".
    pub fn count_spans(&self, result: &'static str, count: u64) {
        self.table.spans.with_label_values(&[result]).inc_by(count);
    }

    /// All numbers in the text format of Prometheus.
    ///
    /// # Errors
    /// A bug.
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        own::write_process(&mut text);
        Ok(text)
    }
}

/// Sets a gauge to a count.
pub fn set_gauge(gauge: &IntGauge, count: impl TryInto<i64>) {
    gauge.set(count.try_into().unwrap_or(i64::MAX));
}

/// Now, in seconds since 1970.
fn now_seconds() -> f64 {
    seconds(SystemTime::now())
}

/// A time in seconds since 1970.
pub fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
