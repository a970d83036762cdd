//! Owns the running of a command: confirmation, the request, and then its output.

use crate::cli::limit::MaxFailures;
use crate::cli::options::RunOptions;
use crate::cli::target::Target;
use crate::commands::{Context, plan, session, suggest};
use crate::complete::known::KnownRun;
use crate::confirm;
use crate::connection::Connection;
use crate::environment::LocalUser;
use crate::error::{CliError, ErrorKind, Result};
use crate::exit::ExitMode;
use crate::follow::Follow;
use crate::interrupt::{Answer, Interrupt};
use crate::render::output::Target as Stream;
use crate::render::{Renderer, json};
use action_proto::v1::{Command, DetachPolicy, PlanRunRequest, PlanRunResponse, RunCommandRequest};
use serde_json::json;
use std::pin::pin;
use std::time::Duration;

/// Runs `command` on its target: the exit code.
pub(crate) async fn run(
    connection: &Connection,
    command: &Command,
    target: Target,
    options: &RunOptions,
    context: &mut Context<'_>,
) -> Result<u8> {
    let timeout = options.timeout.map(to_proto).transpose()?;
    let fanout = options.fanout.unwrap_or(0);
    let Target {
        nodes,
        arguments,
        prefixed,
    } = target;
    let exclude = match &options.exclude {
        // As from a variable that is not set: nodes would be run on that were to be left out.
        Some(set) if set.trim().is_empty() => {
            return Err(CliError::usage("the node set of --exclude is empty"));
        }
        exclude => exclude.clone().unwrap_or_default(),
    };
    let planning = async || {
        let request = PlanRunRequest {
            command: command.name.clone(),
            nodes: nodes.clone(),
            arguments: arguments.clone(),
            fanout,
            timeout,
            exclude: exclude.clone(),
            report_forbidden: false,
            wait: options.waits(),
        };
        match connection.plan_run(request).await {
            Ok(plan) => expect(plan, options.expect_nodes),
            Err(error) => Err(suggest::for_node(error, connection).await),
        }
    };
    if options.dry_run {
        return plan::show(&planning().await?, context);
    }
    let asks = !command.confirmation.is_empty() && !context.globals.confirm;
    if asks {
        confirm::require_terminal(&command.name)?;
    }
    let mut expected_nodes = options.expect_nodes;
    let mut max_failures = match options.max_failures {
        Some(MaxFailures::Count(number)) => number,
        Some(MaxFailures::Percent(_)) | None => 0,
    };
    if asks || matches!(options.max_failures, Some(MaxFailures::Percent(_))) {
        let plan = planning().await?;
        // What was asked about is what runs: the server refuses another number of nodes.
        expected_nodes = u32::try_from(nodes_of(&plan)).ok();
        if let Some(limit) = options.max_failures {
            max_failures = limit.of(plan.jobs.len());
        }
        let question = if plan.confirmation.is_empty() {
            &command.confirmation
        } else {
            &plan.confirmation
        };
        if asks && !confirm::ask(question, context.output)? {
            return Err(CliError::new(ErrorKind::Declined, "nothing was run"));
        }
    }
    let format = context.globals.output;
    let mut renderer = Renderer::new(format, &options.view, prefixed, context.output)?;
    let user = LocalUser::of_process();
    let request = RunCommandRequest {
        command: command.name.clone(),
        nodes: nodes.clone(),
        arguments,
        fanout,
        timeout,
        confirmed: context.globals.confirm || asks,
        expected_nodes,
        detach_policy: DetachPolicy::KeepRunning.into(),
        request_username: user.name,
        request_uid: user.id,
        exclude,
        max_failures,
        wait: options.waits(),
    };
    if options.detach {
        return detach(connection, request, context).await;
    }
    // From here on a Ctrl-C is ours: the run may exist from now on.
    let mut interrupt = Interrupt::watch(Answer::Cancel(Box::new(connection.clone())))?;
    context.output.flush()?;
    let mut starting = pin!(connection.run_command(request));
    let (run_id, stream) = loop {
        tokio::select! {
            started = &mut starting => match started {
                Ok(started) => break started,
                Err(error) => return Err(suggest::for_node(error, connection).await),
            },
            notice = interrupt.notice() => {
                session::say(notice, None, context.output)?;
                context.output.flush()?;
            }
        }
    };
    if let Some(id) = &run_id {
        context.learn(|store| store.learn_run(KnownRun::started(id, &command.name, &nodes)));
    }
    let patience = context.globals.reconnect_for;
    let mut follow = Follow::new(connection.clone(), run_id, stream, 0, patience);
    let mode = context.globals.exit.unwrap_or(ExitMode::Largest);
    session::follow(&mut follow, &mut renderer, &mut interrupt, mode, context).await
}

/// Starts the run, prints its id and leaves it alone.
async fn detach(
    connection: &Connection,
    request: RunCommandRequest,
    context: &mut Context<'_>,
) -> Result<u8> {
    let (command, nodes) = (request.command.clone(), request.nodes.clone());
    let (run_id, mut stream) = match connection.run_command(request).await {
        Ok(started) => started,
        Err(error) => return Err(suggest::for_node(error, connection).await),
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
    context.learn(|store| store.learn_run(KnownRun::started(&run_id, &command, &nodes)));
    if context.is_json() {
        json::write(
            &json!({"event": "run_detached", "run_id": run_id}),
            context.output,
        )?;
    } else {
        context.output.line(Stream::Stdout, &run_id)?;
    }
    Ok(0)
}

fn nodes_of(plan: &PlanRunResponse) -> usize {
    plan.jobs.iter().filter(|job| !job.node.is_empty()).count()
}

/// Refuses a plan for another number of nodes than the user expects, before anything is asked.
fn expect(plan: PlanRunResponse, expected: Option<u32>) -> Result<PlanRunResponse> {
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
    if duration.is_zero() {
        return Err(CliError::usage("--timeout is 0, so nothing could run"));
    }
    duration
        .try_into()
        .map_err(|_| CliError::usage("--timeout is longer than any time"))
}
