//! The real client, for the tests to start.
fn main() -> std::process::ExitCode {
    action_client::main()
}
