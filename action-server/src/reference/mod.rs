//! Tests only: the reference of settings and of `metadata.yaml`, held against what the parsers take, and
//! written to `docs/settings.md` and `packaging/examples/server.yaml` with `UPDATE=1`.

mod metadata;
mod settings;

use std::{collections::BTreeSet, fmt::Write as _, fs, os::unix::fs::PermissionsExt, path::Path};

use metadata::KEYS;
use settings::{SETTINGS, Setting, Unset};

use crate::{
    catalogue::{Listing, read_command},
    config::Settings,
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().flat_map(|(_, settings)| *settings)
}

/// Settings in a directory, and what the server makes of them.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Site {
        let site = Site(tempfile::tempdir().unwrap());
        let secret = site.0.path().join("jwt_secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        site
    }

    fn load(&self, text: &str, variable: Option<(String, String)>) -> Result<String, String> {
        let file = self.0.path().join("server.yaml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::load(&file, variable);
        settings
            .map(|settings| format!("{settings:#?}"))
            .map_err(|error| error.to_string())
    }
}

/// What a server needs, but for one setting that is there in another form.
fn needed(without: &str) -> String {
    let own = [
        ("jwt_secret", SECRET),
        ("nodes_config_path", "n.yaml"),
        ("command_directory_path", "/c"),
    ];
    let line = |(key, value): &(&str, &str)| format!("{key}: {value}\n");
    let stays = |(key, _): &&(&str, &str)| *key != without && format!("{key}_path") != without;
    own.iter().filter(stays).map(line).collect()
}

/// A setting in a file: one line, its map around it and what this needs beside it.
fn written(setting: &Setting, value: &str) -> (String, String) {
    match setting.key.split_once('.') {
        None => (setting.key.to_owned(), value.to_owned()),
        Some((map, key)) => {
            let needed: &[(&str, &str)] = match map {
                "tls" => &[("certificate", "c.pem"), ("private_key", "k.pem")],
                "traces" => &[("endpoint", "http://127.0.0.1:4317")],
                _ => &[],
            };
            let beside = needed.iter().filter(|(it, _)| *it != key);
            let beside: String = beside
                .map(|(it, value)| format!(", {it}: {value}"))
                .collect();
            (map.to_owned(), format!("{{{key}: {value}{beside}}}"))
        }
    }
}

