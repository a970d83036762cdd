//! The names of all numbers, what each one says, and its labels. `docs/monitoring.md` has the same
//! table, and a test compares the two.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result, core::Collector,
};

/// Scripts take anything from a moment to a day.
const LONG: [f64; 13] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
];
/// Answers are short.
const SHORT: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// All numbers.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) registry: Registry,
    pub(super) runs_started: IntCounterVec,
    pub(super) runs_finished: IntCounterVec,
    pub(super) run_duration: HistogramVec,
    pub(super) run_start_delay: Histogram,
    pub(super) jobs_started: IntCounterVec,
    pub(super) jobs_finished: IntCounterVec,
    pub(super) job_duration: HistogramVec,
    pub(super) output: IntCounterVec,
    pub(super) output_dropped: IntCounterVec,
    pub(super) calls: IntCounterVec,
    pub(super) call_duration: HistogramVec,
    pub(super) open_calls: IntGaugeVec,
    pub(super) token_refusals: IntCounterVec,
    pub(super) connections: IntCounterVec,
    pub(super) reloads: IntCounterVec,
    pub(super) last_good: GaugeVec,
    pub(super) audit_lines: IntCounter,
    pub(super) audit_lines_lost: IntCounter,
    pub(super) spans: IntCounterVec,
    pub(super) build_info: IntGaugeVec,
    pub(super) gauges: Gauges,
}

/// What is set at each scrape, or where it changes.
#[derive(Debug)]
#[expect(missing_docs, reason = "their help texts say what they are")]
pub struct Gauges {
    pub live_runs: IntGauge,
    pub live_runs_limit: IntGauge,
    pub waiting_runs: IntGauge,
    pub oldest_wait: Gauge,
    pub unrecorded_runs: IntGauge,
    pub running_jobs: IntGauge,
    pub waiting_jobs: IntGauge,
    pub job_slots: IntGauge,
    pub job_slots_used: IntGauge,
    pub open_connections: IntGauge,
    pub certificate_expiry: Gauge,
    pub records: IntGauge,
    pub record_bytes: IntGauge,
    pub disk_free: IntGauge,
    pub disk_size: IntGauge,
    pub reserve: IntGauge,
    pub nodes: IntGauge,
    pub nodes_in_file: IntGauge,
    pub nodes_missing: IntGauge,
    pub commands: IntGauge,
    pub broken_commands: IntGauge,
    pub faults: IntGauge,
    pub audit_works: IntGauge,
    pub record_works: IntGauge,
    pub serving: IntGauge,
    pub clock_jump: Gauge,
}

/// Makes numbers, and has the registry know of them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<C: Collector + Clone + 'static>(&self, made: Result<C>) -> Result<C> {
        let made = made?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, labels: &[&str], help: &str) -> Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, labels: &[&str], help: &str) -> Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn times(
        &self,
        name: &str,
        labels: &[&str],
        steps: &[f64],
        help: &str,
    ) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(steps.to_vec());
        self.add(HistogramVec::new(options, labels))
    }
}

impl Table {
    pub(super) fn new() -> Result<Table> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let delay = HistogramOpts::new(
            "action_run_start_delay_seconds",
            "Time from a run's acceptance to its first script.",
        );
        Ok(Table {
            runs_started: make.counters(
                "action_runs_started_total",
                &["command"],
                "Runs that were accepted.",
            )?,
            runs_finished: make.counters(
                "action_runs_finished_total",
                &["command", "outcome"],
                "Runs whose end is recorded, by the gravest outcome of their jobs.",
            )?,
            run_duration: make.times(
                "action_run_duration_seconds",
                &["command"],
                &LONG,
                "Time from a run's acceptance to its end.",
            )?,
            run_start_delay: make.add(Histogram::with_opts(delay.buckets(SHORT.to_vec())))?,
            jobs_started: make.counters(
                "action_jobs_started_total",
                &["command"],
                "Jobs whose script was started, as recorded.",
            )?,
            jobs_finished: make.counters(
                "action_jobs_finished_total",
                &["command", "outcome"],
                "Jobs that ended, as recorded, also those that were never started.",
            )?,
            job_duration: make.times(
                "action_job_duration_seconds",
                &["command"],
                &LONG,
                "Time that a job's script took.",
            )?,
            output: make.counters(
                "action_output_bytes_total",
                &["command"],
                "Bytes of output that are recorded.",
            )?,
            output_dropped: make.counters(
                "action_output_dropped_bytes_total",
                &["command"],
                "Bytes of output that were dropped: past the job's limit, or while the record could not be written.",
            )?,
            calls: make.counters(
                "action_calls_total",
                &["method", "code"],
                "Calls that ended, by method and gRPC code.",
            )?,
            call_duration: make.times(
                "action_call_duration_seconds",
                &["method"],
                &SHORT,
                "Time from a call to the beginning of its answer.",
            )?,
            open_calls: make.gauges(
                "action_open_calls",
                &["method"],
                "Calls that go on now. Those of RunCommand and WatchRun are watchers of runs.",
            )?,
            token_refusals: make.counters(
                "action_token_refusals_total",
                &["reason"],
                "Calls without a valid token, by what was wrong.",
            )?,
            connections: make.counters(
                "action_connections_total",
                &["result"],
                "Connections that came.",
            )?,
            reloads: make.counters(
                "action_reloads_total",
                &["what", "result"],
                "Readings of files that changed. One with any error counts as failed.",
            )?,
            last_good: make.add(GaugeVec::new(
                Opts::new(
                    "action_last_good_load_timestamp_seconds",
                    "When files were last read without any error.",
                ),
                &["what"],
            ))?,
            audit_lines: make.counter(
                "action_audit_lines_total",
                "Lines written to the audit log.",
            )?,
            audit_lines_lost: make.counter(
                "action_audit_lines_lost_total",
                "Lines that could not be written to the audit log.",
            )?,
            spans: make.counters(
                "action_trace_spans_total",
                &["result"],
                "Spans for the collector of traces.",
            )?,
            build_info: make.gauges("action_build_info", &["version"], "1, with the version.")?,
            gauges: Gauges::new(&make)?,
            registry,
        })
    }
}

