//! The original's own libexec layout works: helpers that are sourced, scripts in
//! sub-directories that other scripts call, `SCRIPT_ROOT`, and its `metadata.yaml`.
//! The files are in `fixtures/original`.

use std::{fs, path::Path};

use action_tests::{Server, Site, on, with_arguments};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap().is_dir() {
            true => copy(&from, &to),
            // With its mode.
            false => _ = fs::copy(from, to).unwrap(),
        }
    }
}

fn serving() -> Server {
    let site = Site::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/original");
    copy(&fixture.join("libexec"), &site.path("libexec"));
    fs::copy(fixture.join("nodes.yaml"), site.path("nodes.yaml")).unwrap();
    site.start()
}

#[test]
fn helpers_are_sourced_and_no_commands() {
    let server = serving();
    let api = server.api();
    assert_eq!(
        api.command_names(),
        [
            "estate-change",
            "estate-grow",
            "power-off",
            "power-on",
            "power-status"
        ]
    );
    let run = api.run(on("power-status", "cnode[01-02]"));
    assert_eq!(run.answer_of("cnode01"), "ON\n");
    assert_eq!(run.answer_of("cnode02"), "ON\n");
}

#[test]
fn scripts_call_scripts_in_sub_directories_of_other_commands() {
    let server = serving();
    let api = server.api();
    let run = api.run(with_arguments(
        "estate-change",
        "cnode01",
        &["general-large"],
    ));
    assert_eq!(
        run.answer_of("cnode01"),
        "Powering off...OK\nChanging machine type to f1.large...OK\nPowering on...OK\n"
    );
    let run = api.run(with_arguments(
        "estate-change",
        "cnode01",
        &["general-huge"],
    ));
    assert_eq!(run.end_of("cnode01").exit_code, Some(1));
    assert_eq!(
        run.stderr_of("cnode01"),
        b"Unknown machine type 'general-huge'\n"
    );
}

#[test]
fn a_node_of_another_rank_gets_the_default_script() {
    let server = serving();
    let run = server.api().run(on("power-status", "node01"));
    assert_eq!(run.end_of("node01").exit_code, Some(1));
    assert_eq!(
        run.stderr_of("node01"),
        b"The command 'power-status' has not been configured for node 'node01'\n"
    );
}

#[test]
fn a_command_without_context_runs_once_and_takes_its_arguments() {
    let server = serving();
    let ran = server.client().run(&["estate-grow", "general-small", "3"]);
    insta::assert_snapshot!(ran, @"
    growing by 3 of general-small for ''
    ------- stderr -------
    ------- exit 0 -------
    ");
    let (code, text) = server.api().refused(on("estate-grow", "cnode01"));
    assert_eq!(code, tonic::Code::InvalidArgument);
    assert_eq!(text, "the command estate-grow takes no nodes");
}

#[test]
fn syntax_and_description_are_shown_as_written() {
    let server = serving();
    let ran = server.client().run(&["help", "estate-change"]).ok();
    let help = ran.stdout();
    insta::assert_snapshot!(help.split("Options:").next().unwrap(), @"
    Changes the machine type of a node to TYPE.
    The available types are:

      general-small
      general-large

    Usage: action-client estate-change [OPTIONS] NAME TYPE
           action-client estate-change [OPTIONS] -g NODES TYPE
    ");
}

#[test]
fn a_confirmation_names_the_nodes() {
    let server = serving();
    let client = server.client();
    let words = ["run", "power-off", "-g", "cnode[01-02]"];
    let ran = client.run_on_terminal(&words, "y\n").ok();
    let question = "Power off cnode[01-02], confirm to proceed [y/n]? ";
    assert!(ran.stdout().contains(question), "{ran}");
    let run = server.api().run(on("power-status", "cnode[01-02]"));
    assert_eq!(run.answer_of("cnode01"), "OFF\n");
    assert_eq!(run.answer_of("cnode02"), "OFF\n");
}
