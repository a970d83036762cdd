//! Reads the numbers that modules have anyway, at each scrape.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::{
    definitions::Definitions,
    metrics::{self, Metrics, set_gauge},
    net::Tls,
    record::RecordStore,
    run::RunRegistry,
};

/// The modules that are read.
pub(crate) struct MetricsScrape {
    pub(crate) metrics: Metrics,
    pub(crate) runs: RunRegistry,
    pub(crate) store: Arc<RecordStore>,
    pub(crate) definitions: Definitions,
    pub(crate) tls: Option<Arc<Tls>>,
    /// How many connections are open.
    pub(crate) connections: Box<dyn Fn() -> usize + Send + Sync>,
}

impl MetricsScrape {
    /// Answers scrapes, for as long as it is polled.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let measure = move || {
            self.measure_all();
            let text = self.metrics.text();
            text.inspect_err(|error| tracing::error!(%error, "cannot render the metrics"))
                .ok()
        };
        metrics::listen(listener, Arc::new(measure)).await;
    }

    fn measure_all(&self) {
        self.measure_runs();
        self.measure_definitions();
        self.measure_store();
        let ends = self.tls.as_ref().and_then(|tls| tls.ends());
        let expiry = &self.metrics.gauges().certificate_expiry;
        expiry.set(ends.map_or(f64::INFINITY, metrics::seconds));
        set_gauge(
            &self.metrics.gauges().open_connections,
            (self.connections)(),
        );
    }

    fn measure_runs(&self) {
        let (gauges, load) = (self.metrics.gauges(), self.runs.load());
        set_gauge(&gauges.live_runs, load.runs);
        set_gauge(&gauges.live_runs_limit, load.limit);
        set_gauge(&gauges.waiting_runs, load.waiting_runs);
        gauges.oldest_wait.set(load.oldest_wait.as_secs_f64());
        set_gauge(&gauges.unrecorded_runs, load.unrecorded);
        set_gauge(&gauges.running_jobs, load.running);
        set_gauge(&gauges.waiting_jobs, load.waiting);
        set_gauge(&gauges.job_slots, load.slots);
        set_gauge(&gauges.job_slots_used, load.slots_used);
    }

    fn measure_definitions(&self) {
        let (gauges, catalogue) = (self.metrics.gauges(), self.definitions.snapshot());
        let commands = catalogue.commands.keys().map(String::as_str);
        self.metrics.know_commands(commands);
        set_gauge(&gauges.nodes, catalogue.nodes.list().len());
        set_gauge(&gauges.nodes_in_file, catalogue.nodes_in_file);
        let held_back = catalogue.held_back.as_ref();
        set_gauge(
            &gauges.nodes_missing,
            held_back.map_or(0, |removal| removal.missing().len()),
        );
        set_gauge(&gauges.commands, catalogue.commands.len());
        set_gauge(&gauges.broken_commands, catalogue.broken.len());
    }

    fn measure_store(&self) {
        let gauges = self.metrics.gauges();
        set_gauge(&gauges.records, self.store.count());
        set_gauge(&gauges.record_bytes, self.store.size());
        // As it was at the last look: a disk that hangs holds up no scrape.
        if let Some(space) = self.store.space() {
            set_gauge(&gauges.disk_free, space.free);
            set_gauge(&gauges.disk_size, space.size);
            set_gauge(&gauges.reserve, space.reserve);
        }
    }
}
