//! Owns the running of a command: confirmation, the request, and then its output.

use crate::arguments::max_failures::MaxFailures;
use crate::arguments::run_options::RunOptions;
use crate::arguments::run_target::{CommandCall, RunTarget, resolve};
use crate::arguments::values::PLAN_SOURCE;
use crate::commands::{Context, help, nodes, plan, session, suggest};
use crate::complete::server_cache::CachedRun;
use crate::confirm;
use crate::connection::Connection;
use crate::environment::LocalUser;
use crate::error::{CliError, ErrorKind, Result};
use crate::exit::ExitMode;
use crate::follow::RunFollower;
use crate::interrupt::{InterruptWatch, OnSignal};
use crate::render::output::StdStream;
use crate::render::{Renderer, json};
use action_proto::v1::{Command, DetachPolicy, PlanRunRequest, PlanRunResponse, RunCommandRequest};
use clap::Args;
use serde_json::json;
use std::pin::pin;
use std::time::Duration;

/// Options that need a server which knows them, each with the feature that says so.
const FEATURE_OPTIONS: [(&str, &str); 2] = [("--plan", "plan_digest"), ("--reason", "reason")];

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The options of the run.
    #[command(flatten)]
    pub(crate) options: RunOptions,
    /// The command, and its words.
    #[arg(value_name = "COMMAND", hide = true)]
    pub(crate) words: Vec<String>,
}

/// Runs the server's command that `call` names: the exit code.
pub(crate) async fn run(args: RunArgs, call: CommandCall, context: &mut Context<'_>) -> Result<u8> {
    let connection = context.connect().await?;
    let commands = connection.list_commands().await?;
    context.update_cache(|cache| cache.update_commands(&commands));
    let RunArgs { options, words } = args;
    let mut words: Vec<String> = words.into_iter().skip(1).collect();
    let name = context.alias.full_name(&call.name);
    let Some(command) = commands.iter().find(|command| command.name == name) else {
        let unlisted = Command {
            name: name.clone(),
            has_context: true,
            ..Command::default()
        };
        let target = resolve(&unlisted, &call.name, words, options.nodes).ok();
        let unknown = help::unknown_command(&call.name, &commands, context);
        return Err(suggest::for_command(unknown, &name, target, &connection).await);
    };
    if call.separator_follows_node && command.has_context {
        words.remove(1);
    }
    let first = words.first().cloned();
    let run = if call.after_run { "run " } else { "" };
    let called = format!("{} {run}{}", context.alias.program, call.name);
    let target = resolve(command, &called, words, options.nodes.clone())?;
    if let Some(word) = first.filter(|_| call.set_follows_word) {
        nodes::check_is_argument(&word, &connection).await?;
    }
    start(&connection, command, target, &options, context).await
}

/// Runs `command` on its target: the exit code.
pub(crate) async fn start(
    connection: &Connection,
    command: &Command,
    target: RunTarget,
    options: &RunOptions,
    context: &mut Context<'_>,
) -> Result<u8> {
    let prefixed = target.prefixed;
    let mut request = build_request(command, target, options)?;
    check_features(connection, &request)?;
    let asks = !command.confirmation.is_empty() && !context.globals.confirm;
    if asks && !options.dry_run {
        confirm::require_terminal(&command.name)?;
    }
    let expected = options.expect_nodes;
    if let Some(limit @ MaxFailures::Percent(_)) = options.max_failures {
        let plan = fetch_plan(connection, &request, expected).await?;
        request.max_failures = limit.of(plan.jobs.len());
        request.expected_nodes = u32::try_from(nodes_of(&plan)).ok();
    }
    if options.dry_run {
        return plan::print_plan(&fetch_plan(connection, &request, expected).await?, context);
    }
    let mut shown = None;
    if asks {
        let plan = fetch_plan(connection, &request, expected).await?;
        check_plan(&plan, &request)?;
        let is_asked = !plan.confirmation.is_empty();
        if is_asked && !confirm::ask_user(&plan.confirmation, context.output)? {
            return Err(CliError::new(ErrorKind::Declined, "nothing was run"));
        }
        // What was asked about is what runs. A server without plan digests compares the number alone.
        match plan.digest.as_str() {
            "" => request.expected_nodes = u32::try_from(nodes_of(&plan)).ok(),
            digest => request.plan_digest = digest.to_owned(),
        }
        shown = Some(plan);
    }
    request.confirmed = context.globals.confirm || asks;
    let format = context.globals.output;
    let mut renderer = Renderer::new(format, &options.view, prefixed, context.output)?;
    if options.detach {
        return run_detached(connection, &request, shown.as_ref(), context).await;
    }
    // From here on a Ctrl-C is ours: the run may exist from now on.
    let mut interrupt = InterruptWatch::watch(OnSignal::Cancel(Box::new(connection.clone())))?;
    context.output.flush()?;
    let mut starting = pin!(connection.run_command(request.clone()));
    let (run_id, stream) = loop {
        tokio::select! {
            started = &mut starting => match started {
                Ok(started) => break started,
                Err(error) => return Err(explain_refusal(error, connection, &request, shown.as_ref()).await),
            },
            notice = interrupt.next_notice() => {
                session::print_notice(notice, None, context.output)?;
                context.output.flush()?;
            }
        }
    };
    if let Some(id) = &run_id {
        context.update_cache(|cache| {
            cache.update_run(CachedRun::started(id, &command.name, &request.nodes));
        });
    }
    let patience = context.globals.reconnect_for;
    let mut follow = RunFollower::new(connection.clone(), run_id, stream, 0, patience);
    let mode = context.globals.exit.unwrap_or(ExitMode::Largest);
    session::follow_run(&mut follow, &mut renderer, &mut interrupt, mode, context).await
}

