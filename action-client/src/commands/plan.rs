//! Owns the plan of a run: `--dry-run`, the checks before a question, and why a run was refused.

use crate::arguments::values::PLAN_SOURCE;
use crate::commands::{Context, suggest};
use crate::connection::Connection;
use crate::error::{CliError, ErrorKind, Result};
use crate::render::json;
use crate::render::output::StdStream;
use crate::render::table::{self, or_dash};
use crate::render::time::{duration_seconds, human_duration};
use action_proto::v1::{PlanRunRequest, PlanRunResponse, RunCommandRequest};
use serde_json::{Value, json};

/// Shows the plan: a row or an object for each job.
pub(crate) fn print_plan(plan: &PlanRunResponse, context: &mut Context<'_>) -> Result<u8> {
    if context.is_json() {
        for object in plan_objects(plan) {
            json::write(&object, context.output)?;
        }
        return Ok(0);
    }
    let rows = plan.jobs.iter().map(|job| {
        let node = or_dash(job.node.clone());
        [node, job.rank.clone(), job.script.clone()]
    });
    for line in table::with_head(["NODE", "RANK", "SCRIPT"], rows) {
        context.output.safe_line(StdStream::Stdout, &line)?;
    }
    context
        .output
        .safe_line(StdStream::Stderr, &plan_summary(plan))?;
    if !plan.digest.is_empty() {
        let line = format!("plan: {}", plan.digest);
        context.output.safe_line(StdStream::Stderr, &line)?;
    }
    Ok(0)
}

fn plan_summary(plan: &PlanRunResponse) -> String {
    let jobs = plan.jobs.len();
    let what = if jobs == 1 {
        "job".to_owned()
    } else {
        format!("jobs, at most {} at once", plan.fanout)
    };
    let mut text = format!("would run {jobs} {what}");
    if let Some(timeout) = &plan.timeout {
        text.push_str(&format!(", each for at most {}", human_duration(timeout)));
    }
    if !plan.waits_for.is_empty() {
        text.push_str(&format!("; waits for {}", plan.waits_for.join(" or ")));
    }
    if !plan.requires.is_empty() {
        text.push_str(&format!("; requires --{}", plan.requires.join(" and --")));
    }
    if !plan.confirmation.is_empty() {
        // What the question does not name stands on lines before it.
        let between = if plan.confirmation.contains('\n') {
            '\n'
        } else {
            ' '
        };
        text.push_str(&format!("; asks first:{between}{}", plan.confirmation));
    }
    text
}

fn plan_objects(plan: &PlanRunResponse) -> Vec<Value> {
    let jobs = plan.jobs.iter().map(|job| {
        json!({"event": "planned_job", "node": job.node, "rank": job.rank, "script": job.script})
    });
    let whole = json!({
        "event": "plan",
        "nodes": plan.nodes,
        "confirmation": plan.confirmation,
        "waits_for": plan.waits_for,
        "fanout": plan.fanout,
        "timeout": plan.timeout.as_ref().map(duration_seconds),
        "requires": plan.requires,
        "digest": plan.digest,
    });
    jobs.chain([whole]).collect()
}

/// What a request would run now.
pub(super) async fn fetch_plan(
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
pub(super) fn check_plan(plan: &PlanRunResponse, request: &RunCommandRequest) -> Result<()> {
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

/// The error of a run that was not started, with the changes of its plan.
pub(super) async fn explain_refusal(
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

pub(super) fn nodes_of(plan: &PlanRunResponse) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::PlannedJob;

    #[test]
    fn a_plan_is_summed_up() {
        let job = PlannedJob {
            node: "n1".into(),
            rank: "aws".into(),
            script: "x/aws.sh".into(),
        };
        let mut plan = PlanRunResponse {
            jobs: vec![job.clone()],
            fanout: 8,
            timeout: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..PlanRunResponse::default()
        };
        assert_eq!(plan_summary(&plan), "would run 1 job, each for at most 1m");
        plan.jobs.push(job);
        plan.confirmation = "Sure?".into();
        plan.waits_for = vec!["ON".into(), "PENDING".into()];
        assert_eq!(
            plan_summary(&plan),
            "would run 2 jobs, at most 8 at once, each for at most 1m; waits for ON or PENDING; asks first: Sure?"
        );
        let objects = plan_objects(&plan);
        assert_eq!(objects[0]["script"], "x/aws.sh");
        assert_eq!((objects.len(), &objects[2]["timeout"]), (3, &json!("60s")));
    }

    fn plan_of(names: &[&str]) -> PlanRunResponse {
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
        let was = plan_of(&["n1", "n2"]);
        assert_eq!(plan_difference(&was, &plan_of(&["n1", "n2"])), None);
        assert_eq!(
            plan_difference(&was, &plan_of(&["n2", "n1"])).as_deref(),
            Some("the order of n[1-2] changed")
        );
        assert_eq!(
            plan_difference(&was, &plan_of(&["n1", "n3"])).as_deref(),
            Some("the node set was n[1-2], is n[1,3] now")
        );
    }
}
