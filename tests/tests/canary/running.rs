//! Secrets in what the client reads, in what a running server reads anew, and in its nodes.

use std::fs;

use action_tests::{
    Client, Site, on,
    program::hermetic,
    wait::{CEILING, wait_until},
};

use super::{
    Canary, Trial, canaries, contents, listed, named_canaries, permit, quoted, wrong_lines,
};

#[test]
fn the_client_shows_no_secret() {
    let mut trial = Trial::new();
    trial
        .site
        .write("client.yaml", "base_url: http://127.0.0.1:9\ncolour: red\n");
    let ran = Client::new(&trial.site).run(&["nodes"]);
    let settings = listed(&ran.stderr());
    assert!(settings.len() >= 6, "{ran}");
    trial.good[1].1 = "base_url: http://127.0.0.1:9\njwt_token: t\n".to_owned();
    trial.restore();
    let program = trial.site.program("action-client");
    let home = trial.site.path("home");
    let file = trial.site.path("client.yaml");
    let call = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = hermetic(&program, &home);
        command.args(words).env("ACTION_CLIENT_CONFIG", &file);
        command.envs(variables.iter().copied());
        command
    };
    for canary in canaries() {
        for form in canary.forms().into_iter().take(4) {
            let value = quoted(&form);
            let mut texts = vec![
                form.clone(),
                value.clone(),
                format!("{value}: x"),
                format!("[{value}]"),
            ];
            for name in &settings {
                let good = "base_url: http://127.0.0.1:9\njwt_token: t\n";
                let kept = good
                    .lines()
                    .filter(|line| !line.starts_with(&format!("{name}:")));
                let kept: String = kept.map(|line| format!("{line}\n")).collect();
                let lines = wrong_lines("", name, &form);
                texts.extend(lines.iter().map(|line| format!("{kept}{line}\n")));
                texts.push(format!("{kept}{name}: {form}\n"));
            }
            for text in texts {
                trial.site.write("client.yaml", &text);
                for words in [&["nodes"][..], &["run", "hello", "n1"]] {
                    trial.run(&canary, &text, call(words, &[]));
                }
            }
            trial.restore();
            for name in &settings {
                let variable = format!("ACTION_CLIENT_{}", name.to_uppercase());
                trial.run(&canary, &variable, call(&["nodes"], &[(&variable, &form)]));
            }
            for url in [
                format!("http://{form}:17100"),
                format!("https://{form}/{form}"),
            ] {
                let variables = [
                    ("ACTION_CLIENT_BASE_URL", &*url),
                    ("ACTION_CLIENT_TIMEOUT", "1s"),
                ];
                trial.run(&canary, &url, call(&["nodes"], &variables));
            }
            trial.run(
                &canary,
                "variable",
                call(&["nodes"], &[("ACTION_CLIENT_CONFIG", &form)]),
            );
            for words in [
                &["nodes", "--config", &form][..],
                &["--config", &form, "help"],
                &[&form],
                &["nodes", &format!("--{form}")],
            ] {
                trial.run(&canary, &format!("{:?}", words[0]), call(words, &[]));
            }
        }
    }
    for canary in named_canaries() {
        let name = &canary.text;
        let directory = trial.site.path(name);
        fs::create_dir(&directory).unwrap();
        let file = directory.join("client.yaml");
        let secret_file = directory.join(name);
        fs::write(&secret_file, "").unwrap();
        let base = "base_url: http://127.0.0.1:9";
        for text in [
            "colour: red".to_owned(),
            "base_url: [".to_owned(),
            base.to_owned(),
            format!("{base}\njwt_token_path: {name}"),
            format!("{base}\njwt_token_command: {name} {name}"),
            format!("{base}\njwt_token_path: ."),
            format!("{base}\njwt_token: t\nca_path: ."),
            format!("base_url: https://127.0.0.1:9\njwt_token: t\nca_path: {name}"),
        ] {
            fs::write(&file, &text).unwrap();
            let path = file.to_str().unwrap();
            let words = ["nodes", "--config", path];
            trial.run(&canary, &text, call(&words, &[]));
        }
        fs::remove_dir_all(&directory).unwrap();
    }
    trial.is_clean();
}

