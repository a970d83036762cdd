//! `runs`: the list of runs, the newest first.

use crate::arguments::values::parse_count;
use crate::commands::Context;
use crate::error::Result;
use crate::render::json;
use crate::render::output::StdStream;
use crate::render::table::{self, or_dash};
use crate::render::time::{local_time, parse_time, rfc3339, time_between};
use action_proto::v1::{ListRunsRequest, Outcome, Run};
use clap::Args;
use clap::builder::PossibleValuesParser;
use prost_types::Timestamp;
use serde_json::{Value, json};

/// Outcomes that a run can be filtered by.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::Failed,
    Outcome::Cancelled,
    Outcome::TimedOut,
    Outcome::NotStarted,
    Outcome::Lost,
];

/// The headings of the list.
const HEAD: [&str; 9] = [
    "RUN", "STARTED", "TOOK", "OUTCOME", "JOBS", "BY", "NODES", "COMMAND", "REASON",
];

/// The longest texts of a row, in characters.
const LONGEST_SUBJECT: usize = 24;
const LONGEST_NODES: usize = 40;
const LONGEST_COMMAND: usize = 60;
const LONGEST_REASON: usize = 120;

#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    /// Only runs of this command
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Only runs on any of these nodes
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    nodes: Option<String>,
    /// Only runs of this subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only runs with this outcome
    #[arg(long, value_parser = PossibleValuesParser::new(OUTCOMES.map(Outcome::label)))]
    outcome: Option<String>,
    /// Only runs that have not ended
    #[arg(long)]
    running: bool,
    /// Only runs since this time, as in `2h` (ago) or `2026-11-24T10:00`
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Only runs before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// List at most N runs; 0 lists all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = parse_count)]
    limit: u32,
    /// Also show the reasons
    #[arg(long)]
    long: bool,
}

pub(crate) async fn run(args: RunsArgs, context: &mut Context<'_>) -> Result<u8> {
    let limit = match args.limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let long = args.long;
    let request = list_request(args);
    let connection = context.connect().await?;
    let runs = connection.list_runs(request, limit).await?;
    if context.is_json() {
        for run in &runs {
            json::write(&run_object(run), context.output)?;
        }
        return Ok(0);
    }
    let rows = runs.iter().map(run_row);
    let lines = if long {
        table::with_head(HEAD, rows)
    } else {
        // Without the last column.
        let [head @ .., _] = HEAD;
        table::with_head(head, rows.map(|[columns @ .., _]| columns))
    };
    for line in lines {
        context.output.safe_line(StdStream::Stdout, &line)?;
    }
    Ok(0)
}

fn list_request(args: RunsArgs) -> ListRunsRequest {
    let outcome = args.outcome.as_deref();
    let outcome = OUTCOMES.into_iter().find(|it| Some(it.label()) == outcome);
    ListRunsRequest {
        command: args.command.unwrap_or_default(),
        nodes: args.nodes.unwrap_or_default(),
        subject: args.subject.unwrap_or_default(),
        outcome: outcome.unwrap_or_default().into(),
        running: args.running,
        since: args.since,
        until: args.until,
        ..ListRunsRequest::default()
    }
}

fn run_row(run: &Run) -> [String; 9] {
    let bounded = |text: &str, most| or_dash(table::bounded_text(text, most));
    let took = match (&run.start_time, &run.end_time) {
        // Its end is when a server found it.
        _ if run.outcome() == Outcome::Lost => "-".to_owned(),
        (Some(start), Some(end)) => time_between(start, end),
        _ => "-".to_owned(),
    };
    [
        run.run_id.clone(),
        run.start_time
            .as_ref()
            .map_or_else(|| "-".to_owned(), local_time),
        took,
        run.outcome().label().to_owned(),
        or_dash(job_counts(run)),
        bounded(&run.subject, LONGEST_SUBJECT),
        bounded(&run.nodes, LONGEST_NODES),
        command_text(run),
        bounded(&run.reason, LONGEST_REASON),
    ]
}

