//! What is written from the reference with `UPDATE=1`: `docs/settings.md` and
//! `packaging/examples/server.yaml`.

use std::{fmt::Write as _, fs, path::Path};

use super::{KEYS, SETTINGS, Unset, all};

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
pub(super) fn example() -> String {
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
