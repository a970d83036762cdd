//! Tests only: the reference of settings and of `metadata.yaml`, held against what the parsers
//! take. What is written from it: `written`.

mod metadata;
mod rendered;
mod settings;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use metadata::KEYS;
use rendered::example;
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
