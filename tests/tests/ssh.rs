//! The `usage` command over a real sshd, which listens on a loopback address for each node.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
};

use action_proto::v1::Outcome;
use action_tests::{CEILING, Server, Site, on, program::PATH, wait_until};

const NODES: &str = "
cnode01: {}
cnode02: {ranks: aws, ec2_id: i-0123}
cnode03: {}
dead: {}
";

/// The nodes that the sshd is for. Nobody listens for `dead`.
const ADDRESSES: [&str; 3] = [
    "cnode01=127.0.0.21",
    "cnode02=127.0.0.22",
    "cnode03=127.0.0.23",
];

/// An sshd, ended when it is dropped.
struct Sshd(Child);

impl Sshd {
    fn start(directory: &Path) -> Sshd {
        let there = Path::new("/usr/sbin/sshd").exists() && Path::new("/usr/bin/ssh").exists();
        assert!(
            there,
            "ssh or sshd is not installed: tests/run installs what the tests need"
        );
        fs::create_dir(directory).unwrap();
        // Free a moment ago, and nobody else uses these addresses.
        let free = TcpListener::bind("127.0.0.21:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sshd");
        let mut command = Command::new(script);
        command.env_clear().env("PATH", PATH).arg(directory);
        command.arg(free.port().to_string()).args(ADDRESSES);
        command.stderr(File::create(directory.join("log")).unwrap());
        let mut sshd = Sshd(command.spawn().unwrap());
        let last = format!("127.0.0.23:{}", free.port());
        wait_until("sshd to listen", CEILING, || {
            if let Some(status) = sshd.0.try_wait().unwrap() {
                let log = fs::read_to_string(directory.join("log")).unwrap();
                panic!("sshd ended with {status}: {log}");
            }
            TcpStream::connect(&last).ok()
        });
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn serving() -> (Server, Sshd) {
    let site = Site::shipped();
    site.nodes(NODES);
    let sshd = Sshd::start(&site.path("ssh"));
    let config = site.path("ssh/ssh_config").display().to_string();
    let settings = site.read("server.yaml");
    let own = format!("script_environment:\n  ssh_options: '-F {config}'\n");
    site.write(
        "server.yaml",
        settings.replace("script_environment:\n", &own),
    );
    let script = ". \"$SCRIPT_ROOT/helpers/ssh.sh\"; on_node 'echo \"$NODE\"; exit 7'";
    site.command("where", script);
    (site.start(), sshd)
}

#[test]
fn usage_reports_from_several_nodes() {
    let (server, _sshd) = serving();
    let ran = server
        .client()
        .run(&["run", "usage", "-g", "cnode[01-03]"])
        .ok();
    let mut lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    let starts = [
        "cnode01: cnode01 load and uptime:  ",
        "cnode02: cnode02 (i-0123) load and uptime:  ",
        "cnode03: cnode03 load and uptime:  ",
    ];
    assert_eq!(lines.len(), starts.len(), "{ran}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(
            line.starts_with(start) && line.contains("load average: "),
            "{line}"
        );
    }
}

#[test]
fn each_node_is_reached_under_its_own_name_and_its_exit_code_comes_back() {
    let (server, _sshd) = serving();
    let run = server.api().run(on("where", "cnode[01-03]"));
    for node in run.nodes() {
        assert_eq!(run.stdout_of(node), format!("{node}\n").into_bytes());
        assert_eq!(run.end_of(node).exit_code, Some(7), "{node}");
    }
}

#[test]
fn a_node_that_cannot_be_reached_fails_alone() {
    let (server, _sshd) = serving();
    let run = server.api().run(on("usage", "cnode01,dead"));
    assert_eq!(run.end_of("cnode01").outcome(), Outcome::Ok);
    let end = run.end_of("dead");
    assert_eq!((end.outcome(), end.exit_code), (Outcome::Failed, Some(255)));
    let stderr = String::from_utf8(run.stderr_of("dead")).unwrap();
    assert!(
        stderr.contains("error: no ssh connection to dead\n"),
        "{stderr}"
    );
}
