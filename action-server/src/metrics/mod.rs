//! What the server counts and measures, for Prometheus.
//!
//! A leaf: any room may count here, and none is known here. Numbers that a room knows anyway are
//! not counted but asked for at each scrape (`scrape.rs`). Labels have few values and none that
//! callers choose: commands are those of the catalogue, and no subject, node or run is one.

mod calls;
mod listener;
mod own;
mod runs;
mod table;

use std::{sync::Arc, time::SystemTime};

use prometheus::{Encoder as _, IntGauge, TextEncoder};

pub use calls::Call;
pub use listener::listen;
pub use prometheus::Error;
pub use runs::{RunMeter, Tally};
pub use table::Gauges;

use table::Table;

/// The type of what a scrape answers.
const FORMAT: &str = prometheus::TEXT_FORMAT;

/// The files that are read again while the server runs.
const READ_ANEW: [&str; 4] = ["definitions", "keys", "revocations", "policy"];
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
    table: Arc<Table>,
}

impl Metrics {
    /// All numbers, at nothing.
    ///
    /// # Errors
    /// A name or label is not as Prometheus wants it, or is there twice: a fault of ours.
    pub fn new() -> Result<Metrics, Error> {
        let table = Table::new()?;
        let metrics = Metrics {
            table: Arc::new(table),
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A number that is there from the start has its first step seen, too.
    fn begin_at_zero(&self) {
        let table = &self.table;
        for reason in REFUSALS {
            table.token_refusals.with_label_values(&[reason]);
        }
        for what in READ_ANEW {
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

    /// What is set at each scrape.
    pub fn gauges(&self) -> &Gauges {
        &self.table.gauges
    }

    /// Counts a token that is refused. `reason` is one of few.
    pub fn token_refused(&self, reason: &'static str) {
        self.table.token_refusals.with_label_values(&[reason]).inc();
    }

    /// Counts a connection: "accepted", "refused" or "handshake_failed".
    pub fn connection(&self, result: &'static str) {
        self.table.connections.with_label_values(&[result]).inc();
    }

    /// Counts a reading of files that decide, and whether all of it was good.
    pub fn read(&self, what: &str, is_good: bool) {
        let result = if is_good { "ok" } else { "failed" };
        self.table.reloads.with_label_values(&[what, result]).inc();
        if is_good {
            self.table.last_good.with_label_values(&[what]).set(now());
        }
    }

    /// Counts a reading of the nodes and commands with so many errors.
    pub fn definitions_read(&self, errors: usize) {
        self.read("definitions", errors == 0);
        set(&self.table.gauges.faults, errors);
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
    pub fn spans(&self, result: &'static str, count: u64) {
        self.table.spans.with_label_values(&[result]).inc_by(count);
    }

    /// All of it as Prometheus reads it.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.table.registry.gather(), &mut text)?;
        own::write(&mut text);
        Ok(text)
    }
}

/// Sets a gauge to a count.
pub fn set(gauge: &IntGauge, count: impl TryInto<i64>) {
    gauge.set(count.try_into().unwrap_or(i64::MAX));
}

/// Now, in seconds since 1970.
fn now() -> f64 {
    seconds(SystemTime::now())
}

/// A time in seconds since 1970.
pub fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
