//! Runs: from a plan to events in the record.
//!
//! The registry makes a run's record and its owner. The owner, one task a run, starts jobs as the
//! scheduler gives them slots, and records their events. A job, one task a node, runs the script to
//! its end. Events go up, orders to stop go down.

mod error_line;
mod job;
mod load;
mod mask;
mod owner;
mod prepared;
mod progress;
mod recorder;
mod recording;
mod recover;
mod registry;
mod run_origin;
mod running_script;
mod scheduler;
mod script_call;
mod script_output;
mod shared;
mod slots;
mod verify;

pub use load::ServerLoad;
pub use owner::RunStatus;
pub use prepared::PreparedRun;
pub use progress::{StopKind, StopOrder};
pub use registry::{LiveStatus, RunRegistry};
pub use run_origin::{RunOrigin, StartError};
pub use shared::RunLimits;
