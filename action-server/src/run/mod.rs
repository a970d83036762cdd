//! Runs: from a plan to events in the record.
//!
//! The registry makes a run's record and its owner. The owner, one task a run, hands out
//! permits to start, gathers what its jobs tell, and writes it down. A job, one task a node,
//! starts the script and sees it to its end. Events go up, a stop goes down; nothing is shared.

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
mod running_script;
mod scheduler;
mod script_call;
mod script_output;
mod shared;
mod slots;
mod starter;
mod verify;

pub use load::Load;
pub use owner::RunStatus;
pub use prepared::PreparedRun;
pub use progress::{Stop, StopOrder};
pub use registry::{LiveStatus, Registry};
pub use shared::RunLimits;
pub use starter::{StartError, Starter};
