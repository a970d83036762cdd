//! Owns what is common to all command lines: options and their values, the names that the program is
//! called by, and the server's commands as they are written. Pure.

pub(crate) mod globals;
pub(crate) mod max_failures;
pub(crate) mod program_alias;
pub(crate) mod run_options;
pub(crate) mod run_target;
pub(crate) mod server_commands;
pub(crate) mod syntax;
pub(crate) mod values;
