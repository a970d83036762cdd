//! The real server, for the tests to start.
fn main() -> std::process::ExitCode {
    action_server::main()
}
