//! What is written from the reference with `UPDATE=1`: `docs/settings.md`,
//! `packaging/examples/server.yaml`, and the manual pages of both files.

use std::{fmt::Write as _, fs, path::Path};

use super::{KeyReference, KeySection, Unset, all, flat, man};
use crate::{catalogue::CommandMetadata, config::SettingKeys, keys::KeyForm};

const HEAD: &str = "\
# Settings

Every setting of the server and every key of a command's `metadata.yaml`. Made from their definition in the code:
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
    for section in SettingKeys::SECTIONS {
        let _ = writeln!(text, "\n### {}\n", section.heading);
        table(&mut text, "setting", &flat(section.keys, ""));
    }
    let _ = write!(text, "\n{ENVIRONMENT}");
    table(&mut text, "key", &all(CommandMetadata::SECTIONS));
    text
}

fn table(text: &mut String, what: &str, keys: &[(String, &KeyReference)]) {
    let mut row = |cells: [&str; 5]| {
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    row([what, "type", "default", "for example", "meaning"]);
    row(["---"; 5]);
    for (name, key) in keys {
        let (name, example) = (format!("`{name}`"), format!("`{}`", key.example));
        row([&name, key.form, &default(key), &example, &meaning(key)]);
    }
}

/// What counts where the key is not set.
pub(super) fn default(key: &KeyReference) -> String {
    match key.unset {
        Unset::Default("{}") if !key.sections.is_empty() => "as below".to_owned(),
        Unset::Default(value) => format!("`{value}`"),
        Unset::Absent(words) => words.to_owned(),
        Unset::Required(_) => "required".to_owned(),
    }
}

/// What the key means, in one line of Markdown.
pub(super) fn meaning(key: &KeyReference) -> String {
    let lines: Vec<&str> = key.meaning.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// All settings in one file, as comments but for what must be set.
pub(super) fn example() -> String {
    let mut text = "\
# Every setting of action-server. docs/settings.md says the same with links.
# #setting: VALUE is the default; ##setting: VALUE is an example of what has none. Relative paths start at this file's
# directory. After an edit: action-server check --config THIS_FILE
"
    .to_owned();
    for KeySection { heading, keys } in SettingKeys::SECTIONS {
        let _ = writeln!(text, "\n# ---- {heading}");
        for (name, key) in flat(keys, "") {
            write_example(&mut text, &name, key);
        }
    }
    text
}

fn write_example(text: &mut String, name: &str, key: &KeyReference) {
    let indent = if name.contains('.') { "  " } else { "" };
    let (mark, value, remark) = match key.unset {
        Unset::Default(value) => ("#", value, String::new()),
        Unset::Required(_) => ("", key.example, " (required)".to_owned()),
        Unset::Absent(words) => ("##", key.example, format!(" (default: {words})")),
    };
    // What `init` makes is as good as required, and the keys of a map without default are as optional.
    let mark = match name {
        "jwt_secret_path" => "",
        _ if name.starts_with("tls.") || name.starts_with("traces.") => "##",
        _ => mark,
    };
    let value = if key.sections.is_empty() { value } else { "" };
    text.push('\n');
    for line in wrapped(&plain(&format!("{}{remark}", meaning(key))), 116) {
        let _ = writeln!(text, "# {line}");
    }
    let line = format!("{mark}{indent}{}: {value}", key.key);
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Where packages install the pages.
const INSTALLED_DOCS: &str = "/usr/share/doc/action-server/docs";

/// Text without Markdown's quotes, and with the files of links in parentheses.
pub(super) fn plain(text: &str) -> String {
    let link = regex::Regex::new(r"\[([^\]]*)\]\(([^)#]*)(#[^)]*)?\)").unwrap();
    let shown = |found: &regex::Captures<'_>| match &found[2] {
        "" => found[1].to_owned(),
        file if file == &found[1] => format!("{INSTALLED_DOCS}/{file}"),
        file => format!("{} ({INSTALLED_DOCS}/{file})", &found[1]),
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
        ("docs/man/server.yaml.5", man::settings()),
        ("docs/man/metadata.yaml.5", man::metadata()),
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
