//! `rerun`: an earlier run's command on the nodes that failed, were not run, or all.

use crate::arguments::run_options::RunOptions;
use crate::arguments::run_target::RunTarget;
use crate::commands::{Context, run, runs, suggest};
use crate::connection::Connection;
use crate::error::{CliError, ErrorKind, Result};
use crate::render::output::StdStream;
use crate::render::tally::end_reason;
use action_proto::fold;
use action_proto::v1::{Job, Outcome, Run};
use clap::Args;

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").multiple(true))]
pub(crate) struct RerunArgs {
    /// The run's id, or its beginning
    #[arg(value_name = "RUN")]
    run: String,
    /// Only nodes whose script started and did not end ok
    #[arg(long, group = "which")]
    failed: bool,
    /// Only nodes whose script did not start
    #[arg(long, group = "which")]
    not_run: bool,
    /// All nodes, including those that ended ok
    #[arg(long, conflicts_with = "which")]
    all: bool,
    /// The options of the new run; it has its nodes from the old one.
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

/// Runs the command again: the exit code.
pub(crate) async fn run(args: RerunArgs, context: &mut Context<'_>) -> Result<u8> {
    if args.options.nodes.is_some() {
        let error = CliError::usage("-g is not for `rerun`, which has the run's nodes");
        return Err(error.hint("--exclude leaves some of them out"));
    }
    let connection = context.connect().await?;
    let (run, jobs) = &connection.get_run(&args.run).await?;
    let nodes = chosen_jobs(&args, run, jobs)?;
    let commands = connection.list_commands().await?;
    let Some(command) = commands.iter().find(|it| it.name == run.command) else {
        let message = format!("there is no command `{}` any more", run.command);
        let unknown = CliError::new(ErrorKind::Refused, message)
            .hint("`action-client help` lists the commands");
        let again = Some(target_of(run, &nodes));
        return Err(suggest::for_command(unknown, &run.command, again, &connection).await);
    };
    if !context.is_json() {
        let mut line = describe_rerun(run, &nodes);
        if let Some(exclude) = &args.options.exclude {
            line.push_str(&format!("; without {exclude}"));
        }
        context.output.safe_line(StdStream::Stderr, &line)?;
        context.output.flush()?;
    }
    let target = target_of(run, &nodes);
    match run::start(&connection, command, target, &args.options, context).await {
        Err(error) if suggest::is_about_unknown_nodes(&error) => {
            Err(without_the_gone(error, &nodes, &connection).await)
        }
        result => result,
    }
}

/// Says of an error about nodes that are gone that nothing was run, and which nodes are left.
async fn without_the_gone(error: CliError, jobs: &[&Job], connection: &Connection) -> CliError {
    let error = CliError::new(error.kind(), format!("{error} any more; nothing was run"));
    let Ok(nodes) = connection.list_nodes("", "").await else {
        return error;
    };
    let is_left = |name: &&str| nodes.iter().any(|node| node.name == *name);
    let left = fold(jobs.iter().map(|job| job.node.as_str()).filter(is_left));
    match left.as_str() {
        "" => error,
        left => error.hint(format!(
            "run the command with `-g {left}` for the nodes that are left"
        )),
    }
}

/// The same command on the nodes of these jobs.
fn target_of(run: &Run, jobs: &[&Job]) -> RunTarget {
    let names = jobs.iter().map(|job| job.node.as_str());
    let nodes = fold(names.filter(|name| !name.is_empty()));
    RunTarget {
        prefixed: !nodes.is_empty(),
        nodes,
        arguments: run.arguments.clone(),
    }
}

/// The jobs to run again.
fn chosen_jobs<'a>(args: &RerunArgs, run: &Run, jobs: &'a [Job]) -> Result<Vec<&'a Job>> {
    if run.end_time.is_none() {
        let id = &run.run_id;
        let message = format!("run {id} goes on, so it is not known what is to be run again");
        return Err(CliError::new(ErrorKind::Refused, message)
            .hint(format!("`action-client attach {id}` follows it to its end")));
    }
    // The jobs are read from the record, and behind the damage nothing is known of them.
    if !run.message.is_empty() && !args.all {
        let message = format!(
            "the record of run {} is damaged, so it is not known what is to be run again",
            run.run_id
        );
        return Err(CliError::new(ErrorKind::Refused, message)
            .hint("run the command with -g, or use --all for all of the run's nodes"));
    }
    // Without a choice it is all that did not end ok.
    let is_either = !args.failed && !args.not_run;
    let is_wanted = |job: &&Job| {
        if args.all {
            return true;
        }
        let is_ok = outcome_of(job) == Outcome::Ok;
        let was_started = job.started.is_some();
        let of_choice = (args.failed && was_started) || (args.not_run && !was_started);
        !is_ok && (is_either || of_choice)
    };
    let jobs: Vec<&Job> = jobs.iter().filter(is_wanted).collect();
    if jobs.is_empty() {
        let what = match (args.failed, args.not_run) {
            (true, false) => "no job that was started and did not end ok",
            (false, true) => "no job that was not started",
            _ => "no job that did not end ok",
        };
        return Err(
            CliError::new(ErrorKind::Refused, format!("run {} has {what}", run.run_id))
                .hint("--all runs it on all its nodes again"),
        );
    }
    Ok(jobs)
}

