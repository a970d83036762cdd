//! The program `action-client`; everything is in the library.

fn main() -> std::process::ExitCode {
    action_client::main()
}
