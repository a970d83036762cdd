//! The manual pages and completions of the server, made from the definitions of its command line.
//! They are committed; the test fails when they differ, and writes them with `UPDATE=1`.

use std::{fs, path::Path};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::ServerCli;

const EXIT_CODES: [(&str, &str); 4] = [
    ("0", "done, or stopped by a signal"),
    ("64", "the command line is wrong"),
    (
        "78",
        "the configuration is wrong; of check: nodes or commands are",
    ),
    (
        "1",
        "anything else, such as an address that is in use, or a state directory that cannot be used",
    ),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    ("ACTION_SERVER_CONFIG", "the settings file"),
    (
        "ACTION_SERVER_LISTEN, and so on",
        "each overrides the setting of that name, which is the variable's in lower case",
    ),
];

const FILES: [(&str, &str); 6] = [
    ("/etc/action/server.yaml", "the settings"),
    ("/etc/action/nodes.yaml", "the nodes"),
    (
        "/etc/action/libexec",
        "the commands, a directory for each, and what their scripts share",
    ),
    (
        "/etc/action/jwt_secret",
        "the secret that signs tokens; only root needs to read it",
    ),
    (
        "/etc/action/revoked.jsonl",
        "with packages: the revoked tokens (revocation_path)",
    ),
    (
        "/var/lib/action",
        "the records of runs and the audit log, of the user action alone",
    ),
];

/// All commands with a page: the program, its verbs, and theirs, each with its full name.
fn commands() -> Vec<(String, Command)> {
    fn collect(name: &str, command: &Command, found: &mut Vec<(String, Command)>) {
        found.push((name.to_owned(), command.clone()));
        for verb in command.get_subcommands() {
            if verb.get_name() != "help" {
                collect(&format!("{name}-{}", verb.get_name()), verb, found);
            }
        }
    }
    let mut root = ServerCli::command();
    root.build();
    let mut found = Vec::new();
    collect("action-server", &root, &mut found);
    found
}

/// The page of the program or of one verb; the program's has all of what is common.
fn page(name: &str, command: Command) -> Vec<u8> {
    let is_root = name == "action-server";
    // The settings of the one who makes the pages are no part of them.
    let command = command
        .mut_args(|arg| arg.hide_env_values(true))
        .name(name.to_owned())
        .display_name(name.to_owned());
    let command = if is_root {
        // It has no page.
        command.mut_subcommand("help", |verb| verb.hide(true))
    } else {
        command
    };
    let man = Man::new(command)
        .title(name.to_uppercase())
        .section("8")
        .date("")
        .source("Action");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut more = Roff::new();
    if is_root {
        man.render_subcommands_section(&mut page).unwrap();
        list(&mut more, "EXIT STATUS", &EXIT_CODES);
        list(&mut more, "ENVIRONMENT", &ENVIRONMENT);
        list(&mut more, "FILES", &FILES);
    } else {
        more.control("SH", ["SEE ALSO"]);
        more.text([
            bold("action-server"),
            roman("(8), with the exit codes and the files"),
        ]);
    }
    more.to_writer(&mut page).unwrap();
    page
}

fn list(roff: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, text) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}

fn check(path: &str, expected: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the definitions say; UPDATE=1 writes it",
        path.display()
    );
}

#[test]
fn the_manual_is_that_of_the_definitions() {
    let commands = commands();
    assert!(commands.len() > 8, "the program, its verbs, and theirs");
    let names: Vec<String> = commands
        .iter()
        .map(|(name, _)| format!("{name}.8"))
        .collect();
    for (name, command) in commands {
        check(&format!("docs/man/{name}.8"), &page(&name, command));
    }
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/man")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".8") || names.contains(&name),
            "{name} is of a verb that is gone"
        );
    }
}

#[test]
fn the_completions_are_those_of_the_definitions() {
    for (shell, file) in [
        (Shell::Bash, "action-server.bash"),
        (Shell::Zsh, "_action-server"),
        (Shell::Fish, "action-server.fish"),
    ] {
        let mut script = Vec::new();
        generate(
            shell,
            &mut ServerCli::command(),
            "action-server",
            &mut script,
        );
        check(&format!("packaging/completions/{file}"), &script);
    }
}
