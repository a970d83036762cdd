//! Secrets in every wrong place and form: none of them turns up in what programs say or write.
//!
//! The settings are those that the programs themselves list, so a new one is tried, too.

mod files;
mod running;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use action_tests::{
    Site,
    processes::signal,
    program::{contains, hermetic},
    wait::{CEILING, wait_until},
};
use aho_corasick::AhoCorasick;
use rustix::process::Signal;

/// As much of a secret must not turn up, in characters.
const PART: usize = 8;

/// A secret, and the parts of it that must not turn up.
struct Canary {
    name: &'static str,
    text: String,
    parts: AhoCorasick,
}

impl Canary {
    fn new(name: &'static str, text: &str) -> Canary {
        let is_secret = |line: &&str| !line.starts_with("-----");
        // A token's first part is the same for all of them.
        let body = text.strip_prefix(TOKEN_HEADER).unwrap_or(text);
        let lines = body.lines().filter(is_secret);
        let mut parts = Vec::new();
        for line in lines {
            for part in line.as_bytes().windows(PART) {
                let numbers = |separator: &str| {
                    let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
                    numbers.join(separator).into_bytes()
                };
                let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
                parts.extend([part.to_vec(), numbers(", "), numbers(" "), hex.into_bytes()]);
            }
        }
        Canary {
            name,
            text: text.to_owned(),
            parts: AhoCorasick::new(parts).unwrap(),
        }
    }

    /// The first part of it in some text.
    fn found(&self, text: &[u8]) -> Option<String> {
        let part = self.parts.find(text)?;
        Some(String::from_utf8_lossy(&text[part.range()]).into_owned())
    }

    /// The secret as people spoil it.
    fn forms(&self) -> Vec<String> {
        let text = &self.text;
        let mut forms = vec![text.clone()];
        if text.contains('\n') {
            for other in ["", " ", "\\n", "\r\n", "\r"] {
                forms.push(text.replace('\n', other));
            }
            forms.push(text.replacen('\n', "", 1));
            forms.push(text.lines().skip(1).collect::<Vec<_>>().join("\n"));
        }
        forms
    }
}

const TOKEN_HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

fn pem_key() -> String {
    let ran = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success());
    String::from_utf8(ran.stdout).unwrap()
}

fn canaries() -> Vec<Canary> {
    let token = format!(
        "{TOKEN_HEADER}eyJ4NXEiOiJjNmQ5ZjBhMSIsInc3Ijoib2xnYSIsImsiOiJXcTlmVDIifQ.q7LmB-t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6"
    );
    vec![
        Canary::new(
            "base64",
            "Zk3vQ9xR/7LmB+t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6hSgJpIeDkRuFA",
        ),
        Canary::new(
            "hex",
            "4f0c0fd12a9be7735c1184b2aa0ffe319d41c7b0e8536aa2f1047be6c0d95e38",
        ),
        Canary::new("base64 =", "q7LmB+t0PnWc2yHsEaUd5fGjKi8oXrNqTvYbMzCl1w6="),
        Canary::new("base64 = inside", "Vx8pT+r2LkQz5=nWs7MfGaJd9cBeYh3uRoKi"),
        Canary::new("token", &token),
        Canary::new("key", &pem_key()),
    ]
}

/// The secrets that can be names of files, as such.
fn named_canaries() -> Vec<Canary> {
    let all = canaries().into_iter().filter(|it| it.name != "key");
    all.map(|it| Canary::new(it.name, &it.text.replace('/', "_")))
        .collect()
}

