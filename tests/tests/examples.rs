//! The example clients in other languages, each through the same stories: against the real server,
//! straight, over connections that are cut, and through nginx.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use action_proto::v1::{ListRunsRequest, Outcome};
use action_tests::{
    CEILING, Front, Gate, Kind, Proxy, Ran, Running, Server, Site, processes,
    program::{self, hermetic, tool},
    wait_until,
};
use rustix::process::Signal;

use crate::python::{python, stubs};

const GREET: &str = "echo \"$name: $1\"; [[ $name == n1 ]] || { printf 'oh\\enno' >&2; exit 3; }";
const TALK: &str = r#"
trap 'echo "$name puts things in order"; exit 1' TERM
for part in 1 2 3; do
  for line in {1..2000}; do echo "part $part line $line żółć"; done
  read -r < "$SCRIPT_ROOT/../gate.$part" & wait $!
done
printf 'the end'
"#;

/// A language, and how its example is called.
struct Example(&'static str);

const ALL: [Example; 3] = [Example("python"), Example("node"), Example("go")];

impl Example {
    fn command(&self, server: &Server) -> Command {
        let examples = examples();
        let home = server.path("home");
        match self.0 {
            "python" => {
                let mut command = hermetic(python(), &home);
                command.env("PYTHONPATH", stubs());
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command.arg(examples.join("python/client.py"));
                command
            }
            "go" => hermetic(go(), &home),
            _ => {
                let mut command = hermetic(tool("test-node/node"), &home);
                command.env("NODE_PATH", tool("test-node/node_modules"));
                command.arg(examples.join("node/client.js"));
                command
            }
        }
    }

    /// Starts it with these words and for this address.
    fn start(&self, server: &Server, url: &str, words: &[&str]) -> Running {
        let mut command = self.command(server);
        command.env("ACTION_TOKEN", server.token());
        command.env("ACTION_URL", url).args(words);
        if url.starts_with("https") {
            command.env("ACTION_CA", server.path("nginx/ca.pem"));
        }
        Running::start(command, server.hidden())
    }

    fn run(&self, server: &Server, words: &[&str]) -> Ran {
        self.start(server, &straight(server), words).finish()
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Builds the Go client with Debian's libraries, once for all tests.
fn go() -> PathBuf {
    static BUILT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let package = place.path().join("src/action");
        fs::create_dir_all(&package).unwrap();
        fs::copy(examples().join("go/client.go"), package.join("client.go")).unwrap();
        let mut protoc = hermetic("protoc", place.path());
        let out = package.display();
        for made in ["go", "go-grpc"] {
            protoc.arg(format!("--{made}_out={out}")).arg(format!(
                "--{made}_opt=module=action,Maction/v1/action.proto=action/v1"
            ));
        }
        let proto = examples().join("../proto");
        protoc.arg(format!("--proto_path={}", proto.display()));
        protoc.arg("action/v1/action.proto");
        _ = program::run(protoc).ok();
        let go = |words: &[&str]| {
            let mut go = hermetic("go", place.path());
            go.env("GO111MODULE", "off").env("GOCACHE", tool("test-go"));
            let path = format!("{}:/usr/share/gocode", place.path().display());
            go.env("GOPATH", path).args(words).current_dir(&package);
            // With an empty cache this is minutes of a processor.
            Running::start(go, Vec::new())
                .finish_within(10 * CEILING)
                .ok()
        };
        _ = go(&["build", "-o", "client", "."]);
        _ = go(&["vet", "."]);
        let mut gofmt = hermetic("gofmt", place.path());
        gofmt.arg("-d").arg(package.join("client.go"));
        assert_eq!(program::run(gofmt).ok().stdout(), "", "gofmt");
        place
    });
    built.path().join("src/action/client")
}

fn straight(server: &Server) -> String {
    format!("http://{}", server.address())
}

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1:\nn2:\n");
    site.command_with("greet", "help: {summary: Greet a node}", GREET);
    let asks = "help: {summary: Ask}\nconfirmation: 'Do it on %{nodes}?'";
    site.command_with("ask", asks, "echo done");
    site.command("talk", TALK);
    site.start()
}

#[test]
fn they_list_and_run() {
    let server = serving();
    for example in ALL {
        let name = example.0;
        let ran = example.run(&server, &["nodes"]).ok();
        assert_eq!(ran.stdout(), "n1\nn2\n", "{name}");
        let ran = example.run(&server, &["nodes", "n2"]).ok();
        assert_eq!(ran.stdout(), "n2\n", "{name}");
        let ran = example.run(&server, &["commands"]).ok();
        assert!(
            ran.stdout().contains("greet  Greet a node\n"),
            "{name} {ran}"
        );
        let ran = example.run(&server, &["run", "-g", "n[1-2]", "greet", "żółć"]);
        assert_eq!(ran.code(), 1, "{name} {ran}");
        let stdout = ran.stdout();
        let mut lines: Vec<_> = stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["n1: n1: żółć", "n2: n2: żółć"], "{name}");
        // A line without an end is shown, and cannot steer the terminal.
        assert!(ran.stderr().contains("n2: oh?nno\n"), "{name} {ran}");
        assert!(
            ran.stderr().contains("n2: failed: exit 3\n"),
            "{name} {ran}"
        );
    }
}

