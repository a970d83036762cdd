//! What an admin is given to watch a server with: the page of metrics, alerts, a dashboard. All of
//! it names metrics that there are.

use std::{collections::BTreeSet, fs, path::PathBuf};

use action_tests::scrape::{Family, Scrape};
use serde_json::Value;

use crate::metrics::{full_scrape, promtool};

const START: &str = "<!-- metrics -->\n";
const END: &str = "<!-- end of metrics -->";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The words in an expression of PromQL that are names of this server's metrics.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let own = words.filter(|word| word.starts_with("action_") || word.starts_with("process_"));
    own.map(str::to_owned).collect()
}

/// The names that a scrape has, as queries name them.
fn scraped(scrape: &Scrape) -> BTreeSet<String> {
    let names = scrape
        .samples()
        .map(|sample| sample.split('{').next().unwrap());
    names.map(str::to_owned).collect()
}

fn row(family: &Family) -> String {
    let labels: Vec<String> = family
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    let Family {
        name, kind, help, ..
    } = family;
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

#[test]
fn the_page_has_every_metric_as_the_server_tells_it() {
    let rows: String = full_scrape().families().iter().map(row).collect();
    let table =
        format!("| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n{rows}");
    let page = read("docs/monitoring.md");
    let (before, rest) = page.split_once(START).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let page = format!("{before}{START}\n{table}\n{END}{after}");
        fs::write(path("docs/monitoring.md"), page).unwrap();
        return;
    }
    assert_eq!(found.trim(), table.trim(), "UPDATE=1 writes the table anew");
}

#[test]
fn alerts_name_metrics_that_there_are_and_each_is_raised() {
    let text = read("packaging/prometheus/alerts.yaml");
    let rules = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', 's']));
    let named = named(&rules.collect::<Vec<_>>().join("\n"));
    assert!(named.len() > 12, "{named:?}");
    let missing: Vec<_> = named
        .difference(&scraped(&full_scrape()))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // The trial of the rules names them as a file beside it.
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let trial = read("tests/fixtures/prometheus/alerts_test.yaml");
    fs::write(place("alerts.yaml"), &text).unwrap();
    fs::write(place("alerts_test.yaml"), &trial).unwrap();
    _ = promtool(&["check", "rules", &place("alerts.yaml")], None);
    _ = promtool(&["test", "rules", &place("alerts_test.yaml")], None);
    for alert in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            trial.contains(&format!("alertname=\"{alert}\"")),
            "{alert} is not tried"
        );
    }
    // So is the page's example of a configuration, which names the rules too.
    let page = read("docs/monitoring.md");
    let (_, example) = page.split_once("```yaml\nscrape_configs:").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    fs::write(
        place("prometheus.yaml"),
        format!("scrape_configs:{example}"),
    )
    .unwrap();
    let told = promtool(&["check", "config", &place("prometheus.yaml")], None);
    assert!(told.contains("17 rules found"), "{told}");
}

#[test]
fn the_dashboard_names_metrics_that_there_are_and_nearly_all_of_them() {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/action.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    let named: BTreeSet<String> = queries.flat_map(named).collect();
    let scraped = scraped(&full_scrape());
    let missing: Vec<_> = named.difference(&scraped).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unseen = scraped.difference(&named);
    let unseen: Vec<_> = unseen
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}
