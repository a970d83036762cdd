//! Owns the manual pages and the reference of the command line, made from the definitions.
//! They are committed; the test fails when they differ, and writes them with `UPDATE=1`.

use crate::arguments::program_alias::ProgramAlias;
use crate::cli::verbs;
use crate::environment::Environment;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

const ENVIRONMENT: [(&str, &str); 5] = [
    ("ACTION_CLIENT_CONFIG", "the configuration file"),
    (
        "ACTION_CLIENT_BASE_URL, .._JWT_TOKEN, .._JWT_TOKEN_PATH, .._JWT_TOKEN_COMMAND, .._VERIFY_SSL, .._CA_PATH, .._TIMEOUT",
        "each overrides the key of that name in the configuration file",
    ),
    (
        "ACTION_NAMESPACE, FLIGHT_ACTION_NAMESPACE",
        "a word such as `power`: only commands whose names begin with it, by the rest of their names",
    ),
    (
        "FLIGHT_ACTION_DESCRIPTION",
        "the program's description in help",
    ),
    ("NO_COLOR", "no colour, unless --color says always"),
];

/// Every key of the configuration: how it is written, what there is without it, and its meaning.
const CONFIGURATION: [(&str, &str, &str, &str); 7] = [
    (
        "base_url",
        "URL",
        "required",
        "`https://` or `http://`, host, port, and a path where the server is behind a web server. `http://` only to this host itself, since the token would be readable on the way",
    ),
    (
        "jwt_token",
        "text",
        "none",
        "the token. This, `jwt_token_path` or `jwt_token_command` is required",
    ),
    (
        "jwt_token_path",
        "path",
        "none",
        "a file with the token. It is read again when the token is no longer accepted",
    ),
    (
        "jwt_token_command",
        "text",
        "none",
        "a program that prints the token, and its arguments, with blanks between them; there is no shell. It is run again when the token is no longer accepted, and has 30 seconds to print and end. It has a process group of its own, which is killed when the client is stopped",
    ),
    (
        "verify_ssl",
        "bool",
        "`true`",
        "`false` takes any certificate, with a warning",
    ),
    (
        "ca_path",
        "path",
        "none",
        "certificates (PEM) to trust in addition to the system's own",
    ),
    (
        "timeout",
        "time",
        "`30s`",
        "the longest for connecting and for each call with one answer. A run may take as long as it takes",
    ),
];

/// What each exit code means, for the manual; the gravest first, which is the one that wins.
const MEANINGS: [(&str, &str); 11] = [
    (
        "255",
        "nothing ran: no connection, TLS, or the server rejected the token or the request",
    ),
    (
        "254",
        "some node was not started or is lost, or the run's outcome is unknown",
    ),
    ("253", "some node took longer than the time limit"),
    (
        "252",
        "some node was cancelled: by another user, by --max-failures, or by the server",
    ),
    ("251", "a script's own code was above 251, or was this"),
    (
        "1..250",
        "the script's own code; of several nodes the largest; 128 and the number for a signal",
    ),
    (
        "143",
        "the client was ended by SIGTERM; `run` cancelled its run, and waited up to 2 s for the end of it; `attach` and `show` leave the run",
    ),
    ("141", "stdout was closed before all output was written"),
    ("130", "your own Ctrl-C cancelled the run, or left it"),
    (
        "64",
        "the command line is wrong, or a command asks and there is no terminal",
    ),
    (
        "0",
        "every node is ok; codes that a command declares to be answers count as 0",
    ),
];

const FILES: [(&str, &str); 3] = [
    ("~/.config/action/client.yaml", "the user's configuration"),
    (
        "/etc/action/client.yaml",
        "the system's configuration, for users without one",
    ),
    (
        ".client.cache in the configuration's directory, or in ~/.cache/action",
        "what completion, and help while the server is away, know of the server",
    ),
];

/// The whole client, with its verbs in the order of its help.
fn whole() -> Command {
    called("action-client")
}

/// What the program is when it is called by this name.
fn called(name: &str) -> Command {
    let environment = Environment::default();
    let alias = ProgramAlias::detect(OsStr::new(name), &environment).unwrap();
    let mut root = verbs::root(&alias);
    root.build();
    root
}

