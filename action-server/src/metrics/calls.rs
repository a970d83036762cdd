//! Counts calls by method: those that are open, how they end, and how soon their answers begin.

use std::time::Instant;

use super::Metrics;

/// One call, from its beginning to its end.
#[derive(Debug)]
pub struct CallMeter {
    metrics: Metrics,
    method: &'static str,
    code: &'static str,
    started: Instant,
}

impl Metrics {
    /// Counts a call. `method` is one that the server has, or "other".
    pub fn begin_call(&self, method: &'static str) -> CallMeter {
        self.table.open_calls.with_label_values(&[method]).inc();
        CallMeter {
            metrics: self.clone(),
            method,
            // Unless it ends otherwise its caller leaves.
            code: "cancelled",
            started: Instant::now(),
        }
    }
}

impl CallMeter {
    /// Records that the answer begins.
    pub fn answer_begins(&self) {
        let times = &self.metrics.table.call_duration;
        let times = times.with_label_values(&[self.method]);
        times.observe(self.started.elapsed().as_secs_f64());
    }

    /// Sets the code that it ends with.
    pub fn ends_with(&mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        let table = &self.metrics.table;
        table.open_calls.with_label_values(&[self.method]).dec();
        let labels = [self.method, self.code];
        table.calls.with_label_values(&labels).inc();
    }
}