/// What a server answers that is asked for a secret, and what it logs and keeps of it.
#[test]
fn no_answer_of_a_server_shows_a_secret() {
    for nodes in ["", ", nodes: n1"] {
        let site = Site::new();
        site.command("hello", "echo hello");
        site.nodes("n1: {}\nn2: {}\n");
        site.settings("policy_path: policy.yaml");
        site.write(
            "policy.yaml",
            format!("rules: [{{name: a, allow: [all], subjects: ['*']{nodes}}}]\n"),
        );
        let server = site.start();
        let client = server.client();
        let mut hits = Vec::new();
        for canary in canaries() {
            for form in canary.forms().iter().take(2) {
                for words in [
                    &[form.as_str()][..],
                    &[form, "n1"],
                    &[form, "--help"],
                    &["run", form],
                    &["run", form, "n1"],
                    &["help", form],
                    &["hello", form],
                    &["hello", &format!("n1,{form}")],
                    &["hello", &format!("@{form}")],
                    &["hello", &format!("{form}=x")],
                    &["hello", "n1", "--exclude", form],
                    &["nodes", "-g", form],
                    &["can-i", form, "-g", "n1"],
                    &["can-i", "hello", "-g", form],
                    &["runs", "--command", form],
                    &["runs", "-g", form],
                    &["runs", "--subject", form],
                    &["show", form],
                    &["attach", form],
                    &["cancel", form],
                    &["rerun", form],
                ] {
                    let ran = client.run(words);
                    let told = [&*ran.stdout, ran.stderr().as_bytes()].concat();
                    if canary.found(&told).is_some() {
                        hits.push(format!("{} {words:?}: {ran}", canary.name));
                    }
                }
            }
            let log = server.log().into_bytes();
            for kept in [log, contents(&server.path("state"))] {
                if let Some(part) = canary.found(&kept) {
                    let kept = String::from_utf8_lossy(&kept).into_owned();
                    let lines = kept.lines().filter(|line| line.contains(&part));
                    hits.extend(lines.map(|line| format!("{}: {line}", canary.name)));
                }
            }
        }
        assert!(hits.is_empty(), "{}", hits.join("\n"));
        // Ordinary names stay whole.
        let long = "power-status-of-all-the-nodes-that-stand-in-the-second-room-now";
        for name in ["power-status", "cnode001", long] {
            assert!(client.run(&["run", name, "n1"]).stderr().contains(name));
            if nodes.is_empty() {
                assert!(client.run(&["hello", name]).stderr().contains(name));
            }
        }
        for id in ["7k", "4x7q0c9kz3mt5vhy"] {
            let told = client.run(&["show", id]).stderr();
            assert!(told.contains(&format!("no such run: {id}")), "{told}");
        }
    }
}

/// What a running server reads anew.
#[test]
fn a_server_that_runs_shows_no_secret() {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.write(
        "policy.yaml",
        "rules: [{name: a, allow: [all], subjects: ['*']}]\n",
    );
    fs::create_dir(site.path("keys")).unwrap();
    _ = site
        .server_verb_alone(&["cert", "pki", "--name", "localhost"])
        .ok();
    site.settings("policy_path: policy.yaml\njwt_key_directory: keys\nmetrics_listen: 127.0.0.1:0");
    site.settings("tls: {certificate: pki/certificate.pem, private_key: pki/private_key.pem}");
    let server = site.start();
    let files = [
        "pki/private_key.pem",
        "policy.yaml",
        "nodes.yaml",
        "state/revoked.jsonl",
    ];
    let good = files.map(|name| (name, server.read(name)));
    let key = &good[0].1;
    let key_canary = Canary::new("key", key);
    let mut all = canaries();
    // Each time that all files are good again the server says so of the last of them.
    for (round, form) in key_canary.forms().into_iter().skip(1).take(3).enumerate() {
        let value = quoted(&form);
        for (name, text) in [
            ("pki/private_key.pem", form.clone()),
            ("policy.yaml", value.clone()),
            ("nodes.yaml", format!("n1: {{ranks: [{value}]}}\n")),
            ("keys/a.secret", form.clone()),
            ("keys/b.pem", form.clone()),
            ("keys/a.until", form.clone()),
        ] {
            server.write(name, text);
            permit(&server.path(name));
        }
        server.write("state/revoked.jsonl", format!("{value}\n"));
        for part in [
            "the last one stays in use",
            "the last good policy",
            "no token is good",
            "cannot be a rank",
        ] {
            wait_until(part, CEILING, || {
                (server.log().matches(part).count() > round).then_some(())
            });
        }
        for (name, text) in &good {
            server.write(name, text);
        }
        let taken = "took the new certificate";
        wait_until(taken, CEILING, || {
            (server.log().matches(taken).count() > round).then_some(())
        });
    }
    all.push(key_canary);
    let name = &named_canaries()[1].text;
    fs::create_dir(server.path("libexec").join(name)).unwrap();
    for (file, text, told) in [
        (
            format!("keys/{name}.secret"),
            "short",
            "(64 characters).secret: ",
        ),
        (
            format!("libexec/{name}/metadata.yaml"),
            "[",
            "(64 characters)/metadata.yaml:",
        ),
        (
            format!("libexec/hello/{name}.sh"),
            "echo",
            "(64 characters).sh:",
        ),
    ] {
        server.write(file, text);
        server.wait_for_log(told);
    }
    let mut told = server.log().into_bytes();
    told.extend(server.scrape().text.into_bytes());
    told.extend(contents(&server.path("state")));
    for canary in &all {
        assert_eq!(
            canary.found(&told),
            None,
            "{}",
            String::from_utf8_lossy(&told)
        );
    }
}

/// The secret of a node is in what its script says, and masked.
#[test]
fn a_secret_of_a_node_is_with_its_scripts_alone() {
    let canary = &canaries()[0];
    let site = Site::new();
    site.settings("metrics_listen: 127.0.0.1:0\nvisible_metadata: [password, __secret__]");
    site.command("tell", "echo \"$password\"; env");
    let secret = quoted(&canary.text);
    site.nodes(&format!("n1: {{__secret__: {{password: {secret}}}}}\n"));
    let server = site.start();
    let run = server.api().run(on("tell", "n1"));
    let mut told = run.stdout_of("n1");
    told.extend(server.client().run(&["nodes", "-o", "json"]).stdout);
    told.extend(server.export(&run.id).stdout);
    told.extend(server.log().into_bytes());
    told.extend(server.scrape().text.into_bytes());
    told.extend(contents(&server.path("state")));
    assert_eq!(
        canary.found(&told),
        None,
        "{}",
        String::from_utf8_lossy(&told)
    );
}
