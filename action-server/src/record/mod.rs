//! The record: every event of every run, on disk before anybody is sent it.
//!
//! One file a run, one writer, any number of readers. The writer appends and then raises a
//! watermark; a reader reads up to the watermark and sleeps on it. So all readers see the same
//! bytes, a slow one slows nobody, and memory does not grow with output.

mod format;
mod id;
mod reader;
mod store;
mod writer;

pub use format::{Damage, HEADER_LEN};
pub use id::RunId;
pub use reader::Reader;
pub use store::{Store, StoreError};
pub use writer::{Watermark, Writer};