fn outcome_of(job: &Job) -> Outcome {
    job.finished
        .as_ref()
        .map_or(Outcome::Unspecified, |it| it.outcome())
}

/// What will be run, and what had become of it, as in `again from run r1: usage -v on
/// n[1-3] (3); last time failed: exit 3 (2), not-started (1)`.
fn describe_rerun(run: &Run, jobs: &[&Job]) -> String {
    let command = runs::command_text(run);
    let mut counts: Vec<(String, usize)> = Vec::new();
    for job in jobs {
        let label = outcome_of(job).label();
        let reason = job.finished.as_ref().map(end_reason).unwrap_or_default();
        let what = match reason.as_str() {
            "" => label.to_owned(),
            reason => format!("{label}: {reason}"),
        };
        match counts.iter_mut().find(|(it, _)| *it == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let set = fold(
        jobs.iter()
            .map(|job| job.node.as_str())
            .filter(|node| !node.is_empty()),
    );
    let on = if set.is_empty() {
        String::new()
    } else {
        format!(" on {set} ({})", jobs.len())
    };
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{what} ({count})"))
        .collect();
    format!(
        "again from run {}: {command}{on}; last time {}",
        run.run_id,
        counts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::{NodeFinished, NodeStarted};
    use clap::{Command, FromArgMatches};

    fn args(words: &[&str]) -> RerunArgs {
        let command = RerunArgs::augment_args(Command::new("rerun").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        RerunArgs::from_arg_matches(&matches).unwrap()
    }

    fn job(node: &str, outcome: Outcome, was_started: bool) -> Job {
        Job {
            node: node.into(),
            started: was_started.then(NodeStarted::default),
            finished: Some(NodeFinished {
                outcome: outcome.into(),
                exit_code: (outcome == Outcome::Failed).then_some(3),
                ..NodeFinished::default()
            }),
        }
    }

    fn old() -> (Run, Vec<Job>) {
        let run = Run {
            run_id: "r1".into(),
            command: "usage".into(),
            arguments: vec!["-v".into()],
            end_time: Some(prost_types::Timestamp::default()),
            ..Run::default()
        };
        let jobs = vec![
            job("n1", Outcome::Ok, true),
            job("n2", Outcome::Failed, true),
            job("n3", Outcome::NotStarted, false),
            job("n4", Outcome::Cancelled, true),
            job("n5", Outcome::Cancelled, false),
            job("n6", Outcome::Lost, true),
            job("n7", Outcome::TimedOut, true),
        ];
        (run, jobs)
    }

    #[test]
    fn the_choice_is_by_how_jobs_ended() {
        let table: [(&[&str], &str); 5] = [
            (&["r1"], "n[2-7]"),
            (&["r1", "--failed"], "n[2,4,6-7]"),
            (&["r1", "--not-run"], "n[3,5]"),
            (&["r1", "--failed", "--not-run"], "n[2-7]"),
            (&["r1", "--all"], "n[1-7]"),
        ];
        let (run, old) = old();
        for (words, expected) in table {
            let jobs = chosen_jobs(&args(words), &run, &old).unwrap();
            let set = fold(jobs.iter().map(|job| job.node.as_str()));
            assert_eq!(set, expected, "{words:?}");
        }
    }

    #[test]
    fn what_will_be_run_is_said() {
        let (run, old) = old();
        let jobs = chosen_jobs(&args(&["r1", "--failed"]), &run, &old).unwrap();
        assert_eq!(
            describe_rerun(&run, &jobs),
            "again from run r1: usage -v on n[2,4,6-7] (4); \
             last time failed: exit 3 (1), cancelled (1), lost (1), timed-out (1)"
        );
    }

    #[test]
    fn a_run_that_goes_on_or_went_well_is_refused() {
        let (run, mut old) = old();
        old.truncate(1);
        let error = chosen_jobs(&args(&["r1"]), &run, &old).unwrap_err();
        assert_eq!(error.to_string(), "run r1 has no job that did not end ok");
        let going_on = Run {
            end_time: None,
            ..run
        };
        assert!(chosen_jobs(&args(&["r1", "--all"]), &going_on, &old).is_err());
    }
}
