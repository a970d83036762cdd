//! A server that is handed its socket: sd_listen_fds(3).

use std::{
    fs::File,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Command, Stdio},
};

use action_tests::{
    CEILING, Server, Site, on,
    program::{Ran, run, through_shell},
    wait_until,
};

/// What it is started by gets the socket as stdin, and passes it on as the third descriptor.
const ONE: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";

fn site() -> Site {
    let site = Site::new();
    site.command("files", "readlink /proc/$$/fd/* || :");
    site
}

fn hand_over(command: &mut Command, socket: impl Into<OwnedFd>, line: &str) {
    let mut shell = through_shell(command, line);
    shell.stdin(Stdio::from(socket.into()));
    *command = shell;
}

#[track_caller]
fn assert_no_script_has_a_socket(server: &Server) {
    let files = server.api().run(on("files", "n1")).answer_of("n1");
    assert!(
        files.contains("pipe:[") && !files.contains("socket:["),
        "{files}"
    );
}

/// A server that must not start.
fn refused(site: &Site, socket: impl Into<OwnedFd>, line: &str) -> Ran {
    let mut command = site.server_verb_command(&["serve"]);
    hand_over(&mut command, socket, line);
    run(command)
}

#[test]
fn it_takes_the_socket_and_no_script_gets_it() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // Before there is a server: it waits until one comes.
    let early = TcpStream::connect(address).unwrap();
    let hand = |command: &mut Command| hand_over(command, socket.try_clone().unwrap(), ONE);
    let server = Server::start(site(), hand);
    assert_eq!(server.address(), address);
    assert_no_script_has_a_socket(&server);
    drop(early);
    // The next one takes it over, and nobody is refused in between.
    let site = server.stop();
    let waiting = TcpStream::connect(address).unwrap();
    let server = Server::start(site, hand);
    assert_eq!(server.address(), address);
    assert_eq!(server.api().node_names(), ["n1"]);
    drop(waiting);
}

#[test]
fn it_may_be_started_by_the_first_call() {
    let site = site();
    // An address of its own on loopback: a port that is free now could be another's a moment later.
    let id = std::process::id();
    let address = format!("127.{}.{}.77:6304", id % 251 + 2, id / 251 % 251);
    let mut shown = Command::new("systemd-socket-activate");
    shown.args(["--listen", &address]);
    let mut knock = None;
    let server = Server::start_seen(
        site,
        |command| {
            let own: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            shown.arg(command.get_program()).args(own);
            *command = shown;
        },
        |site| {
            // Once it listens, one connection starts the server.
            knock = knock.take().or_else(|| TcpStream::connect(&address).ok());
            let log = site.read("log");
            let told = log.contains(&format!("listening on {address}\n"));
            told.then(|| address.parse().unwrap())
        },
    );
    assert_eq!(server.api().node_names(), ["n1"]);
}

#[test]
fn what_is_no_listening_tcp_socket_is_refused_in_words() {
    let site = site();
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let with = |count: &str| ONE.replace("FDS=1", &format!("FDS={count}"));
    let connection = {
        let listener = tcp();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (other, _) = listener.accept().unwrap();
        drop(other);
        stream
    };
    let unix = UnixListener::bind(site.path("unix")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = File::open(site.path("server.yaml")).unwrap();
    let nothing = ONE.replace("exec 3<&0 </dev/null; ", "exec 3<&-; ");
    let cases = [
        (refused(&site, tcp(), &with("0")), "passed \"0\" sockets"),
        (refused(&site, tcp(), &with("2")), "passed \"2\" sockets"),
        (refused(&site, tcp(), &with("-1")), "passed \"-1\" sockets"),
        (refused(&site, tcp(), &with("")), "passed \"\" sockets"),
        (refused(&site, tcp(), &nothing), "passed nothing"),
        (refused(&site, file, ONE), "passed a file or a pipe"),
        (refused(&site, unix, ONE), "passed a socket that is not IP"),
        (refused(&site, udp, ONE), "passed a socket of another type"),
        (refused(&site, connection, ONE), "passed a connection"),
    ];
    for (ran, part) in cases {
        assert_eq!(ran.code(), 78, "{part}: {ran}");
        assert!(ran.stderr().contains(part), "{part}: {ran}");
        assert!(ran.stderr().contains("socket unit"), "{part}: {ran}");
    }
}

#[test]
fn one_that_is_meant_for_another_process_is_left_alone() {
    let line = ONE.replace("$$", "1");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let server = Server::start(site(), |command| hand_over(command, socket, &line));
    assert_ne!(server.address(), address);
    assert_no_script_has_a_socket(&server);
}

#[test]
fn plain_text_that_others_can_reach_is_refused_here_too() {
    let site = site();
    let open = || TcpListener::bind("0.0.0.0:0").unwrap();
    let ran = refused(&site, open(), ONE);
    assert_eq!(ran.code(), 78, "{ran}");
    assert!(ran.stderr().contains("plain text"), "{ran}");
    site.settings("insecure_listen: true");
    let socket = open();
    let port = socket.local_addr().unwrap().port();
    let server = Server::start(site, |command| hand_over(command, socket, ONE));
    assert_eq!(server.address().port(), port);
    wait_until("a connection", CEILING, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}
