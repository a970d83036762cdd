//! The figures as a picture, `docs/benchmarks.svg`: how many times as long the others take, and what a
//! node costs as they become more.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use super::{
    figures::{Figures, docs},
    report::number,
};

/// What is shown as bars.
const BARS: [&str; 7] = [
    "fanout-1000",
    "lines-1",
    "lines-10",
    "long-lines",
    "bulk",
    "first-byte",
    "callers-64",
];
const COLOURS: [(&str, &str); 6] = [
    ("Action", "#1b6ca8"),
    ("bare loop", "#9aa5b1"),
    ("bare TLS stream", "#9aa5b1"),
    ("pdsh", "#d1772a"),
    ("clush", "#7a9e3f"),
    ("GNU parallel", "#a05195"),
];
const LEFT: f64 = 330.0;
const WIDTH: f64 = 520.0;
/// The scale of the bars: powers of ten from a fifth to a hundred times.
const LEAST: f64 = 0.2;
const MOST: f64 = 100.0;

/// Draws it.
pub(crate) fn write(figures: &Figures) {
    let mut body = String::new();
    let mut y = 50.0;
    for measure in BARS.iter().filter_map(|id| figures.get(id)) {
        y = bars(&mut body, measure, y);
    }
    y = growth(&mut body, figures, y + 40.0);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"900\" height=\"{y}\" fill=\"white\"/>\n\
         <text x=\"20\" y=\"25\" font-size=\"15\">Relative time, log scale (Action = 1, shorter is faster)</text>\n\
         {body}</svg>\n"
    );
    fs::write(docs("benchmarks.svg"), svg).expect("docs/benchmarks.svg");
}

/// How far a bar of so many times reaches.
fn reach(times: f64) -> f64 {
    WIDTH * (times.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln()
}

/// The bars of a measure, one for each who was measured: where the next ones may stand.
fn bars(body: &mut String, measure: &Value, mut y: f64) -> f64 {
    let is_rate = measure["unit"]
        .as_str()
        .is_some_and(|unit| unit.ends_with("/s"));
    let title = measure["title"].as_str().unwrap_or_default();
    _ = writeln!(
        body,
        "<text x=\"20\" y=\"{y}\" font-weight=\"bold\">{title}</text>"
    );
    y += 6.0;
    for series in measure["series"].as_array().into_iter().flatten() {
        let (who, ratio) = (
            series["who"].as_str().unwrap_or_default(),
            series["ratio"].as_f64(),
        );
        let ratio = ratio.unwrap_or(f64::NAN);
        // What is kept is how many times the other's figure Action's is.
        let times = if is_rate { ratio } else { 1.0 / ratio };
        let (length, middle) = (reach(times), y + 11.0);
        _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{who}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.0}\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{:.0}\" y=\"{middle}\">{}</text>",
            LEFT - 8.0,
            y + 1.0,
            colour(who),
            LEFT + length + 5.0,
            number(times),
        );
        y += 15.0;
    }
    y + 20.0
}

fn colour(who: &str) -> &'static str {
    COLOURS
        .iter()
        .find(|(known, _)| *known == who)
        .map_or("#555555", |(_, colour)| *colour)
}

/// What a node costs, as lines over the number of nodes: where the next may stand.
fn growth(body: &mut String, figures: &Figures, top: f64) -> f64 {
    const HEIGHT: f64 = 180.0;
    /// The most milliseconds that are shown.
    const SLOWEST: f64 = 8.0;
    let sizes = [100.0, 1000.0, 10_000.0];
    _ = writeln!(
        body,
        "<text x=\"20\" y=\"{top}\" font-size=\"15\">Time per node in ms, by number of nodes (log scale)</text>"
    );
    let bottom = top + 20.0 + HEIGHT;
    let across = |size: f64| LEFT - 200.0 + 300.0 * (size / 100.0).log10();
    let up = |millis: f64| bottom - HEIGHT * millis / SLOWEST;
    for size in sizes {
        let at = across(size);
        _ = writeln!(
            body,
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{size} nodes</text>",
            bottom + 18.0
        );
    }
    for millis in [0.0, 2.0, 4.0, 6.0, 8.0] {
        let at = up(millis);
        _ = writeln!(
            body,
            "<line x1=\"110\" x2=\"740\" y1=\"{at}\" y2=\"{at}\" stroke=\"#dddddd\"/><text x=\"100\" y=\"{}\" text-anchor=\"end\">{millis}</text>",
            at + 4.0
        );
    }
    let mut labels = Vec::new();
    for (who, colour) in COLOURS {
        let points: Vec<(f64, f64)> = sizes
            .iter()
            .filter_map(|&size| {
                let measure = figures.get(&format!("fanout-{size}"))?;
                let series = measure["series"]
                    .as_array()?
                    .iter()
                    .find(|it| it["who"] == who)?;
                Some((across(size), up(series["median"].as_f64()? / size)))
            })
            .collect();
        let Some(&(last_x, last_y)) = points.last() else {
            continue;
        };
        let line: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.0},{y:.0}"))
            .collect();
        _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" "),
        );
        labels.push((last_x + 8.0, last_y + 4.0, who, colour));
    }
    write_labels(body, labels);
    bottom + 40.0
}

/// Writes names beside the ends of lines, from the top, each below those that it would overlap.
fn write_labels(body: &mut String, mut labels: Vec<(f64, f64, &str, &str)>) {
    const HEIGHT: f64 = 14.0;
    labels.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut last = (f64::NAN, f64::NAN);
    for (x, wanted, who, colour) in labels {
        let is_below = (last.0 - x).abs() < 1.0 && wanted < last.1 + HEIGHT;
        let y = if is_below { last.1 + HEIGHT } else { wanted };
        last = (x, y);
        _ = writeln!(
            body,
            "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{colour}\">{who}</text>"
        );
    }
}
