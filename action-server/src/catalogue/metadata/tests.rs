//! What `metadata.yaml` may say, and what is said of what it may not.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::*;

fn read(text: &str, ranks: &[&str]) -> (Option<Command>, Vec<String>) {
    let directory = PathBuf::from("power-on");
    let script = |rank: &&str| ((*rank).to_owned(), directory.join(format!("{rank}.sh")));
    let scripts = ranks.iter().map(script).collect();
    let listing = ScriptListing {
        directory: directory.clone(),
        scripts,
        unusable: BTreeMap::new(),
        nameless: Vec::new(),
    };
    let (command, faults) = read_command("power-on", text, listing);
    (command, faults.iter().map(Fault::to_string).collect())
}

#[test]
fn the_seeds_example() {
    let text = "help:\n  summary: \"Get system usage info\"\n  description: >\n    This command gets\n    usage.\n";
    let (command, faults) = read(text, &["default", "aws"]);
    let command = command.unwrap();
    assert_eq!(faults, [""; 0]);
    assert_eq!(command.description(), "This command gets usage.");
    let rank = |ranks: &[&str]| {
        let ranks: Vec<String> = ranks.iter().map(ToString::to_string).collect();
        command.script_for(&ranks).unwrap().0.to_owned()
    };
    assert_eq!(rank(&[]), "default");
    assert_eq!(rank(&["metal"]), "default");
    assert_eq!(rank(&["metal", "aws"]), "aws");
}

#[test]
fn every_field() {
    let text = "help: {summary: s, syntax: NAME TYPE, has_context: no}\nconfirmation: Sure?\ntimeout: 90s\nfanout: 3\noutput_limit: 1KiB\nexit_codes: {123: {state: OFF}}\nleave_running: true\n";
    let command = read(text, &["default"]).0.unwrap();
    assert_eq!(
        (command.timeout, command.fanout),
        (Duration::from_secs(90), 3)
    );
    assert_eq!(command.output_limit, Some(Some(1024)));
    assert_eq!(command.exit_codes[&123], "OFF");
    assert!(!command.help.has_context && command.leave_running);
}

#[test]
fn what_to_wait_for() {
    let text = "help: {summary: s}\nverify: {command: power-status, until: [ON, PENDING], every: 1s}\nwait: true\n";
    let command = read(text, &["default"]).0.unwrap();
    let verify = command.verify.clone().unwrap();
    assert_eq!(
        (verify.command.as_str(), verify.until, verify.every),
        (
            "power-status",
            vec!["ON".to_owned(), "PENDING".to_owned()],
            Duration::from_secs(1)
        )
    );
    assert_eq!(
        (verify.timeout, command.wait),
        (Duration::from_secs(300), true)
    );
    let one = read(
        "help: {summary: s}\nverify: {command: x, until: ON}\n",
        &["default"],
    );
    assert_eq!(one.0.unwrap().verify.as_ref().unwrap().until, ["ON"]);
}

