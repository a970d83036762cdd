//! The original's own libexec layout works: helpers that are sourced, scripts in
//! sub-directories that other scripts call, `SCRIPT_ROOT`, and its `metadata.yaml`.
//! The files are in `fixtures/original`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

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
            "estate-show",
            "power-cycle",
            "power-off",
            "power-on",
            "power-status",
            "usage"
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
    let question = "Power off cnode[01-02] (2 nodes), confirm to proceed [y/n]? ";
    assert!(ran.stdout().contains(question), "{ran}");
    let run = server.api().run(on("power-status", "cnode[01-02]"));
    assert_eq!(run.answer_of("cnode01"), "OFF\n");
    assert_eq!(run.answer_of("cnode02"), "OFF\n");
}

/// The original's own directories, left as they are, with settings of ours that point at them.
fn moved() -> Server {
    let site = Site::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/original");
    copy(&fixture.join("libexec"), &site.path("action-api/libexec"));
    fs::create_dir_all(site.path("action-api/config")).unwrap();
    let nodes = site.path("action-api/config/nodes.yaml");
    fs::copy(fixture.join("nodes.yaml"), nodes).unwrap();
    // Where it keeps its secret, in the form that it makes it.
    fs::create_dir_all(site.path("action-api/etc")).unwrap();
    let secret = site.path("action-api/etc/shared-secret.conf");
    fs::write(&secret, "0aB1".repeat(13)).unwrap();
    fs::set_permissions(secret, fs::Permissions::from_mode(0o400)).unwrap();
    site.write(
        "server.yaml",
        "jwt_secret_path: action-api/etc/shared-secret.conf\n\
         nodes_config_path: action-api/config/nodes.yaml\n\
         command_directory_path: action-api/libexec\n\
         working_directory_path: action-api/libexec\n\
         job_threads: 4\nlog_level: info\nstate_directory: state\n",
    );
    let minted = site.server_verb(&["generate-token"]).ok();
    let token = minted.stdout();
    site.write("client.yaml", format!("jwt_token: {token}"));
    site.start()
}

#[test]
fn its_directories_are_used_where_they_are() {
    let server = moved();
    let client = server.client();
    let power = client.clone().called("flight-power");
    let estate = client.clone().called("flight-estate");
    let said = |words: &[&str], client: &action_tests::Client| client.run(words).ok().stdout();
    assert_eq!(
        said(&["estate-list"], &client),
        "node01\ncnode01\ncnode02\n"
    );
    for (words, state) in [
        (&["off", "cnode01", "--confirm"][..], "OFF\n"),
        (&["on", "cnode01"], "ON\n"),
        (&["cycle", "cnode01", "--confirm"], "ON\n"),
    ] {
        assert_eq!(said(words, &power), "OK\n", "{words:?}");
        assert_eq!(said(&["status", "cnode01"], &power), state, "{words:?}");
    }
    let both = said(&["status", "-g", "cnode01,cnode02"], &power);
    let mut both: Vec<_> = both.lines().collect();
    both.sort_unstable();
    assert_eq!(both, ["cnode01: ON", "cnode02: ON"]);
    // Metadata of the node, and the working directory.
    let shown = said(&["show", "cnode01"], &estate);
    assert_eq!(shown, "cnode01 in somewhere from libexec\n");
    let changed = said(&["change", "cnode01", "general-small"], &estate);
    assert!(
        changed.contains("Changing machine type to f1.small...OK\n"),
        "{changed}"
    );
    assert_eq!(
        said(&["usage", "node01"], &client),
        "node01 at 192.168.1.1\n"
    );
}

#[test]
fn check_names_what_is_only_sourced_and_nothing_else() {
    // It could be meant as the script of a rank, so it is told; everything runs all the same.
    let site = moved();
    let named = "libexec/estate-change/machine-type-definitions.sh";
    let ran = site.server_verb(&["check"]);
    assert_eq!((ran.code(), ran.stdout().lines().count()), (78, 1), "{ran}");
    assert!(ran.stdout().contains(&format!("{named}:1: ")), "{ran}");
    let file = site.path("action-api").join(named);
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    _ = site.server_verb(&["check"]).ok();
}

#[test]
fn a_configuration_of_its_client_says_what_to_take_out() {
    let server = moved();
    let address = server.address();
    let token = server.token();
    let etc = server.path("action/etc");
    fs::create_dir_all(&etc).unwrap();
    let file = etc.join("config.yaml");
    let own = format!("base_url: http://{address}\njwt_token: {token}\nverify_ssl: false\n");
    let run = |text: &str| {
        fs::write(&file, text).unwrap();
        let client = action_tests::Client::without_configuration(&server);
        client
            .variable("ACTION_CLIENT_CONFIG", file.clone())
            .run(&["estate-list"])
    };
    assert!(run(&own).ok().stdout().starts_with("node01\n"));
    for (line, told) in [
        ("print_stdout: true", "unknown field `print_stdout`"),
        ("timeout: 300", "timeout"),
    ] {
        let ran = run(&format!("{own}{line}\n"));
        assert_eq!(ran.code(), 255, "{ran}");
        assert!(ran.stderr().contains(told), "{ran}");
    }
}
