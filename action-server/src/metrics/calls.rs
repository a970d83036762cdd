//! What is counted of calls: how many of each method go on, how they end, and how soon they are
//! answered.

use std::time::Instant;

use super::Metrics;

/// One call, from its beginning to its end.
#[derive(Debug)]
pub struct Call {
    metrics: Metrics,
    method: &'static str,
    code: &'static str,
    started: Instant,
}

impl Metrics {
    /// Counts a call. `method` is one that the server has, or "other".
    pub fn call(&self, method: &'static str) -> Call {
        self.table.open_calls.with_label_values(&[method]).inc();
        Call {
            metrics: self.clone(),
            method,
            // Until its end is seen it is one that its caller leaves.
            code: "cancelled",
            started: Instant::now(),
        }
    }
}

impl Call {
    /// Takes note that the answer begins.
    pub fn answer_begins(&self) {
        let times = &self.metrics.table.call_duration;
        let times = times.with_label_values(&[self.method]);
        times.observe(self.started.elapsed().as_secs_f64());
    }

    /// Takes note of the code that it ends with.
    pub fn ends_with(&mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let table = &self.metrics.table;
        table.open_calls.with_label_values(&[self.method]).dec();
        let labels = [self.method, self.code];
        table.calls.with_label_values(&labels).inc();
    }
}
