//! The stories of the end-to-end suite, one file each: real processes over TCP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod abuse_connections;
mod abuse_frames;
mod abuse_gone;
mod abuse_messages;
mod abuse_silence;
mod agreement;
mod attack_table;
mod audit;
mod audit_faults;
mod bad_headers;
mod bad_metadata;
mod bad_names;
mod bad_nodes_file;
mod bad_scripts;
mod bad_sets;
mod bad_tokens;
mod bad_tokens_many;
mod bad_yaml;
mod bytes;
mod caps;
mod check;
mod client_ci;
mod client_completion;
mod client_confirm;
mod client_errors;
mod client_exit;
mod client_help;
mod client_json;
mod client_rendering;
mod client_run;
mod client_selection;
mod client_terminal;
mod client_thousand;
mod client_verbs;
mod clustershell;
mod crash;
mod disk;
mod drain;
mod edits;
mod environment;
mod examples;
mod fairness;
mod flat;
mod flight_service;
mod front;
mod front_answers;
mod front_silence;
mod health;
mod jobs;
mod keys;
mod kill;
mod lifecycle;
mod limits;
mod listing;
mod metadata;
mod methods;
mod metrics;
mod original;
mod outcomes;
mod packs;
mod policy;
mod process;
mod proto_tools;
mod python;
mod ranks;
mod record;
mod reload;
mod resume;
mod retention;
mod revocation;
mod runs_api;
mod runs_client;
mod runs_stop;
mod seed;
mod ssh;
mod state;
mod streaming;
mod systemd;
mod systemd_journal;
mod systemd_socket;
mod systemd_units;
mod tls;
mod trust;
mod verify;
mod watchers;
mod wide;

/// The harness looks for the programs beside its own; cargo says here where they are.
#[test]
fn the_programs_under_test_are_those_that_cargo_built() {
    let server = env!("CARGO_BIN_EXE_action-server-under-test");
    let client = env!("CARGO_BIN_EXE_action-client-under-test");
    let found = ["action-server", "action-client"].map(action_tests::program::program);
    assert_eq!(found, [server, client].map(std::path::PathBuf::from));
}
