//! What a scrape asks of the rooms: numbers that they know anyway, and that nobody counts.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::{
    definitions::Definitions,
    metrics::{self, Metrics, set},
    net::Tls,
    record::RecordStore,
    run::RunRegistry,
};

/// Who is asked.
pub(crate) struct Scrape {
    pub(crate) metrics: Metrics,
    pub(crate) runs: RunRegistry,
    pub(crate) store: Arc<RecordStore>,
    pub(crate) definitions: Definitions,
    pub(crate) tls: Option<Arc<Tls>>,
    /// How many connections are open.
    pub(crate) connections: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Scrape {
    /// Answers scrapes, for as long as it is polled.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let measure = move || {
            self.ask();
            let text = self.metrics.text();
            text.inspect_err(|error| tracing::error!(%error, "cannot render the metrics"))
                .ok()
        };
        metrics::listen(listener, Arc::new(measure)).await;
    }

    fn ask(&self) {
        self.ask_runs();
        self.ask_definitions();
        self.ask_store();
        let ends = self.tls.as_ref().and_then(|tls| tls.ends());
        let expiry = &self.metrics.gauges().certificate_expiry;
        expiry.set(ends.map_or(f64::INFINITY, metrics::seconds));
        set(
            &self.metrics.gauges().open_connections,
            (self.connections)(),
        );
    }

    fn ask_runs(&self) {
        let (gauges, load) = (self.metrics.gauges(), self.runs.load());
        set(&gauges.live_runs, load.runs);
        set(&gauges.live_runs_limit, load.limit);
        set(&gauges.waiting_runs, load.waiting_runs);
        gauges.oldest_wait.set(load.oldest_wait.as_secs_f64());
        set(&gauges.unrecorded_runs, load.unrecorded);
        set(&gauges.running_jobs, load.running);
        set(&gauges.waiting_jobs, load.waiting);
        set(&gauges.job_slots, load.slots);
        set(&gauges.job_slots_used, load.slots_used);
    }

    fn ask_definitions(&self) {
        let (gauges, catalogue) = (self.metrics.gauges(), self.definitions.snapshot());
        let commands = catalogue.commands.keys().map(String::as_str);
        self.metrics.know_commands(commands);
        set(&gauges.nodes, catalogue.nodes.list().len());
        set(&gauges.nodes_in_file, catalogue.nodes_in_file);
        let held_back = catalogue.held_back.as_ref();
        set(
            &gauges.nodes_missing,
            held_back.map_or(0, |removal| removal.missing().len()),
        );
        set(&gauges.commands, catalogue.commands.len());
        set(&gauges.broken_commands, catalogue.broken.len());
    }

    fn ask_store(&self) {
        let gauges = self.metrics.gauges();
        set(&gauges.records, self.store.count());
        set(&gauges.record_bytes, self.store.size());
        // As it was at the last look: a disk that hangs holds up no scrape.
        if let Some(space) = self.store.space() {
            set(&gauges.disk_free, space.free);
            set(&gauges.disk_size, space.size);
            set(&gauges.reserve, space.reserve);
        }
    }
}
