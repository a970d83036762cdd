//! Secrets in files, flags and names of files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{Trial, canaries, named_canaries, permit, quoted};

#[test]
fn no_file_of_the_server_and_no_flag_shows_a_secret() {
    let mut trial = Trial::new();
    trial.site.write("policy.yaml", "rules: []\n");
    let more = "policy_path: policy.yaml\nrevocation_path: revoked.jsonl\n";
    let settings = format!("{}{more}", trial.good[0].1);
    trial.good[0].1 = settings;
    trial.good.push(("policy.yaml", "rules: []\n".to_owned()));
    trial.good.push(("revoked.jsonl", String::new()));
    trial.restore();
    for canary in canaries() {
        for form in canary.forms() {
            let value = quoted(&form);
            for (file, text) in [
                ("server.yaml", form.clone()),
                ("server.yaml", format!("{value}: x")),
                ("server.yaml", format!("jwt_secret: {form}")),
                ("server.yaml", format!("script_environment: A={form}\n")),
                (
                    "server.yaml",
                    format!("script_environment: {{{value}: x}}\n"),
                ),
                (
                    "server.yaml",
                    format!("script_environment: {{LD_PRELOAD: {value}}}\n"),
                ),
                ("nodes.yaml", form.clone()),
                ("nodes.yaml", format!("n1: {value}")),
                ("nodes.yaml", format!("n1: {{ranks: {value}}}")),
                ("nodes.yaml", format!("n1: {{__secret__: {value}}}")),
                ("nodes.yaml", format!("n1: {{__secret__: [{value}]}}")),
                ("nodes.yaml", format!("n1: {{__secret__: {{{value}: x}}}}")),
                (
                    "nodes.yaml",
                    format!("n1: {{__secret__: {{p: {value}, p: {value}}}}}"),
                ),
                (
                    "nodes.yaml",
                    format!("n1: {{__secret__: {{LD_X: {value}}}}}"),
                ),
                ("nodes.yaml", format!("n1: {{{value}: x}}")),
                ("nodes.yaml", format!("{value}: x")),
                ("nodes.yaml", format!("__groups__: {value}")),
                (
                    "nodes.yaml",
                    format!("n1: {{}}\n__groups__: {{{value}: n1, g: [n1]}}"),
                ),
                (
                    "nodes.yaml",
                    format!("n1: {{}}\n__groups__: {{g: {value}}}"),
                ),
                (
                    "policy.yaml",
                    format!("rules: [{{name: a, allow: [run], subjects: [a], nodes: {value}}}]"),
                ),
                (
                    "policy.yaml",
                    format!(
                        "rules: [{{name: a, allow: [run], subjects: [a], require: [{value}]}}]"
                    ),
                ),
                (
                    "policy.yaml",
                    format!(
                        "roles: {{{value}: [x], a: [{value}]}}\nrules: [{{name: a, allow: [run], subjects: [{value}], commands: [{value}], arguments: [{value}]}}]"
                    ),
                ),
                (
                    "policy.yaml",
                    format!(
                        "rules: [{{name: a, deny: [run], roles: [{value}], nodes: {}}}]",
                        quoted(&format!("@{form}"))
                    ),
                ),
                (
                    "policy.yaml",
                    format!(
                        "rules: [{{name: a, deny: [run], subjects: [a], nodes: {}}}]",
                        quoted(&format!("[{form}"))
                    ),
                ),
                (
                    "nodes.yaml",
                    format!(
                        "n1: {{}}\n__groups__: {{a: {}, b: {}, c: [[{value}]]}}",
                        quoted(&format!("@{form}")),
                        quoted(&format!("[{form}"))
                    ),
                ),
                (
                    "libexec/hello/metadata.yaml",
                    format!("help: {{summary: s}}\nverify: {{command: {value}, until: [ON]}}\n"),
                ),
                (
                    "libexec/hello/metadata.yaml",
                    format!(
                        "help: {{summary: s}}\nconfirmation: {}\n",
                        quoted(&format!("%{{{form}}}"))
                    ),
                ),
                ("libexec/hello/default.sh", format!("#!{form}\n")),
                ("libexec/hello/default.sh", format!("#!/bin/{form} x\n")),
                ("policy.yaml", form.clone()),
                ("policy.yaml", format!("{value}: x")),
                ("policy.yaml", format!("rules: {value}")),
                ("policy.yaml", format!("rules: [{value}]")),
                (
                    "policy.yaml",
                    format!("rules: [{{name: a, allow: {value}}}]"),
                ),
                (
                    "policy.yaml",
                    format!("rules: [{{name: a, allow: [{value}], subjects: [a]}}]"),
                ),
                ("policy.yaml", format!("rules: [{{name: a, {value}: x}}]")),
                ("revoked.jsonl", format!("{form}\n")),
                ("revoked.jsonl", format!("{value}\n")),
                ("revoked.jsonl", format!("{{\"revoke\":{value}}}\n")),
                (
                    "revoked.jsonl",
                    format!("{{\"revoke\":\"token\",\"jti\":{value}}}\n"),
                ),
                (
                    "revoked.jsonl",
                    format!("{{\"revoke\":\"all\",\"before\":{value}}}\n"),
                ),
                ("revoked.jsonl", format!("{{{value}:{value}}}\n")),
            ] {
                trial.site.write(file, &text);
                permit(&trial.site.path("server.yaml"));
                let case = format!("{file}: {text}");
                for words in [
                    &["check"][..],
                    &["serve", "--listen", "127.0.0.1:0"],
                    &["explain"],
                ] {
                    trial.server(&canary, &case, words, &[]);
                }
                trial.restore();
                _ = fs::remove_dir_all(trial.site.path("state"));
            }
            for words in [
                &["check", "--config", &form][..],
                &["serve", "--config", &form],
                &["generate-token", "--config", &form],
                &["generate-token", "--key", &form],
                &["generate-token", "--days", &form],
                &["generate-token", "--uid", &form],
                &["generate-token", "--nodes", &form],
                &["generate-token", "--nodes", &format!("n1,{form}")],
                &["generate-token", "--command", &form],
                &["generate-token", "--role", &form],
                &["runs", "export", &form],
                &["explain", "-g", &form],
                &["explain", "--command", &form],
                &["explain", "--command", "hello", &form],
                &["revoke", "--jti", &form],
                &["revoke", "--key", &form],
                &["revoke", "--all", "--before", &form],
                &["serve", "--listen", &form],
                &["init", &form],
                &["init", ".", "--listen", &form],
                &["cert", &form],
                &["check", &form],
                &[&form],
            ] {
                // Whoever makes tokens elsewhere may call them so; and a key.
                let is_good_name = words[0] == "revoke" && !["token", "key"].contains(&canary.name);
                if !is_good_name {
                    trial.server(
                        &canary,
                        &format!("{:?}", &words[..2.min(words.len())]),
                        words,
                        &[],
                    );
                    _ = fs::remove_dir_all(trial.site.path("state"));
                }
            }
        }
    }
    trial.is_clean();
}