#[test]
fn they_ask_and_tell_why_not() {
    let server = serving();
    for example in ALL {
        let name = example.0;
        let ran = example.run(&server, &["run", "-g", "n1", "ask"]);
        assert_eq!(ran.code(), 1, "{name} {ran}");
        assert!(ran.stderr().contains("nothing was run"), "{name} {ran}");
        let ran = example
            .run(&server, &["run", "--yes", "-g", "n1", "ask"])
            .ok();
        assert_eq!(ran.stdout(), "n1: done\n", "{name}");
        let mut stranger = example.command(&server);
        stranger.envs([
            ("ACTION_URL", straight(&server).as_str()),
            ("ACTION_TOKEN", "a.b.c"),
        ]);
        stranger.args(["run", "-g", "n1", "greet"]);
        let ran = program::run(stranger);
        assert_eq!(ran.code(), 1, "{name} {ran}");
        let told = "error: UNAUTHENTICATED: a valid token is needed\n";
        assert_eq!(ran.stderr(), told, "{name}");
    }
}

/// The gates of one run after the other.
fn gates(server: &Server) -> [Gate; 3] {
    ["gate.1", "gate.2", "gate.3"].map(|name| {
        _ = fs::remove_file(server.path(name));
        server.gate(name)
    })
}

/// All that `talk` says on n1, as it is shown.
fn said() -> String {
    let part = |part| (1..=2000).map(move |line| format!("n1: part {part} line {line} żółć\n"));
    (1..=3).flat_map(part).collect::<String>() + "n1: the end\n"
}

#[test]
fn they_go_on_over_connections_that_are_cut() {
    let server = serving();
    for example in ALL {
        let gates = gates(&server);
        let proxy = Proxy::new(server.address());
        let url = format!("http://{}", proxy.address());
        let mut running = example.start(&server, &url, &["run", "-g", "n1", "talk"]);
        for (gate, part) in gates.iter().zip(1..) {
            running.wait_for(&format!("part {part} line 2000 "));
            // Somewhere in what comes next.
            proxy.cut_after(20_000);
            gate.open();
        }
        let ran = running.finish().ok();
        assert!(proxy.cuts() >= 2, "{}: {} cuts", example.0, proxy.cuts());
        assert!(ran.stdout() == said(), "{} {ran}", example.0);
    }
}

#[test]
fn they_go_on_when_a_proxy_ends_streams_that_are_silent() {
    let server = serving();
    let changes = [("grpc_read_timeout 2m", "grpc_read_timeout 2s")];
    let nginx = Front::start(Kind::Nginx, &server, &changes, "");
    for (example, number) in ALL.iter().zip(1..) {
        let gates = gates(&server);
        let words = ["run", "-g", "n1", "talk"];
        let mut running = example.start(&server, &nginx.url(), &words);
        running.wait_for("part 1 line 2000 ");
        wait_until("nginx to cut the stream", CEILING, || {
            (nginx.calls("RunCommand") == number).then_some(())
        });
        gates.iter().for_each(Gate::open);
        let ran = running.finish().ok();
        assert!(ran.stdout() == said(), "{} {ran}", example.0);
        assert!(
            ran.stderr().contains("lost the connection"),
            "{} {ran}",
            example.0
        );
    }
}

#[test]
fn they_watch_and_cancel() {
    let server = serving();
    for example in ALL {
        let name = example.0;
        let _gates = gates(&server);
        let mut running = example.start(&server, &straight(&server), &["run", "-g", "n1", "talk"]);
        running.wait_for("part 1 line 2000 ");
        let runs = server.api().list_runs(ListRunsRequest::default()).unwrap();
        let id = runs.runs[0].run_id.as_str();
        let mut watching = example.start(&server, &straight(&server), &["watch", id]);
        watching.wait_for("part 1 line 2000 ");
        _ = example.run(&server, &["cancel", id]).ok();
        for ran in [running.finish(), watching.finish()] {
            assert_eq!(ran.code(), 1, "{name} {ran}");
            assert!(
                ran.stdout().ends_with("n1: n1 puts things in order\n"),
                "{name} {ran}"
            );
            assert!(
                ran.stderr().ends_with("the run has ended: cancelled\n"),
                "{name} {ran}"
            );
        }
        assert_eq!(
            server.api().ended(id).summary().outcome(),
            Outcome::Cancelled
        );
    }
}

#[test]
fn an_interrupt_cancels_what_they_follow() {
    let server = serving();
    for example in ALL {
        let _gates = gates(&server);
        let mut running = example.start(&server, &straight(&server), &["run", "-g", "n1", "talk"]);
        running.wait_for("part 1 line 2000 ");
        processes::signal(running.id(), Signal::INT);
        let ran = running.finish();
        assert_eq!(ran.code(), 1, "{} {ran}", example.0);
        let end = "the run has ended: cancelled\n";
        assert!(ran.stderr().ends_with(end), "{} {ran}", example.0);
    }
}