fn verbs(root: &Command) -> impl Iterator<Item = &Command> {
    root.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// The manual page of the client or of one verb; the client's has all of what is common.
fn page(command: &Command, name: &str) -> Vec<u8> {
    let is_root = name == "action-client";
    let command = command
        .clone()
        .name(name.to_owned())
        .display_name(name.to_owned());
    let man = Man::new(command)
        .title(name.to_uppercase())
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
        list(&mut more, "EXIT STATUS", &MEANINGS);
        more.control("PP", []);
        more.text([roman("The worst result wins. --exit any gives 1 if any node is not ok, and --exit zero gives 0 always.")]);
        list(&mut more, "ENVIRONMENT", &ENVIRONMENT);
        list(&mut more, "FILES", &FILES);
    } else {
        more.control("SH", ["SEE ALSO"]);
        more.text([
            bold("action-client"),
            roman("(1), with the exit codes and the files"),
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

/// The reference of the command line, in Markdown.
fn reference() -> String {
    let root = whole();
    let mut text = String::from(
        "# The command line\n\nMade from the definitions in `action-client/src/cli`; \
         `UPDATE=1 cargo test -p action-client reference` makes it again.\n\n\
         The server's commands are verbs too: `action-client COMMAND [NODE] [ARG..]`, with the \
         options of `run`. `action-client help` lists them, and `action-client help COMMAND` \
         describes one.\n\nGlobal options may stand anywhere before the script's arguments:\n\n",
    );
    options(&mut text, &root, |heading| heading == "Global options");
    for verb in verbs(&root) {
        let mut verb = verb.clone();
        let usage = verb.render_usage().to_string();
        let usage = usage
            .trim_start_matches("Usage: ")
            .replace("\n       ", "\n");
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = verb.get_name().to_owned();
        let aliases: Vec<_> = verb
            .get_visible_aliases()
            .map(|it| format!(", `{it}`"))
            .collect();
        let _ = write!(
            text,
            "\n## `{name}`{}\n\n{about}.\n\n```\n{usage}\n```\n\n",
            aliases.concat()
        );
        options(&mut text, &verb, |heading| heading != "Global options");
    }
    text.push_str(
        "\n## Configuration\n\nThe file is named by `--config`, else by `$ACTION_CLIENT_CONFIG`; else it is the first \
         that is there of `~/.config/action/client.yaml` and `/etc/action/client.yaml`. Relative paths start at the \
         file's directory. Each key can be overridden by a variable: `ACTION_CLIENT_` and its name in capitals. With \
         enough of them no file is needed.\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (key, kind, default, meaning) in CONFIGURATION {
        let _ = writeln!(text, "| `{key}` | {kind} | {default} | {meaning} |");
    }
    text.push_str("\n| variable | meaning |\n| --- | --- |\n");
    for (names, meaning) in ENVIRONMENT {
        let names = names.replace(", ", "`, `").replace("`..", "`ACTION_CLIENT");
        let _ = writeln!(text, "| `{names}` | {meaning} |");
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in MEANINGS {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text.push_str("\nThe worst result wins: the first row that fits. Your own Ctrl-C \
                   counts for the nodes that it cancelled. `--exit any` gives 1 if any node is not ok, \
                   and `--exit zero` gives 0 always.\n");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text
}

fn options(text: &mut String, command: &Command, of: impl Fn(&str) -> bool) {
    let is_wanted =
        |arg: &&Arg| !arg.is_hide_set() && of(arg.get_help_heading().unwrap_or_default());
    let is_help = |arg: &&Arg| matches!(arg.get_id().as_str(), "help" | "version");
    let mut args = command
        .get_arguments()
        .filter(is_wanted)
        .filter(|it| !is_help(it))
        .peekable();
    if args.peek().is_none() {
        return;
    }
    text.push_str("| | |\n| --- | --- |\n");
    for arg in args {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|it| it.to_string_lossy())
            .collect();
        let default = if defaults.is_empty() || !arg.get_action().takes_values() {
            String::new()
        } else {
            format!(" [default: {}]", defaults.join(" "))
        };
        let shown = arg.to_string().replace('|', "\\|");
        let short = arg
            .get_short()
            .map(|it| format!("`-{it}`, "))
            .unwrap_or_default();
        let help = help.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(text, "| {short}`{shown}` | {help}{default} |");
    }
}

fn check(path: &str, expected: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the definitions say; UPDATE=1 writes it",
        path.display()
    );
}

#[test]
fn the_manual_is_that_of_the_definitions() {
    let root = whole();
    check("man/action-client.1", &page(&root, "action-client"));
    for verb in verbs(&root) {
        let name = format!("action-client-{}", verb.get_name());
        check(&format!("man/{name}.1"), &page(verb, &name));
    }
    for name in ["power", "estate"] {
        check(&format!("man/{name}.1"), &page(&called(name), name));
    }
}

#[test]
fn the_reference_is_that_of_the_definitions() {
    check("cli.md", reference().as_bytes());
}

#[test]
fn the_table_of_the_configuration_has_the_keys_that_are_read() {
    use crate::config::Config;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.yaml");
    std::fs::write(&file, "no_such: 1\n").unwrap();
    let told = Config::load(Some(&file), &Environment::default()).unwrap_err();
    let told = told.one_line();
    let (_, names) = told.split_once("expected").unwrap();
    let known: Vec<_> = names.split('`').skip(1).step_by(2).collect();
    assert_eq!(known, CONFIGURATION.map(|row| row.0));
    // Each variable is in the table of variables, and is read: none of these can be what it says.
    let variables = ENVIRONMENT.map(|row| row.0).concat();
    let good = "base_url: https://g\njwt_token: t\n";
    std::fs::write(&file, good).unwrap();
    for (key, ..) in CONFIGURATION {
        let key = key.to_uppercase();
        assert!(variables.contains(&format!("_{key}")), "{key}");
        let variable = format!("ACTION_CLIENT_{key}");
        let environment = Environment::from([(variable.as_str(), "/no such")]);
        assert!(Config::load(Some(&file), &environment).is_err(), "{key}");
    }
}

#[test]
fn the_table_of_exit_codes_has_every_code_that_is_given() {
    use crate::exit::{
        BROKEN_PIPE, CANCELLED, INTERRUPTED, LARGEST_OF_SCRIPT, NOT_RUN, NOTHING, TERMINATED,
        TIMED_OUT, USAGE,
    };
    for code in [
        BROKEN_PIPE,
        CANCELLED,
        INTERRUPTED,
        LARGEST_OF_SCRIPT,
        NOT_RUN,
        NOTHING,
        TERMINATED,
        TIMED_OUT,
        USAGE,
        0,
    ] {
        assert!(
            MEANINGS.iter().any(|(it, _)| *it == code.to_string()),
            "{code}"
        );
    }
}
