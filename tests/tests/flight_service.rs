//! The service type for OpenFlight's flight-service: each script run as that tool runs it, on a real
//! server.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use action_proto::v1::Outcome;
use action_tests::{
    Api, CEILING, Running, Site, on, processes,
    program::{Ran, program, run},
    wait_until,
};
use rustix::process::Signal;

const TYPE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../packaging/flight-service/action-api"
);

/// What flight-service makes known to each script: words to itself go to a descriptor that it opened.
const FUNCTIONS: [(&str, &str); 5] = [
    (
        "flight_tool_comms",
        "() { local kind=$1; shift; echo \"$kind:$*\" >&9; }",
    ),
    ("tool_err", "() { flight_tool_comms ERR \"$@\"; }"),
    ("tool_stage", "() { flight_tool_comms STAGE \"$@\"; }"),
    ("tool_set", "() { flight_tool_comms SET \"$@\"; }"),
    (
        "tool_bg",
        "() { setsid \"$@\" 9>&- </dev/null &>/dev/null & }",
    ),
];

/// An installation: its directory, the service's own variables, and the file of the process id.
struct Flight {
    root: PathBuf,
    variables: Vec<(&'static str, String)>,
    pidfile: PathBuf,
}

impl Flight {
    fn new(root: &Path, variables: Vec<(&'static str, String)>) -> Flight {
        let program = program("action-server").display().to_string();
        let own = [("ACTION_PROGRAM", program)];
        Flight {
            root: root.to_owned(),
            variables: own.into_iter().chain(variables).collect(),
            pidfile: root.join("action-api.pid"),
        }
    }

    /// One that runs the server of a site.
    fn of(site: &Site) -> Flight {
        let path = |name: &str| site.path(name).display().to_string();
        let variables = vec![
            ("ACTION_SERVER_CONFIG", path("server.yaml")),
            ("ACTION_SERVER_LISTEN", "127.0.0.1:0".to_owned()),
            ("ACTION_LOG", path("log")),
        ];
        Flight::new(&site.path(""), variables)
    }

    fn command(&self, operation: &str, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", "exec 9>\"$0\"; exec /bin/bash -x \"$@\""]);
        command.arg(self.root.join("told"));
        command.arg(format!("{TYPE}/{operation}.sh")).args(words);
        command
            .env_clear()
            .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
        command.env("HOME", "/").env("flight_ROOT", &self.root);
        command.env("flight_SERVICE_etc", self.root.join("etc/service"));
        command.envs(self.variables.iter().cloned());
        for (name, body) in FUNCTIONS {
            command.env(format!("BASH_FUNC_{name}%%"), body);
        }
        command
    }

    /// Runs an operation, and returns how it ended and what it told flight-service.
    fn run(&self, operation: &str, words: &[&str]) -> (Ran, String) {
        let ran = run(self.command(operation, words));
        (ran, fs::read_to_string(self.root.join("told")).unwrap())
    }

