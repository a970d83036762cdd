//! The interface of the log of events: append, finish, read from a sequence on. [`FileLog`](super::FileLog) keeps each run in a file of its own.

use std::{io, sync::Arc};

use action_proto::v1::{RunEvent, run_event::Event};
use futures_util::future::BoxFuture;

use super::{RecordEntry, RunId};

/// The events of all runs. Each run has one writer and any number of readers.
pub trait EventLog: Send + Sync {
    /// Begins the log of a new run with its first event, and is done once that is durable. Others find
    /// the run after [`EventWriter::release`]; a writer that is dropped before that leaves nothing.
    ///
    /// Dropping the future leaves nothing either.
    ///
    /// # Errors
    /// The event cannot be kept.
    fn begin(&self, first: Event) -> BoxFuture<'static, io::Result<NewRun>>;

    /// A reader of a run's events after the sequence `after`.
    ///
    /// # Errors
    /// No such run (`NotFound`), or its events cannot be read.
    fn read(
        &self,
        run_id: &RunId,
        after: u64,
    ) -> BoxFuture<'static, io::Result<Box<dyn EventReader>>>;

    /// The sequence of the last event that readers may see of a run that is written here; `None` when
    /// that is its end, or there is no such run. Waits for nothing.
    fn live_sequence(&self, run_id: &RunId) -> Option<u64>;
}

/// A run that is begun, and its events from the first.
pub struct NewRun {
    /// Its entry.
    pub entry: Arc<RecordEntry>,
    /// Appends to it.
    pub writer: Box<dyn EventWriter>,
    /// Reads it.
    pub reader: Box<dyn EventReader>,
}

/// The one writer of a run's events. Each call is done when the events are kept, which takes as long as
/// it takes; a future that is dropped before leaves a writer that can write no more.
pub trait EventWriter: Send {
    /// The run.
    fn run_id(&self) -> &RunId;

    /// Lets others find the run.
    fn release(&mut self);

    /// Numbers the events and appends them, in order.
    ///
    /// # Errors
    /// They cannot be kept now. The log is as if it had not been tried.
    fn append(&mut self, events: Vec<Event>) -> BoxFuture<'_, Result<(), UnwrittenEvents>>;

    /// Appends the last events and is done once the whole log is durable. Readers see them only then.
    ///
    /// # Errors
    /// As of [`EventWriter::append`].
    fn finish(&mut self, events: Vec<Event>) -> BoxFuture<'_, Result<(), UnwrittenEvents>>;

    /// False while there is room for the ends of jobs and runs only.
    fn takes_output(&self) -> bool;
}

/// A reader of a run's events, at its own speed.
pub trait EventReader: Send {
    /// The sequence of the last event that is there now, where there is one.
    fn last_sequence(&self) -> Option<u64>;

    /// The next events, in order: all that are there, up to a bound. Waits while there are none and the
    /// run goes on; none at all is the end.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The events cannot be read, or are damaged where they should be whole.
    fn next(&mut self) -> BoxFuture<'_, io::Result<Vec<RunEvent>>>;
}

/// Events that could not be written. The log is as if it had not been tried.
#[derive(Debug)]
pub struct UnwrittenEvents {
    /// Why.
    pub error: io::Error,
    /// The events, to be tried again.
    pub events: Vec<Event>,
}