impl Gauges {
    fn new(make: &Maker<'_>) -> Result<Gauges> {
        let gauge = |name: &str, help: &str| make.gauge(name, help);
        Ok(Gauges {
            live_runs: gauge("action_live_runs", "Runs that live now.")?,
            live_runs_limit: gauge(
                "action_live_runs_limit",
                "The most runs that may live at once.",
            )?,
            waiting_runs: gauge(
                "action_waiting_runs",
                "Runs that wait for a place for a job.",
            )?,
            oldest_wait: make.add(Gauge::new(
                "action_oldest_wait_seconds",
                "How long the first of the waiting runs has waited for its next place.",
            ))?,
            unrecorded_runs: gauge(
                "action_unrecorded_runs",
                "Runs that live and whose record cannot be written.",
            )?,
            running_jobs: gauge(
                "action_running_jobs",
                "Jobs that are started and have not ended.",
            )?,
            waiting_jobs: gauge(
                "action_waiting_jobs",
                "Jobs of live runs that wait to be started.",
            )?,
            job_slots: gauge(
                "action_job_slots",
                "Places for scripts on the whole server.",
            )?,
            job_slots_used: gauge(
                "action_job_slots_used",
                "Places for scripts that are taken.",
            )?,
            open_connections: gauge("action_open_connections", "Connections that are open.")?,
            certificate_expiry: make.add(Gauge::new(
                "action_certificate_expiry_seconds",
                "When the server's certificate expires, or the first of its chain, in seconds since 1970. +Inf without TLS.",
            ))?,
            records: gauge("action_records", "Records of runs that are kept.")?,
            record_bytes: gauge(
                "action_record_bytes",
                "Space that records take, as of the last look, at most a minute ago.",
            )?,
            disk_free: gauge(
                "action_record_disk_free_bytes",
                "Space that is left to the server on the disk of the records.",
            )?,
            disk_size: gauge(
                "action_record_disk_size_bytes",
                "Size of the disk of the records.",
            )?,
            reserve: gauge(
                "action_record_reserve_bytes",
                "Space that is set aside for the ends of runs: less while the disk is full.",
            )?,
            nodes: gauge("action_nodes", "Nodes in use.")?,
            nodes_in_file: gauge(
                "action_nodes_in_file",
                "Nodes that the nodes file has, also while it is held back. 0 where it cannot be read.",
            )?,
            nodes_missing: gauge(
                "action_nodes_missing",
                "Nodes in use that the nodes file does not have, or not in the groups it had them in, while it is held back for that.",
            )?,
            commands: gauge("action_commands", "Commands that can be run.")?,
            broken_commands: gauge("action_broken_commands", "Commands that cannot be run.")?,
            faults: gauge(
                "action_definition_errors",
                "Errors in nodes and commands at the last reading.",
            )?,
            audit_works: gauge(
                "action_audit_works",
                "1 while the audit log can be written.",
            )?,
            record_works: gauge("action_record_works", "1 while new runs can be recorded.")?,
            serving: gauge("action_serving", "1 while health says SERVING.")?,
            clock_jump: make.add(Gauge::new(
                "action_clock_jump_seconds",
                "How far the system clock is ahead of what uptime explains, while no record is removed for its age for that; less than 0 where it is behind. Else 0.",
            ))?,
        })
    }
}
