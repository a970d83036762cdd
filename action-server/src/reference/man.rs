//! The manual pages of the settings and of `metadata.yaml`.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{
    KeyReference, all, flat,
    rendered::{default, meaning, plain},
};
use crate::{
    catalogue::CommandMetadata,
    config::SettingKeys,
    keys::{KeyForm, Unset},
};

/// `server.yaml(5)`.
pub(super) fn settings() -> String {
    let mut page = begin("server.yaml", "the settings of action-server");
    paragraphs(
        &mut page,
        &[
            "The file is named by --config, else by ACTION_SERVER_CONFIG, else it is /etc/action/server.yaml. It is YAML. Relative paths start at its directory. An unknown setting is an error.",
            "Each setting can be overridden by a variable of the environment: ACTION_SERVER_ and its name in capitals, such as ACTION_SERVER_LISTEN. Texts and paths are taken as they are, everything else is read as YAML. A map is replaced as a whole.",
            "Times are written as 90s, 5m, 1h 30m, 7d. Sizes are written as 512KiB, 64MiB, 10GiB.",
            "After an edit, action-server check names every fault with its line.",
        ],
    );
    for section in SettingKeys::SECTIONS {
        page.control("SH", [section.heading.to_uppercase().as_str()]);
        keys(&mut page, &flat(section.keys, ""));
    }
    end(page, "metadata.yaml(5)")
}

/// `metadata.yaml(5)`.
pub(super) fn metadata() -> String {
    let mut page = begin("metadata.yaml", "a command of action-server");
    paragraphs(
        &mut page,
        &[
            "Each command is a directory below command_directory_path with this file and a script for each rank, default.sh at least. The file is YAML, and is read again when it changes. An unknown key gives a warning and has no effect.",
            "Times are written as 90s, 5m, 1h 30m. Sizes are written as 512KiB, 64MiB. Bools are true, yes and on, or their opposites.",
            "After an edit, action-server check names every fault with its line.",
        ],
    );
    page.control("SH", ["KEYS"]);
    keys(&mut page, &all(CommandMetadata::SECTIONS));
    end(page, "server.yaml(5)")
}

fn begin(name: &str, what: &str) -> Roff {
    let mut page = Roff::new();
    page.control("TH", [name, "5", "\"\"", "Action"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {what}"))]);
    page.control("SH", ["DESCRIPTION"]);
    page
}

fn paragraphs(page: &mut Roff, texts: &[&str]) {
    for text in texts {
        page.control("PP", []);
        page.text([roman(*text)]);
    }
}

fn keys(page: &mut Roff, keys: &[(String, &KeyReference)]) {
    for (name, key) in keys {
        page.control("TP", []);
        let form: Inline = italic(plain(key.form));
        page.text([bold(name.as_str()), roman(" ("), form, roman(")")]);
        let text = plain(&meaning(key)).trim_end_matches('.').to_owned();
        let default = match key.unset {
            Unset::Required(_) => "Required".to_owned(),
            _ => format!("Default: {}", plain(&default(key))),
        };
        page.text([roman(format!(
            "{text}. {default}. Example: {}",
            key.example
        ))]);
    }
}

fn end(mut page: Roff, other: &str) -> String {
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(format!(
        "action-server(8), action-server-check(8), {other}"
    ))]);
    page.to_roff()
}