/// What the parser says that it would take in this map.
fn known(map: &str) -> BTreeSet<String> {
    let text = match map {
        "" => "no_such: 1\n".to_owned(),
        map => format!("{map}: {{no_such: 1}}\n"),
    };
    let told = Site::new().load(&text, None).unwrap_err();
    let (_, names) = told
        .split_once("expected")
        .unwrap_or_else(|| panic!("{told}"));
    names
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_has_the_settings_that_the_parser_takes() {
    for map in ["", "tls", "limits", "retention", "traces"] {
        let below = |setting: &Setting| match setting.key.split_once('.') {
            Some((of, key)) => (of == map).then_some(key),
            None => map.is_empty().then_some(setting.key),
        };
        let told: BTreeSet<String> = all().filter_map(below).map(str::to_owned).collect();
        assert_eq!(told, known(map), "below {map:?}");
    }
}

#[test]
fn each_setting_counts_from_file_and_environment_and_its_default_is_what_it_says() {
    let site = Site::new();
    for setting in all() {
        let (key, needed) = (setting.key, needed(setting.key));
        let load = |value: &str| {
            let (key, value) = written(setting, value);
            site.load(&format!("{needed}{key}: {value}\n"), None)
                .unwrap_or_else(|error| panic!("{key}: {error}"))
        };
        let set = load(setting.example);
        let without = site.load(&needed, None);
        // The secret is not shown, and what only allows another setting is not kept.
        if !["jwt_secret", "insecure_metrics_listen", "traces.insecure"].contains(&key) {
            assert_ne!(
                without.as_ref(),
                Ok(&set),
                "{key}: the example changes nothing"
            );
        }
        match setting.unset {
            // Part of a map that has no default: the same as without it there.
            Unset::Is(value) if key.starts_with("traces.") => assert_eq!(load(value), set, "{key}"),
            Unset::Is(value) => assert_eq!(without, Ok(load(value)), "{key} is not {value}"),
            Unset::Words(_) => {}
            Unset::Required if key.contains('.') => {
                let (map, _) = key.split_once('.').unwrap();
                let told = site.load(&format!("{needed}{map}: {{}}\n"), None);
                assert!(told.is_err(), "{key} is not required");
            }
            Unset::Required => assert!(without.is_err(), "{key} is not required"),
        }
        let (name, value) = written(setting, setting.example);
        let variable = (format!("ACTION_SERVER_{}", name.to_uppercase()), value);
        assert_eq!(
            site.load(&needed, Some(variable)),
            Ok(set),
            "{key} of the environment"
        );
    }
}

#[test]
fn the_example_says_the_defaults() {
    let site = Site::new();
    let mut text = needed("");
    for line in example().lines() {
        let talk = |it: &&str| it.starts_with('#') || it.starts_with(' ') && !it.starts_with("  ");
        if let Some(setting) = line.strip_prefix('#').filter(|it| !talk(it)) {
            text += &format!("{setting}\n");
        }
    }
    assert_eq!(
        site.load(&text, None),
        site.load(&needed(""), None),
        "{text}"
    );
    // As it stands it has what must be set.
    assert!(site.load(&example(), None).is_ok(), "{}", example());
}

/// The keys that the parser's source has, below the map that each of its functions reads.
fn keys_of_the_parser() -> BTreeSet<String> {
    let source = include_str!("../catalogue/metadata.rs");
    let arms = |function: &str, map: &str| {
        let (_, body) = source.split_once(&format!("    fn {function}(")).unwrap();
        let (body, _) = body.split_once("\n    }\n").unwrap();
        let arm = |line: &str| {
            let (key, _) = line.trim().strip_prefix('"')?.split_once("\" =>")?;
            Some(format!("{map}{key}"))
        };
        body.lines().filter_map(arm).collect::<Vec<_>>()
    };
    let maps = ["help"];
    let own = arms("field", "")
        .into_iter()
        .filter(|key| !maps.contains(&key.as_str()));
    own.chain(arms("help", "help."))
        .chain(arms("verify", "verify."))
        .collect()
}

#[test]
fn the_reference_has_the_keys_of_metadata() {
    let told: BTreeSet<String> = KEYS.iter().map(|key| key.0.to_owned()).collect();
    assert_eq!(told, keys_of_the_parser());
    for (key, _, _, value, _) in KEYS {
        let text = match key.split_once('.') {
            Some(("help", "summary")) => format!("help: {{summary: {value}}}\n"),
            Some(("help", key)) => format!("help: {{summary: s, {key}: {value}}}\n"),
            Some((map, key)) => {
                let all = [("command", "power-status"), ("until", "[ON]")];
                let beside = all.iter().filter(|(it, _)| it != &key);
                let beside: String = beside.map(|(k, v)| format!(", {k}: {v}")).collect();
                format!("help: {{summary: s}}\n{map}: {{{key}: {value}{beside}}}\n")
            }
            None if *key == "wait" => {
                format!(
                    "help: {{summary: s}}\nverify: {{command: c, until: [ON]}}\n{key}: {value}\n"
                )
            }
            None => format!("help: {{summary: s}}\n{key}: {value}\n"),
        };
        let listing = Listing {
            directory: "c".into(),
            scripts: [("default".to_owned(), "c/default.sh".into())].into(),
            unusable: [].into(),
            nameless: Vec::new(),
        };
        let (command, faults) = read_command("c", &text, listing);
        assert!(command.is_some() && faults.is_empty(), "{key}: {faults:?}");
    }
}

// ---- what is written

const HEAD: &str = "\
# Settings

Every setting of the server and every key of a command's `metadata.yaml`. Made from the code, and held against what it takes:
`UPDATE=1 cargo test -p action-server --lib reference` makes this file again. How things work together is in
[configuration.md](configuration.md), the client's settings are in [cli.md](cli.md#configuration).

## `server.yaml`

The file is named by `--config`, else by `$ACTION_SERVER_CONFIG`, else it is `/etc/action/server.yaml`. Relative paths start at its
directory. An unknown setting is an error. Settings are read at the start; where a setting names a file that is read again when
it changes, its line says so. All of them, commented out, are in
[packaging/examples/server.yaml](../packaging/examples/server.yaml).

Each can be overridden by a variable of the environment: `ACTION_SERVER_` and its name in capitals, such as
`ACTION_SERVER_LISTEN`. Texts and paths are taken as they are, everything else is read as YAML. A map is replaced as a whole:
`ACTION_SERVER_LIMITS='{nodes: 500}'` for `limits.nodes`. A variable with this prefix that names no setting is an error.

Times are written as `90s`, `5m`, `1h 30m`, `7d`. Sizes are written as `512KiB`, `64MiB`, `10GiB`; `MB` and `GB` are powers of ten.
";

const ENVIRONMENT: &str = "\
### `script_environment`

It may set what the nodes file may not: `PATH`, `HOME`, `LANG`, `TZ`, `TMPDIR` and `LC_*`. All other names follow the
[rules for metadata](configuration.md#metadata).

## `metadata.yaml`

Of a command, in its directory. Read again when it changes. An unknown key gives a warning and has no effect. Bools are `true`,
`yes` and `on`, or their opposites.

";

fn document() -> String {
    let mut text = HEAD.to_owned();
    let row = |text: &mut String, cells: [&str; 5]| {
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    for (heading, settings) in SETTINGS {
        let _ = writeln!(text, "\n### {heading}\n");
        row(
            &mut text,
            ["setting", "type", "default", "for example", "meaning"],
        );
        row(&mut text, ["---"; 5]);
        for it in *settings {
            let (key, example) = (format!("`{}`", it.key), format!("`{}`", it.example));
            let default = match it.unset {
                Unset::Is(value) => format!("`{value}`"),
                Unset::Words(words) => words.to_owned(),
                Unset::Required => "required".to_owned(),
            };
            row(
                &mut text,
                [&key, it.kind.name(), &default, &example, it.meaning],
            );
        }
    }
    let _ = write!(text, "\n{ENVIRONMENT}");
    row(
        &mut text,
        ["key", "type", "default", "for example", "meaning"],
    );
    row(&mut text, ["---"; 5]);
    for (key, kind, default, example, meaning) in KEYS {
        let (key, example) = (format!("`{key}`"), format!("`{example}`"));
        row(&mut text, [&key, kind, default, &example, meaning]);
    }
    text
}

/// All settings in one file, as comments but for what must be set.
fn example() -> String {
    let mut text = "\
# Every setting of action-server. docs/settings.md says the same with links.
# #setting: VALUE is the default; ##setting: VALUE is an example of what has none. Relative paths start at this file's
# directory. After an edit: action-server check --config THIS_FILE
"
    .to_owned();
    let starts_a_map = |key: &str| all().any(|it| it.key.starts_with(&format!("{key}.")));
    for (heading, settings) in SETTINGS {
        let _ = writeln!(text, "\n# ---- {heading}");
        for it in *settings {
            let (indent, key) = match it.key.split_once('.') {
                Some((_, key)) => ("  ", key),
                None => ("", it.key),
            };
            let (mark, value, told) = match it.unset {
                Unset::Is(value) => ("#", value, String::new()),
                Unset::Required => ("", it.example, " (required)".to_owned()),
                Unset::Words(words) => ("##", it.example, format!(" (default: {words})")),
            };
            // What `init` makes is as good as required, and what belongs to `tls` is as optional as it.
            let mark = match key {
                "jwt_secret_path" => "",
                "limits" | "retention" => "#",
                _ if it.key.starts_with("tls.") || it.key.starts_with("traces.") => "##",
                _ => mark,
            };
            let value = if starts_a_map(key) { "" } else { value };
            text.push('\n');
            for line in wrapped(&plain(&format!("{}{told}", it.meaning)), 116) {
                let _ = writeln!(text, "# {line}");
            }
            let line = format!("{mark}{indent}{key}: {value}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// Markdown's links and quotes taken away.
fn plain(text: &str) -> String {
    let link = regex::Regex::new(r"\[([^\]]*)\]\(([^)#]*)(#[^)]*)?\)").unwrap();
    let shown = |found: &regex::Captures<'_>| match &found[2] {
        "" => found[1].to_owned(),
        file => format!("{} in docs/{file}", &found[1]),
    };
    link.replace_all(text, shown).replace('`', "")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        match last.is_empty() || last.len() + 1 + word.len() <= width {
            true if last.is_empty() => last.push_str(word),
            true => *last += &format!(" {word}"),
            false => lines.push(word.to_owned()),
        }
    }
    lines
}

#[test]
fn what_is_written_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, text) in [
        ("docs/settings.md", document()),
        ("packaging/examples/server.yaml", example()),
    ] {
        let path = root.join(name);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{name} is not what the code says; UPDATE=1 writes it"
        );
    }
}
