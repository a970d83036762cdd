//! The record: every event of every run, on disk before any reader gets it.
//!
//! One file a run, one writer, any number of readers. The writer appends and then raises a
//! watermark; a reader reads up to the watermark and sleeps on it. So all readers see the same
//! bytes, a slow one slows no other, and memory does not grow with output.

mod availability;
mod clock;
mod contents;
mod directory;
mod entry;
mod event_log;
mod expiry;
mod export;
mod file;
mod file_log;
mod format;
mod frames;
mod holder;
mod id;
mod index;
mod index_file;
mod interned;
mod jobs;
mod load;
mod lookup;
mod reader;
mod recover;
mod retention;
mod store;
mod summary;
mod syncing;
#[cfg(test)]
mod tests;
mod writer;

pub use availability::DiskSpace;
pub use clock::{ClockPause, SystemClock, accept_clock, check_clock};
pub use directory::{StoreError, is_served};
pub use entry::{RecordEntry, RecordFault, RecordState};
pub use event_log::{EventLog, EventReader, EventWriter, NewRun, UnwrittenEvents};
pub use export::{export, to_json};
pub use file_log::FileLog;
pub use format::{HEADER_LEN, RecordDamage, TooLong, check_length};
pub use holder::StateHolder;
pub use id::RunId;
pub use index::{RunIndex, RunPosition};
pub use interned::NodeList;
pub use reader::RecordReader;
pub use recover::UnfinishedRun;
pub use retention::RetentionLimits;
pub use store::RecordStore;
pub use summary::{RunSummary, RunTexts};
pub use writer::{RecordWriter, Watermark};
