//! The command line client of Action: runs an admin's commands on nodes, through the server's
//! gRPC API, and shows their output as it happens.
//!
//! Imports go one way: `cli -> commands -> {complete, follow, confirm, interrupt} -> arguments -> render -> connection`.

mod arguments;
mod cli;
mod commands;
mod complete;
mod config;
mod confirm;
mod connection;
mod environment;
mod error;
mod exit;
mod follow;
mod interrupt;
mod render;
mod stop_signals;
mod token_expiry;

use std::ffi::OsString;
use std::process::ExitCode;

/// Messages with output are smaller, in bytes.
const BLOCK: usize = 1 << 20;

/// Runs the client with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    // Makes the C library keep freed blocks of messages: mallopt(3), M_MMAP_THRESHOLD.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(cli::run(&args, &environment::Environment::of_process()))
}
