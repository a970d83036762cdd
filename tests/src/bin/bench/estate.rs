//! The server that is measured: everything on (TLS, tokens, a policy, audit log and records), many
//! nodes, and the scripts that the peers run too.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::Command,
};

use action_tests::{Server, Site, bench::rules, program::hermetic, token};
use jsonwebtoken::Algorithm;

/// How many scripts run at once, here and with each peer.
pub(crate) const FANOUT: usize = 64;

/// What the records of a measure take at most, in MiB.
const MEMORY: usize = 2048;

/// The commands, each with its script. A peer gives the node as the last argument, the server as
/// `$name`.
const COMMANDS: [(&str, &str); 6] = [
    ("hello", "echo \"hello from ${1:-$name}\""),
    (
        "lines",
        "yes 'a line of forty characters, as usual it is' | head -n \"$1\"",
    ),
    (
        "long",
        "printf -v line %10000s; yes \"${line// /x}\" | head -n \"$1\"",
    ),
    ("bulk", "head -c \"$1\" /dev/zero"),
    (
        "stamp",
        "read -rt \"0.$((500 + RANDOM % 500))\" < <(sleep 2); echo \"$EPOCHREALTIME\"; sleep 1",
    ),
    ("wait", "echo here; read -r < \"$SCRIPT_ROOT/../gate\""),
];

/// A server and all that is needed to call it.
pub(crate) struct Estate {
    pub(crate) server: Server,
    pub(crate) token: String,
}

impl Estate {
    /// Starts a server with nodes `n1` to `nN`; `most` jobs may run at once.
    pub(crate) fn start(nodes: usize, most: usize) -> Estate {
        let mut site = Site::new();
        site.leave_behind();
        touch_memory(&site);
        let mut text = String::new();
        for number in 1..=nodes {
            _ = writeln!(
                text,
                "n{number}: {{ranks: [metal], ip: 10.0.{}.{}}}",
                number / 250,
                number % 250
            );
        }
        site.nodes(&text);
        let fanout = FANOUT.max(most);
        for (name, script) in COMMANDS {
            let fanout = if name == "wait" { fanout } else { FANOUT };
            let metadata = format!("help: {{summary: s}}\nfanout: {fanout}\noutput_limit: none\n");
            site.command_with(name, &metadata, script);
        }
        site.write("policy.yaml", rules(nodes));
        let mut cert = site.server_verb_command(&["cert"]);
        cert.arg(site.path("pki")).args(["--name", "localhost"]);
        assert!(
            cert.output()
                .expect("the server's program")
                .status
                .success()
        );
        site.settings("policy_path: policy.yaml");
        site.settings("tls: {certificate: pki/certificate.pem, private_key: pki/private_key.pem}");
        site.settings(&format!("job_threads: {}", most.max(256)));
        site.settings("limits: {connections_per_address: 200}");
        let claims = token::with(token::claims(), "roles", vec!["op"]);
        let token = token::signed(&claims, &site.secret(), Algorithm::HS256);
        let server = site.start();
        let text = format!(
            "base_url: {}\nca_path: pki/certificate.pem\njwt_token: {token}\n",
            url(&server)
        );
        server.write("client.yaml", text);
        Estate { server, token }
    }

    /// Where it is called.
    pub(crate) fn url(&self) -> String {
        url(&self.server)
    }

    /// The client with these words.
    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let mut client = hermetic(
            self.server.program("action-client"),
            &self.server.path("home"),
        );
        client.args(words);
        client.env("ACTION_CLIENT_CONFIG", self.server.path("client.yaml"));
        client
    }

    /// A script, for the peers.
    pub(crate) fn script(&self, command: &str) -> PathBuf {
        self.server.path("libexec").join(command).join("default.sh")
    }

    /// A peer's program with these words.
    pub(crate) fn peer(&self, program: &str, words: &[&str]) -> Command {
        let found = match program {
            "clush" => action_tests::program::tool("bench-venv").join("bin/clush"),
            other => other.into(),
        };
        let mut peer = hermetic(found, &self.server.path("home"));
        peer.args(words);
        peer
    }
}

/// Writes a file as large as the largest records, and removes it. The host of a virtual machine may
/// give it each page only when that is first touched, and take it back later; here that takes ten
/// times as long as to fill it. Who is measured should not pay for it because it keeps records.
fn touch_memory(site: &Site) {
    let path = site.path("memory");
    let mut file = File::create(&path).expect("a file");
    let zeros = vec![0; 1 << 20];
    for _ in 0..MEMORY {
        file.write_all(&zeros).expect("room on the disk");
    }
    fs::remove_file(path).expect("the file");
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}", server.address().port())
}
