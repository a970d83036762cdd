//! The record: every event of every run, on disk before anybody is sent it.
//!
//! One file a run, one writer, any number of readers. The writer appends and then raises a
//! watermark; a reader reads up to the watermark and sleeps on it. So all readers see the same
//! bytes, a slow one slows no other, and memory does not grow with output.

mod availability;
mod contents;
mod directory;
mod entry;
mod export;
mod file;
mod format;
mod frames;
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

pub use availability::Space;
pub use directory::{StoreError, is_served};
pub use entry::{Entry, Known, RecordFault};
pub use export::{export, to_json};
pub use format::{Damage, HEADER_LEN, TooLong, check_length};
pub use id::RunId;
pub use index::{Position, RunIndex};
pub use interned::NodeList;
pub use reader::Reader;
pub use recover::Unfinished;
pub use retention::Retention;
pub use store::Store;
pub use summary::{RunTexts, Summary};
pub use writer::{Unwritten, Watermark, Writer};
