//! Processes: starting a script in a group of its own, signalling it, reading its output, and
//! finding its leftovers. The only module that knows unix, and the only one with `unsafe`.

mod env_marks;
mod group;
mod inherited;
mod interpreter;
mod leftovers;
mod memory;
mod orphans;
mod output;
mod own_processes;
mod proc;
mod process_scanner;
mod process_signal;
mod process_tree;
mod process_view;
mod reaper;
mod script;
mod spawn;
mod startup;

pub use group::ScriptGroup;
pub use inherited::{InheritedError, inherited_listener};
pub use interpreter::env_fault;
pub use leftovers::{EnvMarker, LeftoverScope};
pub use memory::give_back_memory;
pub use orphans::end_orphans;
pub use output::OutputPipe;
pub use proc::ProcessId;
pub use process_tree::ProcessTree;
pub use reaper::{JobInProgress, Reaper, RemainingProcesses};
pub use rustix::process::Signal;
pub use script::{ScriptFileError, check_script};
pub use spawn::{ScriptProcess, ScriptStart, SpawnError, spawn};
pub use startup::{base_environment, prepare_server};