/// Starts the run, prints its id and leaves it alone.
async fn run_detached(
    connection: &Connection,
    request: &RunCommandRequest,
    shown: Option<&PlanRunResponse>,
    context: &mut Context<'_>,
) -> Result<u8> {
    let (run_id, mut stream) = match connection.run_command(request.clone()).await {
        Ok(started) => started,
        Err(error) => return Err(explain_refusal(error, connection, request, shown).await),
    };
    let run_id = match run_id {
        Some(run_id) => run_id,
        None => match stream.next().await {
            Ok(Some(event)) => event.run_id,
            _ => {
                let message = "the server did not say which run it is";
                return Err(CliError::new(ErrorKind::Lost, message)
                    .hint("`action-client runs` lists the runs that the server knows"));
            }
        },
    };
    context.update_cache(|cache| {
        cache.update_run(CachedRun::started(
            &run_id,
            &request.command,
            &request.nodes,
        ));
    });
    if context.is_json() {
        json::write(
            &json!({"event": "run_detached", "run_id": run_id}),
            context.output,
        )?;
    } else {
        context.output.line(StdStream::Stdout, &run_id)?;
    }
    Ok(0)
}

/// The request that the command line stands for, before anything was asked.
fn build_request(
    command: &Command,
    target: RunTarget,
    options: &RunOptions,
) -> Result<RunCommandRequest> {
    let user = LocalUser::of_process();
    Ok(RunCommandRequest {
        command: command.name.clone(),
        nodes: target.nodes,
        arguments: target.arguments,
        fanout: options.fanout.unwrap_or(0),
        timeout: options.timeout.map(to_proto).transpose()?,
        expected_nodes: options.expect_nodes,
        detach_policy: DetachPolicy::KeepRunning.into(),
        request_username: user.name,
        request_uid: user.id,
        exclude: options.exclude.clone().unwrap_or_default(),
        max_failures: match options.max_failures {
            Some(MaxFailures::Count(number)) => number,
            Some(MaxFailures::Percent(_)) | None => 0,
        },
        wait: options.wait_mode(),
        plan_digest: options.plan.clone().unwrap_or_default(),
        reason: options.reason.clone().unwrap_or_default(),
        ..RunCommandRequest::default()
    })
}

/// Refuses options that the server would ignore.
fn check_features(connection: &Connection, request: &RunCommandRequest) -> Result<()> {
    let is_used = |feature| match feature {
        "plan_digest" => !request.plan_digest.is_empty(),
        _ => !request.reason.is_empty(),
    };
    for (option, feature) in FEATURE_OPTIONS {
        if is_used(feature) && !connection.has_feature(feature) {
            let message = format!("this server does not support {option}; nothing was run");
            return Err(CliError::new(ErrorKind::Refused, message)
                .hint("it is older than this client; ask its admin to upgrade it"));
        }
    }
    Ok(())
}

/// What a request would run now.
async fn fetch_plan(
    connection: &Connection,
    request: &RunCommandRequest,
    expected: Option<u32>,
) -> Result<PlanRunResponse> {
    let request = PlanRunRequest {
        command: request.command.clone(),
        nodes: request.nodes.clone(),
        arguments: request.arguments.clone(),
        fanout: request.fanout,
        timeout: request.timeout,
        exclude: request.exclude.clone(),
        report_forbidden: false,
        wait: request.wait,
        max_failures: request.max_failures,
        reason: request.reason.clone(),
    };
    match connection.plan_run(request).await {
        Ok(plan) => check_node_count(plan, expected),
        Err(error) => Err(suggest::for_node(error, connection).await),
    }
}