#[test]
fn faults_name_their_line() {
    let (command, faults) = read("help:\n  summary: s\ncolour: red\n", &["default"]);
    assert!(command.is_some());
    assert_eq!(
        faults,
        ["power-on/metadata.yaml:3: warning: unknown key colour; it has no effect"]
    );
    for (text, start) in [
        (
            "help: {}\n",
            "power-on/metadata.yaml:1: help.summary is missing",
        ),
        ("", "power-on/metadata.yaml:1: expected a map"),
        (
            "help:\n  summary: s\ntimeout: soon\n",
            "power-on/metadata.yaml:3: timeout: \"soon\" is not a time",
        ),
        (
            "help:\n  summary: s\nfanout: 0\n",
            "power-on/metadata.yaml:3: ",
        ),
        (
            "help: {summary: s}\nexit_codes: {0: {state: ON}}\n",
            "power-on/metadata.yaml:2: ",
        ),
        (
            "help: {summary: s}\nwait: true\n",
            "power-on/metadata.yaml:2: wait needs verify",
        ),
        (
            "help: {summary: s}\nverify: {command: x}\n",
            "power-on/metadata.yaml:2: verify.until is missing: name the states",
        ),
        (
            "help: {summary: s, has_context: false}\nverify: {command: x, until: ON}\n",
            "power-on/metadata.yaml:2: verify is for commands that take nodes",
        ),
        (
            "help: {summary: s}\nverify:\n  command: x\n  until: [a b]\n",
            "power-on/metadata.yaml:4: verify.until: expected states",
        ),
        (
            "help: {summary: s}\nconfirmation: Off %{node}?\n",
            "power-on/metadata.yaml:2: confirmation: unknown placeholder %{node} in the confirmation: write %{nodes}",
        ),
        (
            "help: {summary: s}\nconfirmation: Off %{nodes?\n",
            "power-on/metadata.yaml:2: confirmation: a placeholder in the confirmation has no closing brace",
        ),
        (
            "help: {summary: s}\nconfirmation: ''\n",
            "power-on/metadata.yaml:2: confirmation: the confirmation is empty",
        ),
        (
            "help: {summary: s, has_context: false}\nconfirmation: Off %{count}?\n",
            "power-on/metadata.yaml:2: confirmation: the command takes no nodes: leave %{nodes} and %{count} out",
        ),
        (
            "help: {summary: s}\nhelp: {summary: t}\n",
            "power-on/metadata.yaml:2: help is given twice",
        ),
        (
            "help:\n  summary: s\n  has_context: true\n  has_context: false\n",
            "power-on/metadata.yaml:4: help.has_context is given twice",
        ),
        (
            "help: {summary: s}\nexit_codes:\n  7: {state: ON}\n  8: {state: X}\n  7: {state: OFF}\n",
            "power-on/metadata.yaml:5: exit_codes.7: the exit code 7 is given twice",
        ),
        (
            "help: {summary: s}\nexit_codes:\n  7: {state: ON}\n  07: {state: OFF}\n",
            "power-on/metadata.yaml:4: exit_codes.07: the exit code 7 is given twice",
        ),
        (
            "help: {summary: s}\nexit_codes:\n  7: {state: ON, state: OFF}\n",
            "power-on/metadata.yaml:3: exit_codes.7: expected a code from 1 to 255",
        ),
        (
            "help: {summary: s}\nverify:\n  command: x\n  until: [ON]\n  until: [OFF]\n",
            "power-on/metadata.yaml:5: verify.until is given twice",
        ),
    ] {
        let (command, faults) = read(text, &["default"]);
        assert!(command.is_none(), "{text}");
        assert!(faults[0].starts_with(start), "{faults:?}");
    }
    let (command, faults) = read("help: {summary: s}\n", &["aws"]);
    assert!(command.is_none());
    assert_eq!(
        faults,
        ["power-on:1: there is no default.sh: every command needs one"]
    );
}

#[test]
fn every_fault_is_named_with_its_line() {
    let text = "help: {sumary: s, syntax: [x]}\ntimeout: soon\ncolour: red\nfanout: 0\noutput_limit: much\nwait: maybe\nverify:\n  command: x\n  every: never\nexit_codes: {0: {state: ON}, 1: up}\nconfirmation: '%{x}'\n";
    let (command, faults) = read(text, &["default"]);
    assert!(command.is_none());
    let faults: Vec<&str> = faults
        .iter()
        .map(|fault| fault.strip_prefix("power-on/metadata.yaml:").unwrap())
        .collect();
    assert_eq!(
        faults,
        [
            "1: warning: unknown key sumary; it has no effect",
            "1: help.summary is missing: say in one line what the command does",
            "1: help.syntax: expected a line of text, found a list",
            "2: timeout: \"soon\" is not a time such as 90s or 1h",
            "3: warning: unknown key colour; it has no effect",
            "4: fanout: \"0\" is not a number from 1",
            "5: output_limit: \"much\" is not a size such as 64MiB, or none",
            "6: wait: \"maybe\" is not true or false",
            "7: verify.until is missing: name the states to wait for, such as [ON]",
            "9: verify.every: \"never\" is not a time such as 90s or 1h",
            "10: exit_codes.0: expected a code from 1 to 255 with `{state: NAME}`",
            "10: exit_codes.1: expected a code from 1 to 255 with `{state: NAME}`",
            "11: confirmation: unknown placeholder %{x} in the confirmation: write %{nodes}, %{count} or %{arguments}",
        ]
    );
}

#[test]
fn keys_given_twice_and_empty_keys_are_faults_whether_they_are_known_or_not() {
    for (text, line, part) in [
        (
            "help: {summary: s}\nnope: 1\nfoo: 2\nnope: 3\n",
            4,
            "nope is given twice",
        ),
        (
            "help:\n  summary: s\n  nope: 1\n  nope: 3\n",
            4,
            "nope is given twice",
        ),
        (
            "help: {summary: s}\nverify:\n",
            2,
            "verify: expected a map, found nothing",
        ),
        (
            "help: {summary: s}\noutput_limit:\n",
            2,
            "output_limit: expected a size",
        ),
    ] {
        let (command, faults) = read(text, &[]);
        let wanted = format!(":{line}: ");
        let is_there = |fault: &String| fault.contains(&wanted) && fault.contains(part);
        assert!(
            command.is_none() && faults.iter().any(is_there),
            "{text}: {faults:?}"
        );
    }
}