/// A text in YAML, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The settings that a message lists after "expected one of".
fn listed(message: &str) -> Vec<String> {
    let (_, list) = message
        .split_once("expected one of ")
        .unwrap_or_else(|| panic!("{message}"));
    let names = list.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// What a directory has, but for the nodes that were accepted, which are there with their secrets.
fn contents(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        all.extend(name.as_encoded_bytes());
        if path.is_dir() {
            all.extend(contents(&path));
        } else if name != "nodes.json" {
            all.extend(fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// A site whose programs are run with secrets in wrong places.
struct Trial {
    site: Site,
    good: Vec<(&'static str, String)>,
    runs: usize,
    hits: Vec<String>,
}

impl Trial {
    fn new() -> Trial {
        let site = Site::new();
        site.command("hello", "echo hello");
        let files = [
            "server.yaml",
            "client.yaml",
            "nodes.yaml",
            "libexec/hello/metadata.yaml",
            "libexec/hello/default.sh",
        ];
        let good = files.map(|name| (name, site.read(name))).to_vec();
        Trial {
            site,
            good,
            runs: 0,
            hits: Vec::new(),
        }
    }

    fn setting_names(&self, inside: &str) -> Vec<String> {
        let line = match inside {
            "" => "colour: red".to_owned(),
            outer => format!("{outer}: {{colour: red}}"),
        };
        let text = self.good[0].1.clone();
        self.site.write("server.yaml", format!("{text}{line}\n"));
        let ran = self.site.server_verb(&["check"]);
        self.restore();
        listed(&ran.stderr())
    }

    fn restore(&self) {
        for (name, text) in &self.good {
            self.site.write(name, text);
        }
    }

    fn judge(&mut self, canary: &Canary, case: &str, told: &[u8]) {
        self.runs += 1;
        // The register of tokens keeps what they grant.
        let mut granted = ["\"--role\"", "\"--command\""].iter();
        let kept = match granted.any(|it| case.contains(it)) {
            true => Vec::new(),
            false => contents(&self.site.path("state")),
        };
        for (what, text) in [("told", told), ("kept", &kept)] {
            if let Some(part) = canary.found(text) {
                let told = String::from_utf8_lossy(told);
                self.hits
                    .push(format!("{} {case}: {what} {part}: {told}", canary.name));
            }
        }
    }

    /// Runs a verb of the server, and ends it where it serves.
    fn server(&mut self, canary: &Canary, case: &str, words: &[&str], variables: &[(&str, &str)]) {
        let mut command = hermetic(self.site.program("action-server"), &self.site.path("home"));
        command.args(words).envs(variables.iter().copied());
        if !words.contains(&"--config") && !words.contains(&"init") && !words.contains(&"cert") {
            command.arg("--config").arg(self.site.path("server.yaml"));
        }
        let case = format!("{case}: {}", words.first().copied().unwrap_or_default());
        self.run(canary, &case, command);
    }

    fn run(&mut self, canary: &Canary, case: &str, mut command: Command) {
        let file = |name: &str| fs::File::create(self.site.path(name)).unwrap();
        command.stdout(file("out")).stderr(file("err"));
        let mut child = command.spawn().unwrap();
        let told = || {
            let mut told = fs::read(self.site.path("out")).unwrap();
            told.extend(fs::read(self.site.path("err")).unwrap());
            told
        };
        let mut is_told_to_stop = false;
        wait_until("the program's end", CEILING, || {
            if !is_told_to_stop && contains(&told(), b"listening on") {
                is_told_to_stop = true;
                signal(i32::try_from(child.id()).unwrap(), Signal::TERM);
            }
            child.try_wait().unwrap()
        });
        let told = told();
        self.judge(canary, case, &told);
    }

    #[track_caller]
    fn is_clean(&self) {
        let hits = &self.hits;
        assert!(
            hits.is_empty(),
            "{} of {}:\n{}",
            hits.len(),
            self.runs,
            hits.join("\n")
        );
    }
}

/// Lines of settings with a secret where it does not belong, for a setting or one inside another.
fn wrong_lines(outer: &str, name: &str, secret: &str) -> Vec<String> {
    let secret = quoted(secret);
    let values = [
        secret.clone(),
        format!("[{secret}]"),
        format!("{{{secret}: {secret}}}"),
        format!("[[{secret}]]"),
        format!("{{x: [{secret}]}}"),
    ];
    values
        .iter()
        .map(|value| match outer {
            "" => format!("{name}: {value}"),
            _ => {
                format!("{outer}: {{certificate: c, private_key: k, endpoint: e, {name}: {value}}}")
            }
        })
        .collect()
}

#[test]
fn no_setting_of_the_server_shows_a_secret() {
    let mut trial = Trial::new();
    let mut settings: Vec<(&str, String)> = Vec::new();
    for outer in ["", "tls", "traces", "retention", "limits"] {
        let names = trial.setting_names(outer);
        settings.extend(names.into_iter().map(|name| (outer, name)));
    }
    assert!(settings.len() > 35, "{settings:?}");
    let verbs = [
        &["check"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["generate-token"],
        &["explain"],
    ];
    let mut at = 0;
    for canary in canaries() {
        for (form_at, form) in canary.forms().iter().take(4).enumerate() {
            for (outer, name) in &settings {
                let lines = wrong_lines(outer, name, form);
                // One secret has all of them; of the others the value itself is enough.
                let is_first = form_at == 0 && canary.name == "token";
                let lines = if is_first { &lines[..] } else { &lines[..1] };
                for line in lines {
                    let good = trial.good[0].1.clone();
                    let kept = good
                        .lines()
                        .filter(|it| !it.starts_with(&format!("{name}:")));
                    let kept: String = kept.map(|it| format!("{it}\n")).collect();
                    trial.site.write("server.yaml", format!("{kept}{line}\n"));
                    permit(&trial.site.path("server.yaml"));
                    at += 1;
                    trial.server(&canary, line, verbs[at % verbs.len()], &[]);
                }
            }
            trial.restore();
            let in_variables = settings.iter().filter(|(outer, _)| outer.is_empty());
            for (_, name) in in_variables.filter(|_| form_at < 2) {
                let variable = format!("ACTION_SERVER_{}", name.to_uppercase());
                at += 1;
                trial.server(
                    &canary,
                    &variable,
                    verbs[at % verbs.len()],
                    &[(&variable, form)],
                );
            }
            for variable in ["ACTION_SERVER_CONFIG", &named(form)] {
                let mut command = hermetic(
                    trial.site.program("action-server"),
                    &trial.site.path("home"),
                );
                command.arg("check").env(variable, form);
                trial.run(&canary, variable, command);
            }
        }
    }
    trial.is_clean();
}

/// A variable whose name has the secret in it.
fn named(form: &str) -> String {
    format!("ACTION_SERVER_{}", form.replace('=', ""))
}

/// With the secret in it, a file of settings must be closed to others.
fn permit(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