    /// Runs one that reports a process id, and keeps that as flight-service does.
    #[track_caller]
    fn begin(&self, operation: &str) -> i32 {
        let (ran, told) = self.run(operation, &[self.pidfile.to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{told}{ran}");
        let pid = told.lines().find_map(|line| line.strip_prefix("SET:pid="));
        let pid = pid.unwrap_or_else(|| panic!("no process id in {told:?}"));
        fs::write(&self.pidfile, pid).unwrap();
        pid.parse().unwrap()
    }

    #[track_caller]
    fn end(&self) {
        let (ran, told) = self.run("stop", &[self.pidfile.to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{told}{ran}");
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let settings = format!("serve --config {}", self.root.display());
        for (pid, _) in processes::with_argument(&settings) {
            processes::signal(pid, Signal::KILL);
        }
    }
}

/// Where the server that started last listens.
fn api(site: &Site) -> Api {
    let log = site.read("log");
    let (_, address) = log.rsplit_once("listening on ").unwrap();
    let address = address.lines().next().unwrap().parse().unwrap();
    Api::connect(address, Some(&site.token()))
}

fn site() -> Site {
    let site = Site::new();
    site.command("wait", "read -r < \"$SCRIPT_ROOT/../gate\"; echo through");
    let settings = site.read("server.yaml");
    site.write("server.yaml", settings.replace("500ms", "60s"));
    site
}

#[test]
fn it_starts_reloads_restarts_and_stops() {
    let site = site();
    let flight = Flight::of(&site);
    let pid = flight.begin("start");
    assert!(processes::is_alive(pid));
    assert_eq!(api(&site).node_names(), ["n1"]);

    site.nodes("n2: {}\n");
    let pidfile = flight.pidfile.to_str().unwrap();
    let (ran, told) = flight.run("reload", &[pidfile]);
    assert_eq!(ran.code(), 0, "{told}{ran}");
    wait_until("the reload", CEILING, || {
        (api(&site).node_names() == ["n2"]).then_some(())
    });
    assert!(site.read("log").contains("looking at the definitions"));

    let other = flight.begin("restart");
    assert!(other != pid && processes::is_alive(other) && !processes::is_alive(pid));
    assert_eq!(api(&site).node_names(), ["n2"]);

    flight.end();
    assert!(!processes::is_alive(other));
    // What has ended is ended, and started by a restart.
    flight.end();
    let (ran, told) = flight.run("reload", &[pidfile]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(told.contains("ERR:the server does not run"), "{told}");
    let third = flight.begin("restart");
    assert!(processes::is_alive(third));
    flight.end();
}

#[test]
fn a_stop_waits_for_the_runs_that_go_on() {
    let site = site();
    let gate = site.gate("gate");
    let flight = Flight::of(&site);
    let pid = flight.begin("start");
    let run = api(&site).start(on("wait", "n1")).unwrap();
    wait_until("the script", CEILING, || {
        (!site.scripts().is_empty()).then_some(())
    });
    let words = [flight.pidfile.to_str().unwrap()];
    let mut stop = Running::start(flight.command("stop", &words), Vec::new());
    wait_until("the drain", CEILING, || {
        site.read("log").contains(" stopping").then_some(())
    });
    assert!(stop.is_running() && processes::is_alive(pid));
    gate.open();
    let run = run.finish();
    assert_eq!(run.end_of("n1").outcome(), Outcome::Ok);
    assert_eq!(run.answer_of("n1"), "through\n");
    assert_eq!(stop.finish().code(), 0);
    assert!(!processes::is_alive(pid));
}

#[test]
fn a_process_that_is_not_the_server_is_left_alone() {
    let site = site();
    let flight = Flight::of(&site);
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    for text in [
        other.id().to_string(),
        String::new(),
        "-1".into(),
        "x y".into(),
    ] {
        fs::write(&flight.pidfile, text).unwrap();
        flight.end();
    }
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_start_that_fails_says_why() {
    let site = site();
    let flight = Flight::of(&site);
    site.settings("no_such_setting: 1");
    let (ran, told) = flight.run("start", &[]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(
        told.contains("ERR:the server did not start: error: "),
        "{told}"
    );
    assert!(
        told.contains("no_such_setting") && !told.contains("SET:"),
        "{told}"
    );
    fs::remove_file(site.path("server.yaml")).unwrap();
    let (ran, told) = flight.run("start", &[]);
    assert_eq!(ran.code(), 1, "{ran}");
    assert!(
        told.contains("flight service configure action-api"),
        "{told}"
    );
}

#[test]
fn configure_makes_a_server_that_starts_and_shows_the_secret_to_nobody() {
    let root = tempfile::tempdir().unwrap();
    let free = ("ACTION_SERVER_LISTEN", "127.0.0.1:0".to_owned());
    let flight = Flight::new(root.path(), vec![free]);
    for (word, part) in [
        ("jwt_secret=short", "at least 32"),
        ("listen=1", "there is no listen to configure"),
    ] {
        let (ran, told) = flight.run("configure", &[word]);
        assert_eq!(ran.code(), 1, "{ran}");
        assert!(told.contains(part), "{told}");
    }
    let secret = "a secret of 48 characters: $(touch x) `y` \" ' \\n";
    let word = format!("jwt_secret={secret}");
    let (ran, told) = flight.run("configure", &[&word]);
    assert_eq!(ran.code(), 0, "{told}{ran}");
    for text in [&told, &ran.stdout(), &ran.stderr()] {
        assert!(!text.contains("a secret of"), "{text}");
    }
    let path = root.path().join("etc/action/jwt_secret");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{secret}\n"));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pid = flight.begin("start");
    assert!(processes::is_alive(pid));
    let log = root.path().join("var/log/action-api/action-server.log");
    assert!(fs::read_to_string(&log).unwrap().contains("listening on"));
    flight.end();
    // Another secret, and all else stays.
    let settings = root.path().join("etc/action/server.yaml");
    fs::write(
        &settings,
        fs::read_to_string(&settings).unwrap() + "# mine\n",
    )
    .unwrap();
    let (ran, told) = flight.run("configure", &[&word.replace("48", "49")]);
    assert_eq!(ran.code(), 0, "{told}{ran}");
    assert!(fs::read_to_string(&settings).unwrap().ends_with("# mine\n"));
    assert!(fs::read_to_string(&path).unwrap().contains("49"));
}

/// flight-service reads these with Ruby's YAML, keys that begin with a colon as symbols.
#[test]
fn its_description_is_as_flight_service_reads_it() {
    let read = |name: &str| fs::read_to_string(Path::new(TYPE).join(name)).unwrap();
    let metadata = read("metadata.yml");
    assert!(metadata.contains("\n:name: action-api\n") && metadata.contains("\n:summary: "));
    let configuration = read("configuration.yml");
    assert!(configuration.contains("\n  - key: jwt_secret\n"));
}
