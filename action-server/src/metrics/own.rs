//! The resources that the server uses, from proc(5), under the names that all clients of Prometheus use.

use std::{fmt::Write as _, fs};

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

/// Appends the numbers of this process, as far as the kernel has them.
pub(super) fn write_process(text: &mut Vec<u8>) {
    let mut own = String::new();
    let mut export_value = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        let Some(value) = value else { return };
        // Writing to a text does not fail.
        _ = writeln!(
            own,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything: the state, field 3, stands after the last one.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let ticks = to_f64(clock_ticks_per_second());
    let cpu = field(14)
        .zip(field(15))
        .map(|(user, system)| (user + system) / ticks);
    let started = field(22).zip(boot_time());
    let started = started.map(|(since_boot, boot)| boot + since_boot / ticks);
    let resident = field(24).map(|pages| pages * to_f64(page_size() as u64));
    let open = fs::read_dir("/proc/self/fd").ok();
    // The directory itself is open while it is read.
    let open = open.map(|entries| to_f64(entries.count().saturating_sub(1) as u64));
    let most = getrlimit(Resource::Nofile).current.map(to_f64);
    export_value(
        "process_cpu_seconds_total",
        "counter",
        "Time of processors that the server took.",
        cpu,
    );
    export_value(
        "process_max_fds",
        "gauge",
        "The most descriptors that the server may have open.",
        most,
    );
    export_value(
        "process_open_fds",
        "gauge",
        "Descriptors that the server has open.",
        open,
    );
    export_value(
        "process_resident_memory_bytes",
        "gauge",
        "Memory that the server takes.",
        resident,
    );
    export_value(
        "process_start_time_seconds",
        "gauge",
        "When the server was started.",
        started,
    );
    text.extend(own.as_bytes());
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
