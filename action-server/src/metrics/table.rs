//! The names of all numbers, their help texts and labels. `docs/monitoring.md` has the same table, and a
//! test compares the two.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

/// Scripts take anything from a moment to a day.
const LONG: [f64; 13] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
];
/// Answers are short.
const SHORT: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Declares a struct of numbers and the function that registers them. A row is
/// `field: Type("name", [labels], buckets) "help";`.
macro_rules! metrics {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($field:ident: $kind:ident($metric:literal $($options:tt)*) $help:literal;)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visibility struct $name {
            $(#[doc = $help] $visibility $field: $kind,)*
        }

        impl $name {
            pub(super) fn register(registry: &Registry) -> Result<$name> {
                Ok($name {
                    $($field: {
                        let number = metrics!(@new $kind, Opts::new($metric, $help) $($options)*)?;
                        registry.register(Box::new(number.clone()))?;
                        number
                    },)*
                })
            }
        }
    };
    (@new $kind:ident, $name:expr) => {
        $kind::with_opts($name)
    };
    (@new $kind:ident, $name:expr; $buckets:expr) => {
        $kind::with_opts(HistogramOpts::from($name).buckets($buckets.to_vec()))
    };
    (@new $kind:ident, $name:expr, $labels:expr) => {
        $kind::new($name, &$labels)
    };
    (@new $kind:ident, $name:expr, $labels:expr, $buckets:expr) => {
        $kind::new(HistogramOpts::from($name).buckets($buckets.to_vec()), &$labels)
    };
}

metrics! {
    /// All that is counted where it happens.
    pub(super) struct MetricsTable {
        runs_started: IntCounterVec("action_runs_started_total", ["command"])
            "Runs that were accepted.";
        runs_finished: IntCounterVec("action_runs_finished_total", ["command", "outcome"])
            "Runs whose end is recorded, by the gravest outcome of their jobs.";
        run_duration: HistogramVec("action_run_duration_seconds", ["command"], LONG)
            "Time from a run's acceptance to its end.";
        run_start_delay: Histogram("action_run_start_delay_seconds"; SHORT)
            "Time from a run's acceptance to its first script.";
        jobs_started: IntCounterVec("action_jobs_started_total", ["command"])
            "Jobs whose script was started, as recorded.";
        jobs_finished: IntCounterVec("action_jobs_finished_total", ["command", "outcome"])
            "Jobs that ended, as recorded, also those that were never started.";
        job_duration: HistogramVec("action_job_duration_seconds", ["command"], LONG)
            "Time that a job's script took.";
        output: IntCounterVec("action_output_bytes_total", ["command"])
            "Bytes of output that are recorded.";
        output_dropped: IntCounterVec("action_output_dropped_bytes_total", ["command"])
            "Bytes of output that were dropped: past the job's limit, or while the record could not be written.";
        calls: IntCounterVec("action_calls_total", ["method", "code"])
            "Calls that ended, by method and gRPC code.";
        call_duration: HistogramVec("action_call_duration_seconds", ["method"], SHORT)
            "Time from a call to the beginning of its answer.";
        open_calls: IntGaugeVec("action_open_calls", ["method"])
            "Calls that go on now. Those of RunCommand and WatchRun are watchers of runs.";
        token_refusals: IntCounterVec("action_token_refusals_total", ["reason"])
            "Calls without a valid token, by what was wrong.";
        connections: IntCounterVec("action_connections_total", ["result"])
            "Connections that came.";
        reloads: IntCounterVec("action_reloads_total", ["what", "result"])
            "Readings of files that changed. One with any error counts as failed.";
        last_good: GaugeVec("action_last_good_load_timestamp_seconds", ["what"])
            "When files were last read without any error.";
        audit_lines: IntCounter("action_audit_lines_total")
            "Lines written to the audit log.";
        audit_lines_lost: IntCounter("action_audit_lines_lost_total")
            "Lines that could not be written to the audit log.";
        spans: IntCounterVec("action_trace_spans_total", ["result"])
            "Spans for the collector of traces.";
        build_info: IntGaugeVec("action_build_info", ["version"])
            "1, with the version.";
    }
}

metrics! {
    /// All that is set at each scrape, or where it changes.
    pub struct ScrapeGauges {
        live_runs: IntGauge("action_live_runs")
            "Runs that live now.";
        live_runs_limit: IntGauge("action_live_runs_limit")
            "The most runs that may live at once.";
        waiting_runs: IntGauge("action_waiting_runs")
            "Runs that wait for a place for a job.";
        oldest_wait: Gauge("action_oldest_wait_seconds")
            "How long the first of the waiting runs has waited for its next place.";
        unrecorded_runs: IntGauge("action_unrecorded_runs")
            "Runs that live and whose record cannot be written.";
        running_jobs: IntGauge("action_running_jobs")
            "Jobs that are started and have not ended.";
        waiting_jobs: IntGauge("action_waiting_jobs")
            "Jobs of live runs that wait to be started.";
        job_slots: IntGauge("action_job_slots")
            "Places for scripts on the whole server.";
        job_slots_used: IntGauge("action_job_slots_used")
            "Places for scripts that are taken.";
        open_connections: IntGauge("action_open_connections")
            "Connections that are open.";
        certificate_expiry: Gauge("action_certificate_expiry_seconds")
            "When the server's certificate expires, or the first of its chain, in seconds since 1970. +Inf without TLS.";
        records: IntGauge("action_records")
            "Records of runs that are kept.";
        record_bytes: IntGauge("action_record_bytes")
            "Space that records take, as of the last look, at most a minute ago.";
        disk_free: IntGauge("action_record_disk_free_bytes")
            "Space that is left to the server on the disk of the records.";
        disk_size: IntGauge("action_record_disk_size_bytes")
            "Size of the disk of the records.";
        reserve: IntGauge("action_record_reserve_bytes")
            "Space that is set aside for the ends of runs: less while the disk is full.";
        nodes: IntGauge("action_nodes")
            "Nodes in use.";
        nodes_in_file: IntGauge("action_nodes_in_file")
            "Nodes that the nodes file has, also while it is held back. 0 where it cannot be read.";
        nodes_missing: IntGauge("action_nodes_missing")
            "Nodes in use that the nodes file does not have, or not in the groups it had them in, while it is held back for that.";
        commands: IntGauge("action_commands")
            "Commands that can be run.";
        broken_commands: IntGauge("action_broken_commands")
            "Commands that cannot be run.";
        faults: IntGauge("action_definition_errors")
            "Errors in nodes and commands at the last reading.";
        audit_works: IntGauge("action_audit_works")
            "1 while the audit log can be written.";
        record_works: IntGauge("action_record_works")
            "1 while new runs can be recorded.";
        serving: IntGauge("action_serving")
            "1 while health says SERVING.";
        clock_jump: Gauge("action_clock_jump_seconds")
            "How far the system clock is ahead of what uptime explains, while no record is removed for its age for that; less than 0 where it is behind. Else 0.";
    }
}
