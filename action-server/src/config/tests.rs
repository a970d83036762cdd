//! Tests of the settings: defaults, the environment, and what is wrong with them.

use std::os::unix::fs::PermissionsExt;

use super::*;

const GOOD: &str = "jwt_secret: 0123456789abcdef0123456789abcdef\nnodes_config_path: nodes.yaml\ncommand_directory_path: /libexec\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    load_with(0o600, text, environment)
}

fn load_with(mode: u32, text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Settings::load(&file, environment).map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", directory.path().display()), "")
    })
}

#[test]
fn defaults_and_relative_paths() {
    let settings = load(GOOD, &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:6304");
    assert!(settings.nodes_config_path.is_absolute());
    assert_eq!(settings.command_directory_path, Path::new("/libexec"));
    assert_eq!(
        settings.audit_path,
        Path::new("/var/lib/action/audit.jsonl")
    );
    assert_eq!((settings.job_threads, settings.limits.nodes), (256, 10_000));
    assert!(!format!("{settings:?}").contains("0123456789abcdef"));
}

#[test]
fn settings_with_a_secret_are_nobody_elses_to_read() {
    for mode in [0o600, 0o400] {
        assert!(load_with(mode, GOOD, &[]).is_ok());
    }
    for mode in [0o640, 0o604, 0o644] {
        let error = load_with(mode, GOOD, &[]).unwrap_err();
        assert!(
            error.starts_with("server.yaml: jwt_secret is in it"),
            "{error}"
        );
        assert!(error.contains("run: chmod 600 server.yaml"), "{error}");
    }
    // Without one they may be read; a key with nothing behind it has none.
    let elsewhere = format!("jwt_secret:\n{}", GOOD.split_once('\n').unwrap().1);
    let elsewhere = elsewhere.as_str();
    let secret = [(
        "ACTION_SERVER_JWT_SECRET",
        "0123456789abcdef0123456789abcdef",
    )];
    assert!(load_with(0o644, elsewhere, &secret).is_ok());
}

#[test]
fn the_environment_wins() {
    let set = [
        ("ACTION_SERVER_LISTEN", "[::1]:0"),
        ("ACTION_SERVER_JOB_THREADS", "7"),
        ("OTHER", "x"),
    ];
    let settings = load(GOOD, &set).unwrap();
    assert_eq!(
        (settings.listen.to_string(), settings.job_threads),
        ("[::1]:0".to_owned(), 7)
    );
    let wrong = load(GOOD, &[("ACTION_SERVER_COLOUR", "x")]).unwrap_err();
    assert_eq!(
        wrong,
        "ACTION_SERVER_COLOUR is set, and there is no such setting"
    );
    assert!(load(GOOD, &[("ACTION_SERVER_JOB_THREADS", "many")]).is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, start) in [
        ("colour: red\n", "server.yaml:1: unknown field `colour`"),
        (
            "jwt_secret: short\nnodes_config_path: n\ncommand_directory_path: c\n",
            "jwt_secret: the secret has 5 bytes",
        ),
        (
            "nodes_config_path: n\ncommand_directory_path: c\n",
            "server.yaml: jwt_secret_path is not set",
        ),
        ("jwt_secret: [\n", "server.yaml:2: "),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(start), "{error}");
    }
    for (more, part) in [
        ("listen: 0.0.0.0:6304\n", "not a loopback address"),
        ("listen: gateway1\n", "is not an address"),
        (
            "job_threads: 0\n",
            "server.yaml:4: job_threads: \"0\" is not a number from 1",
        ),
        (
            "tls: {}\n",
            ":4: tls.certificate is missing: name the file of the certificate",
        ),
        (
            "metrics_listen: p\n",
            "metrics_listen: \"p\" is not an address",
        ),
        (
            "traces: {endpoint: 'https://localhost:4317'}\n",
            "is not an address such as http://127.0.0.1:4317",
        ),
        (
            "traces: {endpoint: 'http://collector:4317'}\n",
            "collector is not this machine",
        ),
        (
            "metrics_listen: 0.0.0.0:9304\ninsecure_listen: true\n",
            "set insecure_metrics_listen: true",
        ),
        (
            "script_environment: {LD_PRELOAD: x}\n",
            "LD_PRELOAD would change",
        ),
        ("drain_timeout: soon\n", "not a time"),
        ("umask: 0999\n", "not an octal number"),
    ] {
        let error = load(&format!("{GOOD}{more}"), &[]).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert!(
        load(
            &format!("{GOOD}listen: 0.0.0.0:0\ninsecure_listen: true\n"),
            &[]
        )
        .is_ok()
    );
    for good in [
        "http://localhost:4317",
        "http://[::1]:4317",
        "http://far:4317', insecure: 'true",
    ] {
        let more = format!("{GOOD}traces: {{endpoint: '{good}'}}\n").replace("'true'", "true");
        let settings = load(&more, &[]).unwrap();
        let traces = &settings.traces;
        assert!(
            traces
                .as_ref()
                .is_some_and(|it| good.starts_with(&it.endpoint)),
            "{good}"
        );
    }
    let scalars = load(
        &format!("{GOOD}script_environment: {{VERSION: 1.10, PATH: /bin}}\n"),
        &[],
    )
    .unwrap();
    assert_eq!(scalars.script_environment["VERSION"], "1.10");
}

#[test]
fn every_fault_is_named_with_its_line() {
    let text = "listen: 0.0.0.0:6304\njob_threads: many\ncolour: red\nnodes_config_path: n\njwt_secret: short\numask: 8\nlimits:\n  nodes: 0\n  nodse: 5\ntls: {certificate: c}\nscript_environment: {LD_PRELOAD: x}\ndrain_timeout: soon\ndrain_timeout: 1s\nlog_level: loud\nmetrics_listen: 0.0.0.0:1\nvisible_metadata: {}\n";
    let environment = [
        ("ACTION_SERVER_KILL_GRACE", "later"),
        ("ACTION_SERVER_RETENTION", "{age: old}"),
        ("ACTION_SERVER_NO_SUCH", "x"),
    ];
    let error = load(text, &environment).unwrap_err();
    let starts = [
        "server.yaml:2: job_threads: \"many\" is not a number from 1 to 1000000",
        "server.yaml:3: unknown field `colour`, expected one of `listen`, `tls`",
        "server.yaml:6: umask: \"8\" is not an octal number such as 0022",
        "server.yaml:8: limits.nodes: \"0\" is not a number from 1 to 1000000",
        "server.yaml:9: limits: unknown field `nodse`, expected one of `nodes`",
        "server.yaml:10: tls.private_key is missing: name the file of its key",
        "server.yaml:11: script_environment.LD_PRELOAD: LD_PRELOAD would change",
        "server.yaml:12: drain_timeout: \"soon\" is not a time such as 90s or 1h",
        "server.yaml:13: drain_timeout is given twice",
        "server.yaml:14: log_level: \"loud\" is not error, warn",
        "server.yaml:15: metrics_listen: 0.0.0.0:1 is not a loopback address",
        "server.yaml:16: visible_metadata: expected a list, found a map",
        "server.yaml: command_directory_path is missing: name the directory of the commands",
        "ACTION_SERVER_NO_SUCH is set, and there is no such setting",
        "ACTION_SERVER_KILL_GRACE: \"later\" is not a time such as 90s or 1h",
        "ACTION_SERVER_RETENTION: retention.age: \"old\" is not a time such as 90s or 1h",
        "jwt_secret: the secret has 5 bytes",
    ];
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{error}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn each_of_several_entries_with_a_key_has_its_line() {
    let text = format!("{GOOD}job_threads: 1\nnope: 1\njob_threads: 2\nnope: 2\njob_threads: 3\n");
    let error = load(&text, &[]).unwrap_err();
    let lines: Vec<&str> = error.lines().map(|line| &line[..14]).collect();
    let wanted = [5, 6, 7, 8].map(|line| format!("server.yaml:{line}:"));
    assert_eq!(lines, wanted, "{error}");
    let list = format!("{GOOD}visible_metadata: [a, , [b], {{c: d}}]\n");
    let error = load(&list.replace(", ,", ", ~,"), &[]).unwrap_err();
    for part in [
        "at [1]; remove this",
        "at [2], found a list",
        "at [3], found a map",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn thousands_of_faults_are_cut() {
    let names = (0..5000).map(|number| format!("  V-{number}: x\n"));
    let text = format!("{GOOD}script_environment:\n{}", names.collect::<String>());
    let error = load(&text, &[]).unwrap_err();
    assert_eq!(error.lines().count(), 101);
    assert!(error.contains("there are more faults; correct these first"));
}
