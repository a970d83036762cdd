//! `log_level`: which lines are logged, and which words are taken for levels.

use action_tests::Site;

fn with_level(level: &str) -> Site {
    let site = Site::new();
    site.settings(&format!("log_level: \"{level}\""));
    site
}

#[test]
fn where_the_server_is_is_told_at_every_level() {
    for level in [
        "warn",
        "error",
        "fatal",
        "Fatal",
        "info,audit=off,action_server=off",
    ] {
        let site = with_level(level);
        site.settings("metrics_listen: \"127.0.0.1:0\"");
        let server = site.start();
        assert_eq!(server.api().node_names(), ["n1"], "{level}");
        server.scrape();
        let log = server.log();
        let told = log
            .lines()
            .filter(|line| !line.contains(" at http://") && !line.contains("listening on "));
        assert_eq!(told.collect::<Vec<_>>(), Vec::<&str>::new(), "{level}");
    }
}

#[test]
fn errors_are_logged_at_fatal_as_the_original_had_it_and_where_nothing_is_said() {
    for level in ["fatal", "", " , "] {
        let site = with_level(level);
        site.command("broken", "");
        site.write("libexec/broken/metadata.yaml", "help: {}\n");
        let server = site.start();
        server.wait_for_log("ERROR");
        assert!(
            server.log().contains("help.summary is missing"),
            "{}",
            server.log()
        );
    }
}

#[test]
fn what_is_no_level_is_refused() {
    for level in ["warning", "bogus", "info,bogus", "debug,audit=loud"] {
        let site = with_level(level);
        for ran in [site.refused(), site.server_verb(&["check"])] {
            let stderr = ran.stderr();
            assert!(stderr.starts_with("error: SITE/server.yaml:"), "{ran}");
            assert!(stderr.contains(": log_level: "), "{ran}");
            assert_eq!(ran.code(), 78, "{level}");
        }
    }
    insta::assert_snapshot!(with_level("warning").refused(), @r#"
    ------- stderr -------
    error: SITE/server.yaml:8: log_level: "warning" is not error, warn, info, debug, trace or off, nor TARGET=LEVEL
    ------- exit 78 -------
    "#);
}

#[test]
fn init_wants_a_port_that_the_client_can_be_told() {
    let site = Site::new();
    insta::assert_snapshot!(site.server_verb_alone(&["init", "there", "--listen", "127.0.0.1:0"]), @"
    ------- stderr -------
    error: --listen: 127.0.0.1:0: name a port, which client.yaml is to have; `serve --listen` takes 0 for a free one
    ------- exit 64 -------
    ");
    assert!(!site.has("there"));
}