/// The command and its arguments, as far as a line has space for them; or why they are missing.
pub(crate) fn command_text(run: &Run) -> String {
    if run.command.is_empty() && !run.message.is_empty() {
        return table::bounded_text(&format!("({})", run.message), LONGEST_COMMAND);
    }
    let arguments = run.arguments.iter().map(String::as_str);
    let words = std::iter::once(run.command.as_str()).chain(arguments);
    // As many as can matter: each takes a character or more with its blank.
    let words: Vec<&str> = words.take(LONGEST_COMMAND + 1).collect();
    table::bounded_text(&words.join(" "), LONGEST_COMMAND)
}

/// How many jobs are where, as in `8 ok, 1 failed, 2 running`, and where those that wait stand.
fn job_counts(run: &Run) -> String {
    let ended = run
        .counts
        .iter()
        .map(|count| (count.count, count.outcome().label()));
    let open = [(run.running_jobs, "running"), (run.waiting_jobs, "waiting")];
    let parts = ended.chain(open).filter(|(count, _)| *count > 0);
    let mut parts: Vec<_> = parts
        .map(|(count, label)| format!("{count} {label}"))
        .collect();
    if run.queue_position > 0 {
        parts.push(format!("position {} in the queue", run.queue_position));
    }
    parts.join(", ")
}

pub(crate) fn run_object(run: &Run) -> Value {
    json!({
        "event": "run",
        "run_id": run.run_id,
        "command": run.command,
        "arguments": run.arguments,
        "nodes": run.nodes,
        "subject": run.subject,
        "start_time": run.start_time.as_ref().map(rfc3339),
        "end_time": run.end_time.as_ref().map(rfc3339),
        "outcome": run.outcome().label(),
        "counts": json::outcome_counts(&run.counts),
        "jobs": run.jobs,
        "running_jobs": run.running_jobs,
        "waiting_jobs": run.waiting_jobs,
        "queue_position": run.queue_position,
        "reason": run.reason,
        "last_sequence": run.last_sequence,
        "message": run.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::OutcomeCount;

    fn example() -> Run {
        Run {
            run_id: "r1".into(),
            command: "usage".into(),
            arguments: vec!["-v".into()],
            nodes: "n[1-3]".into(),
            counts: vec![OutcomeCount {
                outcome: Outcome::Failed.into(),
                count: 2,
                never_started: 0,
            }],
            jobs: 3,
            running_jobs: 1,
            start_time: Some(Timestamp {
                seconds: 1_767_225_600,
                nanos: 0,
            }),
            ..Run::default()
        }
    }

    #[test]
    fn a_run_is_a_row_and_an_object() {
        let row = run_row(&example());
        assert_eq!(row[0], "r1");
        assert_eq!(
            row[2..],
            [
                "-",
                "running",
                "2 failed, 1 running",
                "-",
                "n[1-3]",
                "usage -v",
                "-"
            ]
        );
        let long = Run {
            arguments: vec!["a\tb\nc".into(), "\u{1b}".repeat(100_000)],
            nodes: "x,".repeat(5000),
            reason: "why ".repeat(200),
            subject: "s".repeat(1000),
            ..example()
        };
        let row = run_row(&long);
        assert!(row[7].starts_with("usage a b c ^["), "{}", row[7]);
        for (cell, most) in row[5..].iter().zip([24, 40, 60, 120]) {
            assert_eq!(cell.chars().count(), most, "{cell}");
            assert!(cell.ends_with("..."), "{cell}");
        }
        let object = run_object(&example());
        assert_eq!(object["start_time"], "2026-01-01T00:00:00Z");
        assert_eq!(object["end_time"], Value::Null);
        assert_eq!(object["outcome"], "running");
        assert_eq!(object["counts"], json!({"failed": 2}));
        let unknown = Run {
            run_id: "r2".into(),
            outcome: Outcome::Lost.into(),
            message: "record damaged".into(),
            ..Run::default()
        };
        let row = run_row(&unknown);
        assert_eq!(
            (row[3].as_str(), row[7].as_str()),
            ("lost", "(record damaged)")
        );
    }
}
