//! Tests only: the reference of settings and of `metadata.yaml`, tried out with the parsers. What is
//! written from it: `rendered`.

mod man;
mod rendered;

use std::{fs, os::unix::fs::PermissionsExt};

use rendered::example;

use crate::{
    catalogue::{CommandMetadata, ScriptListing, read_command},
    config::{SettingKeys, Settings},
    keys::{KeyForm, Unset},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Keys below a heading, for the docs.
#[derive(Debug)]
pub struct KeySection {
    /// The heading.
    pub heading: &'static str,
    /// The keys below it.
    pub keys: &'static [KeyReference],
}

/// A key, for the docs.
#[derive(Debug)]
pub struct KeyReference {
    /// Its name.
    pub key: &'static str,
    /// The name of its form.
    pub form: &'static str,
    /// What counts where it is not set.
    pub unset: Unset,
    /// A value that is not the default, as YAML.
    pub example: &'static str,
    /// What it means, line by line.
    pub meaning: &'static [&'static str],
    /// The keys below it.
    pub sections: &'static [KeySection],
}

/// Keys with those below them, each with its full name, such as `limits.nodes`.
fn flat(keys: &'static [KeyReference], above: &str) -> Vec<(String, &'static KeyReference)> {
    let with_those_below = |key: &'static KeyReference| {
        let name = format!("{above}{}", key.key);
        let below = key.sections.iter().flat_map({
            let name = format!("{name}.");
            move |section| flat(section.keys, &name)
        });
        std::iter::once((name, key)).chain(below.collect::<Vec<_>>())
    };
    keys.iter().flat_map(with_those_below).collect()
}

fn all(sections: &'static [KeySection]) -> Vec<(String, &'static KeyReference)> {
    let sections = sections.iter();
    sections
        .flat_map(|section| flat(section.keys, ""))
        .collect()
}

/// Settings in a directory, and what the server makes of them.
struct SettingsSite(tempfile::TempDir);

impl SettingsSite {
    fn new() -> SettingsSite {
        let site = SettingsSite(tempfile::tempdir().unwrap());
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
fn written(key: &str, value: &str) -> (String, String) {
    match key.split_once('.') {
        None => (key.to_owned(), value.to_owned()),
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

#[test]
fn each_setting_counts_from_file_and_environment_and_its_default_is_what_it_says() {
    let site = SettingsSite::new();
    for (key, setting) in all(SettingKeys::SECTIONS) {
        let needed = needed(&key);
        let load = |value: &str| {
            let (key, value) = written(&key, value);
            site.load(&format!("{needed}{key}: {value}\n"), None)
                .unwrap_or_else(|error| panic!("{key}: {error}"))
        };
        let set = load(setting.example);
        let without = site.load(&needed, None);
        // The secret is not shown.
        if key != "jwt_secret" {
            let is_other = without.as_ref() != Ok(&set);
            assert!(
                is_other || key == "traces.insecure",
                "{key}: the example changes nothing"
            );
        }
        match setting.unset {
            // Part of a map that has no default: the same as without it there.
            Unset::Default(value) if key.starts_with("traces.") => {
                assert_ne!(load(value), set, "{key}");
            }
            Unset::Default(value) => assert_eq!(without, Ok(load(value)), "{key} is not {value}"),
            Unset::Absent(_) => {}
            Unset::Required(_) if key.contains('.') => {
                let (map, _) = key.split_once('.').unwrap();
                let faulty = site.load(&format!("{needed}{map}: {{}}\n"), None);
                assert!(faulty.is_err(), "{key} is not required");
            }
            Unset::Required(_) => assert!(without.is_err(), "{key} is not required"),
        }
        let (name, value) = written(&key, setting.example);
        let variable = (format!("ACTION_SERVER_{}", name.to_uppercase()), value);
        assert_eq!(
            site.load(&needed, Some(variable)),
            Ok(set),
            "{key} of the environment"
        );
    }
}

#[test]
fn the_example_has_the_defaults() {
    let site = SettingsSite::new();
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

#[test]
fn the_examples_of_metadata_can_be_read() {
    for (key, reference) in all(CommandMetadata::SECTIONS) {
        let value = reference.example;
        let text = match key.split_once('.') {
            Some(("help", "summary")) => format!("help: {{summary: {value}}}\n"),
            Some(("help", key)) => format!("help: {{summary: s, {key}: {value}}}\n"),
            Some((map, key)) => {
                let all = [("command", "power-status"), ("until", "[ON]")];
                let beside = all.iter().filter(|(it, _)| it != &key);
                let beside: String = beside.map(|(k, v)| format!(", {k}: {v}")).collect();
                format!("help: {{summary: s}}\n{map}: {{{key}: {value}{beside}}}\n")
            }
            None if key == "help" => format!("help: {value}\n"),
            None if key == "wait" => {
                format!(
                    "help: {{summary: s}}\nverify: {{command: c, until: [ON]}}\n{key}: {value}\n"
                )
            }
            None => format!("help: {{summary: s}}\n{key}: {value}\n"),
        };
        let listing = ScriptListing {
            directory: "c".into(),
            scripts: [("default".to_owned(), "c/default.sh".into())].into(),
            unusable: [].into(),
            nameless: Vec::new(),
        };
        let (command, faults) = read_command("c", &text, listing);
        assert!(command.is_some() && faults.is_empty(), "{key}: {faults:?}");
    }
}
