//! The environment of a script: exactly what is documented, and nothing of the server's own.

use std::collections::BTreeMap;

use action_tests::{Server, Site, on, token};
use jsonwebtoken::Algorithm;

/// A script that writes the environment it was started with, before any shell can change it:
/// its interpreter prints that, and then the script itself.
const PRINT: &str = "#!/bin/cat /proc/self/environ\n";

fn site() -> Site {
    let site = Site::new();
    site.whole_script("show/default.sh", PRINT);
    let metadata = "help: {summary: s, has_context: false}";
    site.whole_script("once/default.sh", PRINT);
    site.write("libexec/once/metadata.yaml", metadata);
    site.write("libexec/show/metadata.yaml", "help: {summary: s}");
    site.nodes("n1: {ec2_id: i-1, AWS_PROFILE: of the node}\n");
    site.settings("script_environment: {AWS_PROFILE: of the admin, https_proxy: 'http://proxy:1'}");
    site
}

fn environment(output: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let text = text.strip_suffix(PRINT).unwrap();
    let variables = text.split_terminator('\0');
    variables
        .map(|variable| variable.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn it_is_exactly_the_documented_set() {
    let server = site().start();
    let run = server.api().run(on("show", "n1"));
    let mut seen = environment(&run.stdout_of("n1"));
    let job_id = seen.remove("job_id").unwrap();
    assert!(job_id.len() == 32 && job_id.bytes().all(|it| it.is_ascii_hexdigit()));
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let root = server.path("libexec").display().to_string();
    let user = user(&passwd);
    let expected = BTreeMap::from(
        [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", user.1),
            ("USER", user.0),
            ("LOGNAME", user.0),
            ("SHELL", user.2),
            ("LANG", "C.UTF-8"),
            ("SCRIPT_ROOT", &root),
            ("command", "show"),
            ("name", "n1"),
            ("run_id", &run.id),
            ("request_username", "admin"),
            ("request_uid", ""),
            ("request_reason", ""),
            ("ec2_id", "i-1"),
            ("AWS_PROFILE", "of the node"),
            ("https_proxy", "http://proxy:1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    assert_eq!(seen, expected);
}

/// The name, the home and the shell of the user who runs this.
fn user(passwd: &str) -> (&str, &str, &str) {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let mut users = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields[2] == uid).unwrap();
    (user[0], user[5], user[6])
}

#[test]
fn a_command_without_nodes_has_an_empty_name_and_no_metadata() {
    let server = site().start();
    let seen = environment(&server.api().run(on("once", "")).stdout_of(""));
    assert_eq!(seen["name"], "");
    assert_eq!(seen["command"], "once");
    assert_eq!(seen["AWS_PROFILE"], "of the admin");
    assert!(!seen.contains_key("ec2_id"));
    assert_eq!(seen.len(), 16);
}

#[test]
fn nothing_of_the_servers_own_environment_gets_in() {
    let site = site();
    let evil = site.path("evil.sh");
    site.write(
        "evil.sh",
        format!("touch {}\n", site.path("evil-ran").display()),
    );
    site.command("shell", "echo \"$FOO|$JWT_SECRET|$LD_BIND_NOW|$EXPORTED\"");
    let secret = "a secret of more than 32 bytes, from the environment";
    let server = Server::start(site, |command| {
        command.env("FOO", "foo");
        command.env("BASH_ENV", &evil).env("ENV", &evil);
        command.env("LD_BIND_NOW", "1");
        command.env("LD_LIBRARY_PATH", "/nowhere");
        command.env("PYTHONPATH", "/nowhere");
        command.env("JWT_SECRET", "hush");
        command.env("ACTION_SERVER_JWT_SECRET", secret);
        command.env("ACTION_SERVER_LOG_LEVEL", "info");
        command.env("BASH_FUNC_echo%%", "() { :; }");
        command.env("LANG", "pl_PL.UTF-8").env("LC_ALL", "C");
        command.env("PWD", "/nowhere").env("SHLVL", "7");
    });
    let token = token::signed(&token::claims(), secret, Algorithm::HS256);
    let api = server.api_with(Some(&token));
    let seen = environment(&api.run(on("show", "n1")).stdout_of("n1"));
    let keys: Vec<_> = seen.keys().map(String::as_str).collect();
    insta::assert_snapshot!(keys.join(" "), @"AWS_PROFILE HOME LANG LOGNAME PATH SCRIPT_ROOT SHELL USER command ec2_id https_proxy job_id name request_reason request_uid request_username run_id");
    assert_eq!(seen["LANG"], "C.UTF-8");
    assert_eq!(api.run(on("shell", "n1")).answer_of("n1"), "|||\n");
    assert!(!server.has("evil-ran"), "BASH_ENV was read");
}

#[test]
fn who_asks_is_what_the_token_says_and_never_what_the_caller_claims() {
    let site = site();
    site.command("who", "echo \"$request_username $request_uid\"");
    let claims = token::with(token::claims(), "uid", 1234);
    let token = token::signed(&claims, &site.secret(), Algorithm::HS256);
    let server = site.start();
    let mut request = on("who", "n1");
    request.request_username = "root".into();
    request.request_uid = "0".into();
    let run = server.api_with(Some(&token)).run(request);
    assert_eq!(run.answer_of("n1"), "alice 1234\n");
    let started = run.started();
    assert_eq!(started.subject, "alice");
    assert_eq!(
        (
            started.request_username.as_str(),
            started.request_uid.as_str()
        ),
        ("root", "0"),
        "the claim is recorded as one"
    );
}
