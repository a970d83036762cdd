//! Owns `--dry-run`: what a run would do, as the server plans it. Nothing is run.

use crate::commands::Context;
use crate::error::Result;
use crate::render::json;
use crate::render::output::StdStream;
use crate::render::table::{self, or_dash};
use crate::render::time::{duration_seconds, human_duration};
use action_proto::v1::PlanRunResponse;
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
}
