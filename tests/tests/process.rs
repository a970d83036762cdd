//! How a script is started: its descriptors, group, directory and arguments.

use std::fs;

use action_tests::{Server, Site, on, program::through_shell, with_arguments};

#[test]
fn a_script_has_three_descriptors_and_no_more() {
    let site = Site::new();
    // One more is of the directory that ls itself reads.
    site.command("fds", "ls /proc/self/fd; readlink /proc/self/fd/0");
    site.write("secret-file", "");
    let secret = site.path("secret-file").display().to_string();
    let server = Server::start(site, |command| {
        let open = format!("exec 7<'{secret}' 8>>'{secret}' 30</; exec \"$@\"");
        *command = through_shell(command, &open);
    });
    // The test would prove nothing if the server did not have them.
    let held = |fd| fs::read_link(format!("/proc/{}/fd/{fd}", server.id())).unwrap();
    assert_eq!(held(7), held(8));
    assert_eq!(held(7), server.path("secret-file"));
    let run = server.api().run(on("fds", "n1"));
    assert_eq!(run.answer_of("n1"), "0\n1\n2\n3\n/dev/null\n");
}

#[test]
fn each_script_leads_a_process_group_of_its_own() {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    let fields = "read -r pid comm state parent group rest </proc/$$/stat";
    site.command("group", &format!("{fields}; echo $pid $group"));
    let server = site.start();
    let run = server.api().run(on("group", "n1,n2"));
    let group = |node| {
        let answer = run.answer_of(node);
        let (pid, group) = answer.trim().split_once(' ').unwrap();
        assert_eq!(pid, group, "{node}");
        group.to_owned()
    };
    assert_ne!(group("n1"), group("n2"));
    assert_ne!(group("n1"), server.id().to_string());
}

#[test]
fn stdin_is_empty() {
    let site = Site::new();
    site.command("ask", "cat; read -r line || echo nothing to read");
    site.write("input", "for the server\n");
    let input = site.path("input").display().to_string();
    let server = Server::start(site, |command| {
        *command = through_shell(command, &format!("exec <'{input}'; exec \"$@\""));
    });
    assert_eq!(
        server.api().run(on("ask", "n1")).answer_of("n1"),
        "nothing to read\n"
    );
}

#[test]
fn a_script_starts_in_the_working_directory() {
    let site = Site::new();
    site.command("where", "pwd");
    fs::create_dir(site.path("work place")).unwrap();
    let server = site.start();
    assert_eq!(server.api().run(on("where", "n1")).answer_of("n1"), "/\n");
    let site = server.stop();
    site.settings("working_directory_path: work place");
    let server = site.start();
    let place = fs::canonicalize(server.path("work place")).unwrap();
    assert_eq!(
        server.api().run(on("where", "n1")).answer_of("n1"),
        format!("{}\n", place.display())
    );
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let arguments = [
        "-rf",
        "--",
        "",
        "two  words ",
        "*",
        "a\nb",
        "--help",
        "$(id)",
        "`id`",
        "\\",
        "'\"",
        "żółć ☃",
        "\u{1b}[31m",
        "a=b",
        "~",
        "",
    ];
    let site = Site::new();
    site.command("show", r#"printf '%s\0' "$#" "$@""#);
    let server = site.start();
    let run = server.api().run(with_arguments("show", "n1", &arguments));
    let expected = format!("{}\0{}\0", arguments.len(), arguments.join("\0"));
    assert_eq!(String::from_utf8(run.stdout_of("n1")).unwrap(), expected);
    assert_eq!(run.started().arguments, arguments);
    let none = server.api().run(on("show", "n1"));
    assert_eq!(
        none.stdout_of("n1"),
        b"0\0",
        "the node is not among the arguments"
    );
}

#[test]
fn a_long_argument_arrives_whole() {
    let site = Site::new();
    site.command("length", r#"echo "${#1} ${#2}""#);
    let server = site.start();
    let long = "x".repeat(60_000);
    let run = server
        .api()
        .run(with_arguments("length", "n1", &[&long, &long]));
    assert_eq!(run.answer_of("n1"), "60000 60000\n");
}

#[test]
fn what_a_script_leaves_running_is_ended_and_counted() {
    let site = Site::new();
    // One in the group that holds the output open, one that has left the group.
    let script = "sleep 1000 & setsid sleep 1000 >/dev/null 2>&1 & echo done";
    site.command("leave", script);
    let server = site.start();
    let run = server.api().run(on("leave", "n1"));
    assert_eq!(run.answer_of("n1"), "done\n");
    assert_eq!(run.end_of("n1").leftover_processes, 2);
    assert_eq!(server.scripts(), []);
}
