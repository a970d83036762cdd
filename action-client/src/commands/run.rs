//! `run`: the request for a command, its confirmation, and its output.

use crate::arguments::max_failures::MaxFailures;
use crate::arguments::run_options::RunOptions;
use crate::arguments::run_target::{CommandCall, RunTarget, resolve};
use crate::commands::{Context, help, nodes, plan, session, suggest};
use crate::complete::server_cache::CachedRun;
use crate::confirm;
use crate::connection::{Connection, EventStream};
use crate::environment::LocalUser;
use crate::error::{CliError, ErrorKind, Result};
use crate::exit::ExitMode;
use crate::follow::RunFollower;
use crate::interrupt::{InterruptWatch, OnSignal};
use crate::render::output::StdStream;
use crate::render::{Renderer, json};
use action_proto::v1::{Command, DetachPolicy, PlanRunResponse, RunCommandRequest};
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
        let plan = plan::fetch_plan(connection, &request, expected).await?;
        request.max_failures = limit.of(plan.jobs.len());
        request.expected_nodes = u32::try_from(plan::nodes_of(&plan)).ok();
    }
    if options.dry_run {
        return plan::print_plan(
            &plan::fetch_plan(connection, &request, expected).await?,
            context,
        );
    }
    let mut shown = None;
    if asks {
        shown = Some(confirm_plan(connection, &mut request, expected, context).await?);
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
    let starting = start_interruptibly(connection, &request, &mut interrupt, context);
    let (run_id, stream) = match starting.await {
        Ok(started) => started,
        Err(error) => {
            return Err(plan::explain_refusal(error, connection, &request, shown.as_ref()).await);
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

/// Asks about the plan, and binds the request to it.
async fn confirm_plan(
    connection: &Connection,
    request: &mut RunCommandRequest,
    expected: Option<u32>,
    context: &mut Context<'_>,
) -> Result<PlanRunResponse> {
    let plan = plan::fetch_plan(connection, request, expected).await?;
    plan::check_plan(&plan, request)?;
    let is_asked = !plan.confirmation.is_empty();
    if is_asked && !confirm::ask_user(&plan.confirmation, context.output)? {
        return Err(CliError::new(ErrorKind::Declined, "nothing was run"));
    }
    // A server without plan digests compares the number of nodes alone.
    if plan.digest.is_empty() {
        request.expected_nodes = u32::try_from(plan::nodes_of(&plan)).ok();
    } else {
        request.plan_digest.clone_from(&plan.digest);
    }
    Ok(plan)
}

/// Starts the run, and prints the notices of signals meanwhile.
async fn start_interruptibly(
    connection: &Connection,
    request: &RunCommandRequest,
    interrupt: &mut InterruptWatch,
    context: &mut Context<'_>,
) -> Result<(Option<String>, EventStream)> {
    let mut starting = pin!(connection.run_command(request.clone()));
    loop {
        tokio::select! {
            started = &mut starting => return started,
            notice = interrupt.next_notice() => {
                session::print_notice(notice, None, context.output)?;
                context.output.flush()?;
            }
        }
    }
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
        Err(error) => return Err(plan::explain_refusal(error, connection, request, shown).await),
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

fn to_proto(duration: Duration) -> Result<prost_types::Duration> {
    duration
        .try_into()
        .map_err(|_| CliError::usage("--timeout is longer than any time"))
}
