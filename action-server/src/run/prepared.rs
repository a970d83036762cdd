//! The start of a run in two steps: first what waits for the disk and may fail, then what does neither.
//!
//! The call of a caller whose deadline has passed, or who went away, is dropped while it waits. A run
//! that is not launched by then never is, so a caller who is told that the call failed has started
//! nothing.

use std::sync::{Arc, Mutex};

use action_proto::v1::Outcome;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Registry, StartError, Starter,
    owner::Owner,
    recorder::Recorder,
    registry::{Leave, Live, Room},
    shared::Shared,
};
use crate::{
    audit::{self, Audit},
    catalogue::Plan,
    record::{Entry, Reader, RunId, Store, Writer, check_length},
};

/// A run that is on the disk and in the audit log, and not started. Where it is dropped it never is.
#[must_use]
pub struct PreparedRun {
    registry: Registry,
    room: Room,
    entry: DiscardOnDrop,
    writer: Writer,
    reader: Reader,
    plan: Plan,
    starter: Starter,
}

impl Registry {
    /// Prepares a run: puts its first event on the disk, and its line into the audit log. Blocks for
    /// the disk.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left of the run then.
    pub fn prepare(&self, plan: Plan, starter: Starter) -> Result<PreparedRun, StartError> {
        let inner = &self.inner;
        let room = inner.room(&starter.identity.username)?;
        let first = starter.first_event(&plan);
        check_length(&first)?;
        let (entry, writer) = inner.store.create(first).map_err(StartError::Record)?;
        let discard = || inner.store.discard(&entry);
        // Opened now: a run that is started must not fail for want of a descriptor to show it.
        let reader = inner.store.read_new(&entry, &writer);
        let reader = reader
            .inspect_err(|_| discard())
            .map_err(StartError::Record)?;
        starter
            .commit(&inner.audit, writer.id(), &plan)
            .inspect_err(|_| discard())
            .map_err(StartError::Audit)?;
        let entry = DiscardOnDrop {
            store: Arc::clone(&inner.store),
            audit: inner.audit.clone(),
            entry,
            is_kept: false,
        };
        Ok(PreparedRun {
            registry: self.clone(),
            room,
            entry,
            writer,
            reader,
            plan,
            starter,
        })
    }
}

impl PreparedRun {
    /// Starts the run, which will be seen to its end whatever becomes of the caller. Waits for
    /// nothing. Returns a reader of its events from the first.
    pub fn launch(self) -> (RunId, Reader) {
        let PreparedRun {
            registry,
            room,
            entry,
            writer,
            reader,
            plan,
            starter,
        } = self;
        let inner = Arc::clone(&registry.inner);
        let run_id = writer.id().clone();
        let orders = watch::Sender::new(None);
        let orders_receiver = orders.subscribe();
        let status = Arc::new(Mutex::default());
        let live = Live {
            entry: Arc::clone(&entry.entry),
            watermark: writer.watermark(),
            orders,
            status: Arc::clone(&status),
        };
        let shared = Arc::new(Shared {
            run_id: run_id.clone(),
            span: starter.begin_span(&run_id, &plan),
            identity: starter.identity,
            who: starter.who,
            files: starter.files,
            max_failures: starter.max_failures,
            plan,
            limits: Arc::clone(&inner.limits),
            descendants: inner.descendants.clone(),
            audit: inner.audit.clone(),
            logged_start_failure: false.into(),
        });
        let meter = inner.metrics.run_accepted(&shared.plan.command.name);
        let recorder = Recorder::new(writer, Arc::clone(&inner.store), meter);
        let slots = inner.slots.clone();
        let owner = Owner::new(shared, recorder, slots, orders_receiver, status);
        registry.live().insert(run_id.clone(), live);
        // Found by others only now: whoever finds it finds it alive.
        entry.keep();
        let guard = Leave::new(registry, run_id.clone(), room);
        tokio::spawn(async move {
            owner.run().await;
            drop(guard);
        });
        (run_id, reader)
    }
}

/// The record of a run that may never be started.
struct DiscardOnDrop {
    store: Arc<Store>,
    audit: Audit,
    entry: Arc<Entry>,
    is_kept: bool,
}

impl DiscardOnDrop {
    /// Lets others find the record.
    fn keep(mut self) {
        self.is_kept = true;
        self.store.add(Arc::clone(&self.entry));
    }
}

impl Drop for DiscardOnDrop {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let entry = Arc::clone(&self.entry);
        let why = "its caller went away, or its deadline passed, before it was started";
        tracing::info!(run_id = %entry.id, "a run was not started: {why}");
        self.audit.note(audit::Event {
            outcome: Some(Outcome::NotStarted.label().to_owned()),
            reason: Some(why.to_owned()),
            ..audit::Event::of_run("run_finished", &entry.id)
        });
        // Where no runtime is left the next start sees to it.
        if let Ok(runtime) = Handle::try_current() {
            let store = Arc::clone(&self.store);
            runtime.spawn_blocking(move || store.discard(&entry));
        }
    }
}
