//! `action-server check`: every fault of the definitions as file:line: reason, and none of them
//! taking another definition down.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use action_tests::{Site, on};

/// A site with one fault of each kind among definitions that are right.
fn faulty() -> Site {
    let site = Site::new();
    site.nodes(
        r#"
__groups__:
  good: n1,n2
  gone: n1,n9
  cut: n[1
  "a b": n1
n1: {ranks: [aws], ip: 10.0.0.1}
n2:
  PATH: /evil
  LD_PRELOAD: evil.so
  BASH_ENV: evil.sh
  IFS: x
  a=b: c
  name: other
  fine: yes
n3: [a, list]
"bad name": {}
"../n4": {}
twice: {at: 1}
twice: {at: 2}
n5: {ranks: ["a/b", aws]}
n6: {bmc_password: visible}
n7: {key: a, key: b}
"#,
    );
    permit(&site, "nodes.yaml", 0o640);
    site.command("good", "echo good");
    site.command("no-default", "");
    fs::remove_file(site.path("libexec/no-default/default.sh")).unwrap();
    site.command("no-summary", "");
    site.write(
        "libexec/no-summary/metadata.yaml",
        "help: {description: d}\n",
    );
    site.command_with(
        "unknown-keys",
        "help: {summary: s, sumary: t}\ncolour: red\n",
        "",
    );
    site.command_with("bad-values", "help: {summary: s}\ntimeout: soon\nfanout: 0\noutput_limit: much\nexit_codes: {0: {state: X}, 5: OK}\n", "");
    site.command_with("no-yaml", "help: {summary: [\n", "");
    site.command("Upper_Case", "");
    site.command("not-executable", "");
    mode(&site, "not-executable/default.sh", 0o644);
    site.command("no-interpreter", "");
    site.whole_script("no-interpreter/default.sh", "echo hello\n");
    site.command("other-interpreter", "");
    site.whole_script("other-interpreter/default.sh", "#!/bin/absent -x\n");
    site.command("windows", "");
    site.whole_script("windows/default.sh", "#!/bin/bash\r\necho hello\r\n");
    site.command("broken-link", "");
    fs::remove_file(site.path("libexec/broken-link/default.sh")).unwrap();
    symlink("nowhere", site.path("libexec/broken-link/default.sh")).unwrap();
    site.command("bad-rank", "echo fine");
    site.script("bad-rank/aws.sh", "");
    mode(&site, "bad-rank/aws.sh", 0o600);
    site
}

fn mode(site: &Site, script: &str, mode: u32) {
    permit(site, &format!("libexec/{script}"), mode);
}

fn permit(site: &Site, path: &str, mode: u32) {
    fs::set_permissions(site.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_fault_is_named_with_its_place() {
    insta::assert_snapshot!(faulty().server_verb(&["check"]), @r#"
    SITE/nodes.yaml:6: "a b" cannot be the name of a group
    SITE/nodes.yaml:9: n2: PATH is set for every script by the server; choose another name
    SITE/nodes.yaml:10: n2: LD_PRELOAD would change how the shell or the loader of a script behaves; choose another name
    SITE/nodes.yaml:11: n2: BASH_ENV would change how the shell or the loader of a script behaves; choose another name
    SITE/nodes.yaml:12: n2: IFS would change how the shell or the loader of a script behaves; choose another name
    SITE/nodes.yaml:13: n2: "a=b" cannot be a variable of a script: letters, digits and _ only, no digit first, at most 64
    SITE/nodes.yaml:14: n2: name is set for every script by the server; choose another name
    SITE/nodes.yaml:16: expected the metadata of n3 as a map, found a list
    SITE/nodes.yaml:17: "bad name" cannot be the name of a node: letters, digits, and _ . - after the first, at most 64
    SITE/nodes.yaml:18: "../n4" cannot be the name of a node: letters, digits, and _ . - after the first, at most 64
    SITE/nodes.yaml:20: twice is defined twice; neither definition is used until one is taken away
    SITE/nodes.yaml:21: n5: "a/b" cannot be a rank
    SITE/nodes.yaml:22: warning: n6: bmc_password is kept secret by its name; write it under __secret__
    SITE/nodes.yaml:23: n7: key is given twice; the first stands
    SITE/nodes.yaml:4: warning: group gone: nodes that are not defined are left out: n9
    SITE/nodes.yaml:5: group cut is broken: cannot read the node set "n[1": [ without ]; -g @cut is refused, and rules and tokens that name it allow nothing or deny everything
    SITE/libexec/Upper_Case:1: cannot be a command's name: lower-case letters, digits and - only
    SITE/libexec/bad-rank/aws.sh:1: the script of rank aws is not usable: it is not executable; run: chmod +x SITE/libexec/bad-rank/aws.sh
    SITE/libexec/bad-values/metadata.yaml:2: timeout: "soon" is not a time such as 90s or 1h
    SITE/libexec/bad-values/metadata.yaml:3: fanout: "0" is not a number from 1
    SITE/libexec/bad-values/metadata.yaml:4: output_limit: "much" is not a size such as 64MiB, or none
    SITE/libexec/bad-values/metadata.yaml:5: exit_codes.0: expected a code from 1 to 255 with `{state: NAME}`
    SITE/libexec/bad-values/metadata.yaml:5: exit_codes.5: expected a code from 1 to 255 with `{state: NAME}`
    SITE/libexec/broken-link/default.sh:1: the script of rank default is not usable: it is not there (or a link that leads nowhere)
    SITE/libexec/no-default:1: there is no default.sh: every command needs one
    SITE/libexec/no-interpreter/default.sh:1: the script of rank default is not usable: it does not start with #! and an interpreter, such as #!/bin/bash
    SITE/libexec/no-summary/metadata.yaml:1: help.summary is missing: say in one line what the command does
    SITE/libexec/no-yaml/metadata.yaml:2: did not find expected node content at line 2 column 1, while parsing a flow node
    SITE/libexec/not-executable/default.sh:1: the script of rank default is not usable: it is not executable; run: chmod +x SITE/libexec/not-executable/default.sh
    SITE/libexec/other-interpreter/default.sh:1: the script of rank default is not usable: its interpreter "/bin/absent" is not there
    SITE/libexec/unknown-keys/metadata.yaml:1: warning: unknown key sumary; it has no effect
    SITE/libexec/unknown-keys/metadata.yaml:2: warning: unknown key colour; it has no effect
    SITE/libexec/windows/default.sh:1: the script of rank default is not usable: its first line ends with a carriage return: the script has Windows line ends; run: sed -i 's/\r$//' SITE/libexec/windows/default.sh
    ------- stderr -------
    these commands cannot be run, unless a running server still has a good version of before: bad-values, broken-link, no-default, no-interpreter, no-summary, no-yaml, not-executable, other-interpreter, windows
    error: 4 nodes and 3 commands can be used; 29 errors, 4 warnings
    ------- exit 78 -------
    "#);
}

#[test]
fn the_log_says_the_same_and_what_is_right_works() {
    let site = faulty();
    let check = site.server_verb(&["check"]);
    assert_eq!(check.code(), 78);
    let server = site.start();
    let log = server.log();
    for fault in String::from_utf8(check.stdout).unwrap().lines() {
        assert!(log.contains(&format!(" {fault}\n")), "{fault}\n---\n{log}");
    }
    let api = server.api();
    assert_eq!(api.node_names(), ["n1", "n2", "n6", "n7"]);
    assert_eq!(api.command_names(), ["bad-rank", "good", "unknown-keys"]);
    let run = api.run(on("good", "@good"));
    assert_eq!(run.answer_of("n1"), "good\n");
    assert_eq!(run.answer_of("n2"), "good\n");
    let run = api.run(on("bad-rank", "n2"));
    assert_eq!(run.answer_of("n2"), "fine\n", "only the rank is broken");
}

#[test]
fn nothing_wrong_is_said_of_what_is_shipped() {
    insta::assert_snapshot!(Site::shipped().server_verb(&["check"]), @"
    ------- stderr -------
    6 nodes and 9 commands can be used; 0 errors, 0 warnings
    ------- exit 0 -------
    ");
}

#[test]
fn secrets_that_every_user_can_read_are_told_of() {
    let site = Site::new();
    site.nodes("n1: {__secret__: {ipmi_password: hidden}}\n");
    site.command("hello", "echo hello");
    // Some people's temporary files are in a directory that is theirs alone.
    let lets_others_in = |path: &Path| fs::metadata(path).unwrap().mode() & 1 != 0;
    if !site.path("").ancestors().skip(1).all(lets_others_in) {
        return;
    }
    permit(&site, ".", 0o755);
    permit(&site, "nodes.yaml", 0o644);
    insta::assert_snapshot!(site.server_verb(&["check"]), @"
    SITE/nodes.yaml:1: warning: it holds secrets, and every user of this machine can read it; run: chmod 640 SITE/nodes.yaml, and chgrp to the server's group where it does not run as root
    ------- stderr -------
    1 node and 1 command can be used; 0 errors, 1 warning
    ------- exit 0 -------
    ");
    permit(&site, ".", 0o700);
    insta::assert_snapshot!(site.server_verb(&["check"]), @"
    ------- stderr -------
    1 node and 1 command can be used; 0 errors, 0 warnings
    ------- exit 0 -------
    ");
    permit(&site, ".", 0o755);
    permit(&site, "nodes.yaml", 0o640);
    insta::assert_snapshot!(site.server_verb(&["check"]), @"
    ------- stderr -------
    1 node and 1 command can be used; 0 errors, 0 warnings
    ------- exit 0 -------
    ");
}

#[test]
fn settings_that_are_wrong_are_named_with_their_place() {
    let site = Site::new();
    site.settings("colour: red\njob_threads: many\nlimits: {nodes: 0}");
    let starts = [
        "error: SITE/server.yaml:8: unknown field `colour`, expected one of `listen`",
        "error: SITE/server.yaml:9: job_threads: \"many\" is not a number from 1 to 1000000",
        "error: SITE/server.yaml:10: limits.nodes: \"0\" is not a number from 1 to 1000000",
    ];
    for ran in [site.server_verb(&["check"]), site.refused()] {
        let stderr = ran.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!((lines.len(), ran.code()), (starts.len(), 78), "{ran}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{ran}");
        }
    }
}

#[test]
fn two_scripts_of_one_rank_are_a_fault_of_that_rank_alone() {
    let site = Site::new();
    site.nodes("n1: {ranks: aws}\nn2:\n");
    site.command("two", "echo fine");
    site.whole_script("two/aws.sh", "#!/bin/bash\n");
    site.whole_script("two/aws.py", "#!/usr/bin/env python3\n");
    let check = site.server_verb(&["check"]);
    assert!(
        check.stdout().contains("is there too; one script a rank"),
        "{check}"
    );
    assert_eq!(check.code(), 78);
    let server = site.start();
    assert_eq!(server.api().run(on("two", "n2")).answer_of("n2"), "fine\n");
    let (code, text) = server.api().refused(on("two", "n1"));
    assert_eq!(code, tonic::Code::FailedPrecondition, "{text}");
}

#[test]
fn keys_of_nodes_that_are_near_ours_and_empty_entries_are_told_of() {
    let site = Site::new();
    site.nodes(
        "__groups__:\n  cut:\n  - n1\n  -\nn1: {rank: gpu, Ranks: [gpu]}\nn2:\n  __secrets__: {bmc: hunter2}\n  _rank: 1\nn3: {ranks: gpu, __secret__: {bmc: hunter2}, ranking: 1}\n",
    );
    let checked = site.server_verb(&["check"]);
    let lines = checked.stdout();
    for expected in [
        "nodes.yaml:2: group cut is broken: entry 2 of its list is empty;",
        "nodes.yaml:5: warning: n1: rank is metadata like any other; did you mean ranks?",
        "nodes.yaml:5: warning: n1: Ranks is metadata like any other; did you mean ranks?",
        "nodes.yaml:7: warning: n2: __secrets__ is metadata like any other; did you mean __secret__?",
        "nodes.yaml:8: warning: n2: _rank is metadata like any other; did you mean ranks?",
    ] {
        assert!(lines.contains(expected), "{expected}: {checked}");
    }
    assert!(!lines.contains("n3"), "{checked}");
}

#[test]
fn secrets_with_more_than_their_own_characters_are_told() {
    let site = Site::new();
    let nodes = r#"
n1:
  __secret__:
    plain: hunter2
    blank: "hunter2 "
    windows: "hunter2\r"
    tab: "hunter2\t\n"
    lines: "hunter2\n\n"
    start: " hunter2"
    line: "\nhunter2"
    mark: "\uFEFFhunter2"
    empty: ""
    block: |
      hunter2
      hunter2
  bmc_password: "hunter2 "
  note: "no secret "
"#;
    site.nodes(nodes);
    permit(&site, "nodes.yaml", 0o640);
    let check = || site.server_verb(&["check"]).ok();
    insta::assert_snapshot!(check(), @"
    SITE/nodes.yaml:5: warning: n1: the secret blank ends with a blank: scripts get it with the value, and output that has the value without it is not masked
    SITE/nodes.yaml:6: warning: n1: the secret windows ends with a carriage return (a Windows line end): scripts get it with the value
    SITE/nodes.yaml:7: warning: n1: the secret tab ends with a blank: scripts get it with the value, and output that has the value without it is not masked
    SITE/nodes.yaml:8: warning: n1: the secret lines ends with more than one newline: scripts get it with the value
    SITE/nodes.yaml:9: warning: n1: the secret start begins with a blank: scripts get it with the value, and output that has the value without it is not masked
    SITE/nodes.yaml:10: warning: n1: the secret line begins with a blank: scripts get it with the value, and output that has the value without it is not masked
    SITE/nodes.yaml:11: warning: n1: the secret mark begins with a byte order mark: scripts get it with the value, and output that has the value without it is not masked
    SITE/nodes.yaml:16: warning: n1: bmc_password is kept secret by its name; write it under __secret__
    SITE/nodes.yaml:16: warning: n1: the secret bmc_password ends with a blank: scripts get it with the value, and output that has the value without it is not masked
    ------- stderr -------
    1 node and 0 commands can be used; 0 errors, 9 warnings
    ------- exit 0 -------
    ");
    // Accepted nodes repeat nothing of it.
    let told = check().stdout();
    let site = site.start().stop();
    assert!(site.has("state/nodes.json"));
    assert_eq!(site.server_verb(&["check"]).ok().stdout(), told);
}

#[test]
fn an_interpreter_that_env_does_not_find_is_told() {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.settings("script_environment: {PATH: /bin}");
    let check = || site.server_verb(&["check"]).ok().to_string();
    site.whole_script("hello/default.sh", "#!/usr/bin/env sh\n");
    assert!(check().contains("0 warnings"), "{}", check());
    site.whole_script("hello/default.sh", "#!/usr/bin/env nosuchprog\n");
    let part = "hello/default.sh: warning: its interpreter \"nosuchprog\" is not in the PATH of scripts (/bin)";
    assert!(check().contains(part), "{}", check());
}
