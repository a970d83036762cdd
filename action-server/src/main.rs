//! The program `action-server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    action_server::main()
}
