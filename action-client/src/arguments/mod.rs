//! Options and their values, program names, and the server's commands as clap has them. Pure.

pub(crate) mod globals;
pub(crate) mod max_failures;
pub(crate) mod program_alias;
pub(crate) mod run_options;
pub(crate) mod run_target;
pub(crate) mod server_commands;
pub(crate) mod syntax;
pub(crate) mod values;
