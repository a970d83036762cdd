//! The figures as a table in `docs/benchmarks.md`, between two marks; the words around it are
//! written by people.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use super::figures::{Figures, docs};

const BEGIN: &str = "<!-- figures: written by tests/bench -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Writes the table.
pub(crate) fn write(figures: &Figures) {
    let path = docs("benchmarks.md");
    let text = fs::read_to_string(&path).expect("docs/benchmarks.md");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the mark where the figures begin");
    let (_, after) = rest
        .split_once(END)
        .expect("the mark where the figures end");
    let mut table = String::from(
        "| measure | Action | others (ratio of Action to them) | goal: reached |\n| --- | --- | --- | --- |\n",
    );
    for measure in &figures.0 {
        table.push_str(&row(measure));
        table.push('\n');
    }
    table.push_str(&machines(figures));
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))
        .expect("docs/benchmarks.md");
}

/// A measure as a row of the table.
pub(crate) fn row(measure: &Value) -> String {
    let unit = measure["unit"].as_str().unwrap_or_default();
    let series = measure["series"].as_array().map_or(&[][..], Vec::as_slice);
    let figure = |it: &Value| number(it["median"].as_f64().unwrap_or(f64::NAN));
    let ours = series.first().map(figure).unwrap_or_default();
    let others = series.iter().skip(1).map(|it| {
        let (who, ratio) = (it["who"].as_str().unwrap_or_default(), &it["ratio"]);
        format!(
            "{who} {} (× {})",
            figure(it),
            number(ratio.as_f64().unwrap_or(f64::NAN))
        )
    });
    let others = others.collect::<Vec<_>>().join(", ");
    let goals = measure["goals"].as_array().map_or(&[][..], Vec::as_slice);
    let goals = goals.iter().map(goal).collect::<Vec<_>>().join("; ");
    let title = measure["title"].as_str().unwrap_or_default();
    format!("| {title} | {ours} {unit} | {others} | {goals} |")
}

fn goal(goal: &Value) -> String {
    let sign = if goal["at_least"] == true {
        "≥"
    } else {
        "≤"
    };
    let value = |key: &str| number(goal[key].as_f64().unwrap_or(f64::NAN));
    let of = goal["of"]
        .as_str()
        .map(|of| format!(" × {of}"))
        .unwrap_or_default();
    let reached = value("reached");
    let reached = match goal["met"] == true {
        true => format!("{reached}, met"),
        false => format!("**{reached}, missed**"),
    };
    format!("{sign} {}{of}: {reached}", value("bound"))
}

/// Three significant digits, and no more behind the point than these need.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// On what the figures were measured: a line for each machine, commit and versions that differ.
fn machines(figures: &Figures) -> String {
    let mut lines: Vec<String> = Vec::new();
    for measure in &figures.0 {
        let on = &measure["on"];
        let text = |key: &str| on[key].as_str().unwrap_or("?").to_owned();
        let versions = on["versions"].as_object().into_iter().flatten();
        let versions: Vec<_> = versions
            .map(|(_, version)| version.as_str().unwrap_or("?"))
            .collect();
        let line = format!(
            "{}, {} cores, Linux {}; commit {}; {}",
            text("cpu"),
            on["cores"],
            text("kernel"),
            text("commit"),
            versions.join("; ")
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.into_iter().fold(String::new(), |mut all, line| {
        _ = write!(all, "\nMeasured on: {line}.\n");
        all
    })
}