/// What is wrong with files, of which the message tells the name.
#[test]
fn no_name_of_a_file_shows_a_secret() {
    let mut trial = Trial::new();
    let settings = trial.good[0].1.clone();
    trial.site.write("policy.yaml", "rules: []\n");
    for canary in named_canaries() {
        let name = &canary.text;
        for (file, text, lines) in [
            ("keys/NAME.secret", "short", "jwt_key_directory: keys"),
            ("keys/NAME.pem", "none", "jwt_key_directory: keys"),
            ("keys/a.NAME.secret", "short", "jwt_key_directory: keys"),
            ("libexec/NAME/metadata.yaml", "colour: red", ""),
            ("libexec/NAME/metadata.yaml", "help: [", ""),
            ("libexec/hello/NAME.sh", "echo", ""),
            ("libexec/hello/-NAME.sh", "echo", ""),
            ("libexec/hello/NAME", "echo", ""),
            ("libexec/NAME/helpers/x", "echo", ""),
            ("NAME.yaml", "n1: [", "nodes_config_path: NAME.yaml"),
            (
                "NAME/nodes.yaml",
                "- n1",
                "nodes_config_path: NAME/nodes.yaml",
            ),
            ("NAME", "rules: red", "policy_path: NAME"),
            ("NAME", "red", "revocation_path: NAME"),
            ("NAME", "short", "jwt_secret_path: NAME"),
            ("NAME/x", "", "state_directory: NAME"),
            ("NAME/x", "", "state_directory: NAME/x"),
            ("NAME/x", "", "audit_path: NAME"),
            ("NAME/x", "", "command_directory_path: NAME"),
            ("NAME/x", "", "working_directory_path: NAME/x"),
            (
                "NAME",
                "none",
                "tls: {certificate: NAME, private_key: NAME}",
            ),
        ] {
            let file = trial.site.path(file.replace("NAME", name));
            let lines = lines.replace("NAME", name);
            let key = lines.split(':').next().unwrap_or_default();
            let is_kept = |line: &&str| key.is_empty() || !line.starts_with(&format!("{key}:"));
            let kept: String = settings
                .lines()
                .filter(is_kept)
                .map(|line| format!("{line}\n"))
                .collect();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            trial.site.write("server.yaml", format!("{kept}{lines}\n"));
            for mode in [0o600, 0o644, 0o666] {
                fs::write(&file, text).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                let case = format!("{} {mode:o} {lines}", file.display());
                for words in [
                    &["check"][..],
                    &["serve", "--listen", "127.0.0.1:0"],
                    &["explain"],
                    &["generate-token"],
                ] {
                    trial.server(&canary, &case, words, &[]);
                }
            }
            for made in ["keys".to_owned(), format!("libexec/{name}"), name.clone()] {
                _ = fs::remove_dir_all(trial.site.path(made));
            }
            _ = fs::remove_file(&file);
            _ = fs::remove_dir_all(trial.site.path("state"));
        }
        trial.restore();
        // Settings that are there by that name, or in such a directory.
        for place in ["NAME", "d/NAME/server.yaml"] {
            let file = trial.site.path(place.replace("NAME", name));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            for text in ["colour: red", "jwt_secret: short", "- x", "{"] {
                fs::write(&file, text).unwrap();
                let words = ["check", "--config", file.to_str().unwrap()];
                trial.server(&canary, text, &words, &[]);
            }
            fs::remove_file(&file).unwrap();
        }
        let directory = trial.site.path(name);
        let directory = directory.to_str().unwrap();
        for (file, words) in [
            ("certificate.pem", &["cert", directory][..]),
            ("server.yaml/x", &["init", directory]),
        ] {
            let file = trial.site.path(name).join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            trial.server(&canary, words[0], words, &[]);
            fs::remove_dir_all(directory).unwrap();
        }
    }
    trial.is_clean();
}

/// The lines of a crate's programs that show a path by themselves.
fn own_displays(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            own_displays(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let program = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let has_path = program.contains("path: PathBuf,");
        for line in program.lines() {
            let is_error = line.contains("#[error(") && line.contains("{path");
            if line.contains(".display()") || (has_path && is_error) {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
}

/// A path that is shown in another way than by `input.rs` can have a secret in it.
#[test]
fn paths_are_shown_in_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for directory in ["action-server/src", "action-client/src"] {
        own_displays(&root.join(directory), &mut found);
    }
    // What the tests compare is no message.
    found.retain(|line| {
        !["/tests.rs:", "cli/reference.rs:"]
            .iter()
            .any(|it| line.contains(it))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}
