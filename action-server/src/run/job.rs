//! One job: runs its script, waits for the node's state where the plan says so, and reports the end
//! to the run's owner.

use std::sync::Arc;

use action_proto::v1::{NodeFinished, NodeStarted, Outcome, run_event::Event};
use tokio::sync::{mpsc, watch};

use super::{
    StopOrder,
    running_script::RunningScript,
    script_call::ScriptCall,
    script_output::OutputSink,
    shared::{RunContext, set_span_outcome},
    slots::JobSlot,
    verify,
};
use crate::{crash, traces::Span};

/// Runs one job to its end.
pub(super) async fn run_job(
    context: Arc<RunContext>,
    index: usize,
    slot: JobSlot,
    stop: watch::Receiver<Option<StopOrder>>,
    events: mpsc::Sender<Event>,
) {
    let Some(planned) = context.plan.jobs.get(index) else {
        return;
    };
    let span = Span::current().child("job");
    span.set("action.node", planned.node_name().to_owned());
    span.set("action.command", context.plan.command.name.clone());
    span.set("action.rank", planned.rank.clone());
    let _in_progress = context.reaper.begin_job();
    let mut guard = LostJobGuard {
        node: planned.node_name().to_owned(),
        events: Some(events.clone()),
    };
    crash::point("before-spawn");
    let call = ScriptCall {
        command: &context.plan.command,
        script: &planned.script,
        arguments: &context.plan.arguments,
        timeout: context.plan.timeout,
        alias: None,
    };
    let finished = match call.start(&context, planned).await {
        Err(error) => NodeFinished {
            node: planned.node_name().to_owned(),
            outcome: Outcome::NotStarted.into(),
            message: error.to_string(),
            ..NodeFinished::default()
        },
        Ok(process) => {
            crash::point("after-spawn");
            let started = NodeStarted {
                node: planned.node_name().to_owned(),
                rank: planned.rank.clone(),
                script: context.plan.script_name(&planned.script),
            };
            let sink = OutputSink::Owner(&events);
            let mut script =
                RunningScript::new(&context, planned, &call, process, stop.clone(), sink);
            script.emit(Event::NodeStarted(started));
            let (finished, _) = script.run_to_completion(Some(slot)).await;
            verify::wait_for_state(&context, planned, stop, &events, finished).await
        }
    };
    guard.events = None;
    set_span_outcome(&span, finished.outcome(), &finished.message);
    if let Some(code) = finished.exit_code {
        span.set("action.exit_code", i64::from(code));
    }
    _ = events.send(Event::NodeFinished(finished)).await;
}

/// Reports a job as lost that panicked, so that its run does not wait for it for ever.
struct LostJobGuard {
    node: String,
    events: Option<mpsc::Sender<Event>>,
}

impl Drop for LostJobGuard {
    fn drop(&mut self) {
        let Some(events) = self.events.take() else {
            return;
        };
        let finished = NodeFinished {
            node: std::mem::take(&mut self.node),
            outcome: Outcome::Lost.into(),
            message: "the server failed in this job; how it ended is not known".into(),
            ..NodeFinished::default()
        };
        tokio::spawn(async move {
            _ = events.send(Event::NodeFinished(finished)).await;
        });
    }
}
