//! `can-i`: whether, and on which nodes, the user may run a command.

use crate::arguments::values::{empty_value, is_empty_set};
use crate::commands::{Context, suggest};
use crate::error::{CliError, Result};
use crate::render::json;
use crate::render::output::StdStream;
use action_proto::v1::{PlanRunRequest, PlanRunResponse};
use clap::Args;
use serde_json::json;

/// The exit code of a no.
const NO: u8 = 1;

/// How the server begins a refusal for want of a right.
const REFUSAL: &str = "you may not run ";

#[derive(Args, Debug)]
pub(crate) struct CanIArgs {
    /// The command
    #[arg(value_name = "COMMAND")]
    command: String,
    /// The node, unless -g has nodes or the command takes none, and the command's arguments
    #[arg(value_name = "NODE ARG", num_args = 0..)]
    words: Vec<String>,
    /// The nodes
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    nodes: Option<String>,
    /// Exclude these nodes
    #[arg(long, value_name = "NODES")]
    exclude: Option<String>,
}

pub(crate) async fn run(args: CanIArgs, context: &mut Context<'_>) -> Result<u8> {
    let connection = context.connect().await?;
    let commands = connection.list_commands().await?;
    let listed = commands.iter().find(|it| it.name == args.command);
    let mut words = args.words.into_iter();
    let nodes = match (args.nodes, listed) {
        (Some(nodes), _) => nodes,
        // The server refuses an unlisted one before it looks at nodes.
        (None, None) => words.next().unwrap_or_default(),
        (None, Some(command)) if command.has_context => words.next().ok_or_else(|| {
            let usage = format!("`{}` needs a node", args.command);
            let hint = format!("for several nodes: can-i {} -g NODES", args.command);
            CliError::usage(usage).hint(hint)
        })?,
        (None, Some(_)) => String::new(),
    };
    if listed.is_some_and(|command| command.has_context) && is_empty_set(&nodes) {
        return Err(empty_value("the node set"));
    }
    let request = PlanRunRequest {
        command: args.command.clone(),
        nodes,
        arguments: words.collect(),
        exclude: args.exclude.unwrap_or_default(),
        report_forbidden: true,
        ..PlanRunRequest::default()
    };
    let plan = match connection.plan_run(request).await {
        Ok(plan) => plan,
        // Of what may not be seen the server says no more.
        Err(error) if error.to_string().starts_with(REFUSAL) => {
            let text = error.to_string();
            context.output.safe_line(StdStream::Stderr, &text)?;
            PlanRunResponse::default()
        }
        Err(error) => return Err(suggest::for_node(error, &connection).await),
    };
    if context.is_json() {
        let object = json!({
            "event": "permission",
            "command": args.command,
            "permitted": plan.permitted,
            "nodes": plan.nodes,
            "forbidden_nodes": plan.forbidden_nodes,
            "rules": plan.rules,
            "requires": plan.requires,
        });
        json::write(&object, context.output)?;
    } else {
        for line in answer_lines(&plan) {
            context.output.safe_line(StdStream::Stdout, &line)?;
        }
    }
    Ok(if plan.permitted { 0 } else { NO })
}

/// An answer for each set of nodes, in words that start with it.
fn answer_lines(plan: &PlanRunResponse) -> Vec<String> {
    let mut lines = Vec::new();
    if !plan.nodes.is_empty() {
        lines.push(format!("yes  {} ({})", plan.nodes, plan.jobs.len()));
    }
    if !plan.forbidden_nodes.is_empty() {
        lines.push(format!("no   {}", plan.forbidden_nodes));
    }
    if lines.is_empty() {
        lines.push(if plan.permitted { "yes" } else { "no" }.to_owned());
    }
    if !plan.requires.is_empty() {
        lines.push(format!("with --{}", plan.requires.join(" and --")));
    }
    if !plan.rules.is_empty() {
        lines.push(format!("by   {}", plan.rules.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::PlannedJob;

    #[test]
    fn the_answer_is_folded() {
        let mut plan = PlanRunResponse {
            nodes: "n[1-2]".into(),
            jobs: vec![PlannedJob::default(); 2],
            forbidden_nodes: "head1".into(),
            rules: vec!["ops".into(), "no heads".into()],
            ..PlanRunResponse::default()
        };
        assert_eq!(
            answer_lines(&plan),
            ["yes  n[1-2] (2)", "no   head1", "by   ops, no heads"]
        );
        plan.requires = vec!["reason".into(), "plan".into()];
        assert_eq!(answer_lines(&plan)[2], "with --reason and --plan");
        plan.requires.clear();
        plan.nodes.clear();
        plan.forbidden_nodes.clear();
        assert_eq!(answer_lines(&plan)[0], "no");
        plan.permitted = true;
        assert_eq!(answer_lines(&plan)[0], "yes");
    }
}