/// Refuses what the server would refuse, before anything is asked.
fn check_plan(plan: &PlanRunResponse, request: &RunCommandRequest) -> Result<()> {
    if !request.plan_digest.is_empty() && request.plan_digest != plan.digest {
        let message = "the plan is not the one of --plan; nothing was run";
        return Err(CliError::new(ErrorKind::PlanChanged, message)
            .caused_by(format!("its node set is {} now", plan.nodes))
            .hint("--dry-run shows the plan as it is now"));
    }
    if request.reason.is_empty() && plan.requires.iter().any(|it| it == "reason") {
        let message = "the policy requires --reason; nothing was run";
        return Err(CliError::new(ErrorKind::Refused, message).hint("--reason TEXT says why"));
    }
    Ok(())
}

/// The error of a run that was not started. Where its plan has changed, with the nodes that it was
/// shown with and those that it would have now.
async fn explain_refusal(
    error: CliError,
    connection: &Connection,
    request: &RunCommandRequest,
    shown: Option<&PlanRunResponse>,
) -> CliError {
    let text = error.to_string();
    if error.kind() != ErrorKind::PlanChanged {
        // Of the policy that requires it, and of a text that the server does not take for one.
        let is_of_plan = ["--plan;", "--plan and", "plan_digest: "];
        if is_of_plan.iter().any(|part| text.contains(part)) {
            return error.hint(PLAN_SOURCE);
        }
        return suggest::for_node(error, connection).await;
    }
    let error = if text.contains("request") {
        error.hint("give the same arguments, reason and limits as with --dry-run")
    } else {
        error.hint("--dry-run shows the plan as it is now")
    };
    match (shown, fetch_plan(connection, request, None).await) {
        (Some(was), Ok(is)) => match plan_difference(was, &is) {
            Some(text) => error.caused_by(text),
            None => error,
        },
        (None, Ok(is)) if text.contains("nodes") && !is.nodes.is_empty() => {
            let nodes = &is.nodes;
            error.caused_by(format!(
                "the nodes or their order changed: the node set is {nodes} now"
            ))
        }
        _ => error,
    }
}

/// How the nodes of two plans differ.
fn plan_difference(was: &PlanRunResponse, is: &PlanRunResponse) -> Option<String> {
    let names = |plan: &PlanRunResponse| -> Vec<String> {
        plan.jobs.iter().map(|job| job.node.clone()).collect()
    };
    match (names(was), names(is)) {
        (before, now) if before == now => None,
        _ if was.nodes != is.nodes => Some(format!(
            "the node set was {}, is {} now",
            was.nodes, is.nodes
        )),
        _ => Some(format!("the order of {} changed", is.nodes)),
    }
}

fn nodes_of(plan: &PlanRunResponse) -> usize {
    plan.jobs.iter().filter(|job| !job.node.is_empty()).count()
}

/// Refuses a plan for another number of nodes than the user expects, before anything is asked.
fn check_node_count(plan: PlanRunResponse, expected: Option<u32>) -> Result<PlanRunResponse> {
    let nodes = nodes_of(&plan);
    match expected {
        Some(expected) if usize::try_from(expected) != Ok(nodes) => {
            let message = format!(
                "{expected} nodes are expected, and it is {nodes}: {}",
                plan.nodes
            );
            Err(CliError::new(ErrorKind::Refused, message))
        }
        _ => Ok(plan),
    }
}

fn to_proto(duration: Duration) -> Result<prost_types::Duration> {
    duration
        .try_into()
        .map_err(|_| CliError::usage("--timeout is longer than any time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::PlannedJob;

    fn fetch_plan(names: &[&str]) -> PlanRunResponse {
        let job = |name: &&str| PlannedJob {
            node: (*name).to_owned(),
            ..PlannedJob::default()
        };
        PlanRunResponse {
            nodes: action_proto::fold(names.iter().copied()),
            jobs: names.iter().map(job).collect(),
            ..PlanRunResponse::default()
        }
    }

    #[test]
    fn another_order_is_told_from_other_nodes() {
        let was = fetch_plan(&["n1", "n2"]);
        assert_eq!(plan_difference(&was, &fetch_plan(&["n1", "n2"])), None);
        assert_eq!(
            plan_difference(&was, &fetch_plan(&["n2", "n1"])).as_deref(),
            Some("the order of n[1-2] changed")
        );
        assert_eq!(
            plan_difference(&was, &fetch_plan(&["n1", "n3"])).as_deref(),
            Some("the node set was n[1-2], is n[1,3] now")
        );
    }
}
