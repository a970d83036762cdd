//! The benchmarks: this project beside its peers, in one go and in turn, as ratios.
//!
//! `tests/bench [--quick] [MEASURE..]` builds and installs what is needed and runs this. All measures
//! together write `docs/benchmarks.json`, and from it the table and the plot; those that are named
//! replace their own figures in it. `--quick` is a tenth or less of everything, once, and writes
//! nothing: it shows that all of it works.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it reports to whoever runs it, and stops at what it does not expect"
)]

mod bare_stream;
mod callers;
mod cancel;
mod estate;
mod fanout;
mod figures;
mod footprint;
mod latency;
mod measure;
mod output;
mod plot;
mod records;
mod report;
mod timed;

use measure::Measure;

/// How much is measured.
struct Scale {
    /// How often each is measured.
    rounds: usize,
    /// By what the sizes are divided.
    less: usize,
}

const FULL: Scale = Scale { rounds: 5, less: 1 };
const QUICK: Scale = Scale {
    rounds: 1,
    less: 100,
};

/// How something is measured.
type Measuring = fn(&Scale) -> Vec<Measure>;

/// Each measure's name, and how it is measured.
const MEASURES: [(&str, Measuring); 16] = [
    ("fanout-100", |scale| fanout::measure(100, scale)),
    ("fanout-1000", |scale| fanout::measure(1000, scale)),
    ("fanout-10000", |scale| fanout::measure(10_000, scale)),
    ("lines-1", |scale| output::lines(1, scale)),
    ("lines-10", |scale| output::lines(10, scale)),
    ("long", output::long),
    ("bulk", output::bulk),
    ("first-byte", latency::first_byte),
    ("callers", callers::measure),
    ("resume", latency::resume),
    ("cancel-300", cancel::measure),
    ("memory", footprint::memory),
    ("verbs", footprint::small_verbs),
    ("records", records::many),
    ("record", records::long),
    // The table and the plot again, from the figures that are there.
    ("report", |_| Vec::new()),
];

fn main() {
    if cfg!(debug_assertions) {
        panic!("benches are for release builds: run tests/bench");
    }
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if bare_stream::is_an_end(&names) {
        return;
    }
    let is_quick = names.iter().any(|name| name == "--quick");
    names.retain(|name| name != "--quick");
    if let Some(unknown) = names
        .iter()
        .find(|name| MEASURES.iter().all(|(known, _)| known != name))
    {
        let known: Vec<_> = MEASURES.iter().map(|(name, _)| *name).collect();
        panic!("no measure {unknown}; there are: {}", known.join(" "));
    }
    let scale = if is_quick { &QUICK } else { &FULL };
    // All directories stay until all is measured. An ext4 without a journal does not use the inodes of
    // removed files again for minutes, and looks at each of them for every file that is made.
    let directory = tempfile::tempdir().expect("a directory");
    tempfile::env::override_temp_dir(directory.path()).expect("the first to say so");
    let mut figures = figures::Figures::load();
    for (name, measure) in MEASURES {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        for measure in measure(scale) {
            let measure = measure.to_json();
            println!("{}", report::row(&measure));
            figures.put(measure);
        }
    }
    if !is_quick {
        if let Some(growth) = fanout::growth(&figures) {
            figures.put(growth.to_json());
        }
        figures.save();
        report::write(&figures);
        plot::write(&figures);
    }
}
