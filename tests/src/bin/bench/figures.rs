//! The file of all figures, `docs/benchmarks.json`: each measure with what it was measured on.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

/// A file below `docs`.
pub(crate) fn docs(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", name]
        .iter()
        .collect()
}

/// The measures, in the order in which they are shown.
pub(crate) struct Figures(pub(crate) Vec<Value>);

impl Figures {
    /// What was measured before.
    pub(crate) fn load() -> Figures {
        let text = fs::read(docs("benchmarks.json")).unwrap_or_default();
        Figures(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Adds a measure, or takes it in place of the one that was there.
    pub(crate) fn put(&mut self, mut measure: Value) {
        measure["on"] = machine();
        match self.0.iter_mut().find(|it| it["id"] == measure["id"]) {
            Some(old) => *old = measure,
            None => self.0.push(measure),
        }
    }

    /// Writes the file: a measure a line, so that a change of one is a change of a line.
    pub(crate) fn save(&self) {
        let lines: Vec<String> = self.0.iter().map(Value::to_string).collect();
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        fs::write(docs("benchmarks.json"), text).expect("docs/benchmarks.json");
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.0.iter().find(|it| it["id"] == id)
    }
}

/// What a measure was taken on.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = read("/proc/loadavg");
    json!({
        "cpu": model.map_or("unknown", |(_, model)| model),
        "cores": cpus.lines().filter(|line| line.starts_with("processor")).count(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": load.split(' ').next(),
        "commit": said("git", &["rev-parse", "--short=10", "HEAD"]),
        "versions": {
            "pdsh": said("pdsh", &["-V"]),
            "clush": said(&action_tests::program::tool("bench-venv").join("bin/clush").display().to_string(), &["--version"]),
            "parallel": said("parallel", &["--version"]),
            "bash": said("bash", &["--version"]),
        },
    })
}

/// The first line that a program says.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
