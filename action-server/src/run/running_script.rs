//! A script that runs: its output is passed on, it is ended when it must be, and all that it started
//! is ended after it.

use std::{collections::HashSet, process::ExitStatus};

use action_proto::v1::{NodeFinished, Outcome, run_event::Event};
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    StopKind, StopOrder,
    script_call::ScriptCall,
    script_output::{OutputSink, ScriptOutput},
    shared::RunContext,
    slots::JobSlot,
};
use crate::{
    catalogue::PlannedJob,
    process::{EnvMarker, ProcessId, ProcessTree, ScriptGroup, ScriptProcess},
};

mod cleanup;
mod ending;

/// A script from its start until it and all that it started have ended.
pub(super) struct RunningScript<'a> {
    context: &'a RunContext,
    planned: &'a PlannedJob,
    call: &'a ScriptCall<'a>,
    child: Child,
    group: ScriptGroup,
    marker: EnvMarker,
    output: ScriptOutput<'a>,
    stop: watch::Receiver<Option<StopOrder>>,
    started: Instant,
    /// The end of the script's time; after TERM, of the grace.
    deadline: Instant,
    /// Why and with which outcome the script is being ended; `None` while it is not.
    ending: Option<(Outcome, String)>,
    /// Processes below the script at the signals: these are its own, even if they hide later.
    tree: ProcessTree,
    /// Its processes that had left its group when it was terminated, or were killed.
    leftovers: HashSet<ProcessId>,
    /// True when it did not end after TERM and was killed.
    killed: bool,
    /// True when its processes have no time left.
    is_over: bool,
    /// True when an output was not read to its end.
    is_incomplete: bool,
}

impl<'a> RunningScript<'a> {
    pub(super) fn new(
        context: &'a RunContext,
        planned: &'a PlannedJob,
        call: &'a ScriptCall<'a>,
        (process, marker): (ScriptProcess, EnvMarker),
        stop: watch::Receiver<Option<StopOrder>>,
        sink: OutputSink<'a>,
    ) -> RunningScript<'a> {
        let started = Instant::now();
        let pipes = (process.stdout, process.stderr);
        RunningScript {
            deadline: started + call.timeout,
            started,
            ending: None,
            tree: ProcessTree::default(),
            leftovers: HashSet::new(),
            killed: false,
            is_over: false,
            is_incomplete: false,
            child: process.child,
            group: process.group,
            marker,
            output: ScriptOutput::new(context, planned, pipes, sink),
            context,
            planned,
            call,
            stop,
        }
    }

    /// Hands an event to the owner, before any output.
    pub(super) fn emit(&mut self, event: Event) {
        self.output.emit(event);
    }

    /// Waits for the end, and gives the slot back when the script itself has ended. Returns the end of
    /// the job, and what was captured.
    pub(super) async fn run_to_completion(
        mut self,
        slot: Option<JobSlot>,
    ) -> (NodeFinished, Vec<u8>) {
        let status = self.wait_for_exit().await;
        let duration = self.started.elapsed();
        self.context.reaper.remove_leader(self.group);
        drop(slot);
        self.clean_up().await;
        self.output.flush_masks().await;
        let finished = self.job_end(status, duration);
        (finished, self.output.into_captured())
    }

    /// Passes output on until the script itself has ended, and ends it when it must.
    async fn wait_for_exit(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                // In no order: a script that prints without a pause must not hide the rest.
                () = sleep_until(self.deadline) => match self.child.try_wait() {
                    // The server may have slept too: an end that is there already counts.
                    Ok(Some(status)) => return Ok(status),
                    _ => self.on_timeout().await,
                },
                Ok(()) = self.stop.changed() => match self.child.try_wait() {
                    Ok(Some(status)) => return Ok(status),
                    _ => self.on_stop_order().await,
                },
                _ = self.output.advance() => {}
                status = self.child.wait() => return status,
            }
        }
    }

    /// True when the run was ordered to end its jobs.
    fn is_stopped(&self) -> bool {
        let order = self.stop.borrow();
        order
            .as_ref()
            .is_some_and(|order| order.stop != StopKind::Halt)
    }
}
