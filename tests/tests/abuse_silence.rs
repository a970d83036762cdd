//! Abuse: callers who connect and say nothing of use, or not in our language. They are closed,
//! soon or at once, and nobody else notices.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use action_tests::{
    Base, CEILING, Server, Site,
    http2::{self, PREFACE, frame, kind},
    usage, wait_until,
};

fn serving(with_tls: bool) -> Server {
    let site = Site::new();
    site.command("hello", "echo hello");
    if with_tls {
        _ = site.server_verb_alone(&["cert", "."]).ok();
        site.settings("tls: {certificate: certificate.pem, private_key: private_key.pem}");
    }
    site.start()
}

/// A connection that has sent this much.
fn connected(server: SocketAddr, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

/// Reads to the end of a connection, which must come within the ceiling: what came before it.
#[track_caller]
fn closed(name: &str, mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(CEILING)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // Reset, where the server had not read all.
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("{name}: still open after {CEILING:?}")
        }
        _ => answer,
    }
}

/// Sends pieces, with a pause, until the server closes: how many went out.
fn drip(mut stream: TcpStream, pieces: impl Iterator<Item = Vec<u8>>) -> usize {
    // What the server says is read, so that it never waits for us.
    let mut reading = stream.try_clone().unwrap();
    thread::spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
    let sent = pieces.take_while(|piece| {
        thread::park_timeout(Duration::from_millis(100));
        stream.write_all(piece).is_ok()
    });
    sent.count()
}

/// Far more pieces than can go out in the time that the server waits.
const PIECES: usize = 600;

#[test]
fn who_says_nothing_of_use_is_closed_and_who_has_a_token_is_not() {
    let (plain, with_tls) = (serving(false), serving(true));
    let base = Base::of(&plain);
    let idle = plain.api();
    assert_eq!(idle.node_names(), ["n1"]);
    let open = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat();
    let silent = [
        ("silence", plain.address(), &b""[..]),
        ("half a preface", plain.address(), &PREFACE[..10]),
        ("a preface and silence", plain.address(), &open),
        ("silence instead of a handshake", with_tls.address(), b""),
        (
            "half a handshake",
            with_tls.address(),
            &client_hello(TLS_1_2, b"h2")[..50],
        ),
    ];
    let silent = silent.map(|(name, server, sent)| (name, connected(server, sent)));
    thread::scope(|scope| {
        let busy = |pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>, address, first: &[u8]| {
            let stream = connected(address, first);
            scope.spawn(move || drip(stream, pieces))
        };
        let hello = client_hello(TLS_1_2, b"h2");
        let bytes = hello.into_iter().map(|byte| vec![byte]).take(150);
        let call = |method: &'static str| {
            let call = move |at: u32| {
                let headers = http2::headers(2 * at + 1, method, Some("no.such.token"), &[]);
                [headers, http2::message(2 * at + 1, &())].concat()
            };
            Box::new((0..600_u32).map(call))
        };
        let ping = std::iter::repeat_n(frame(kind::PING, 0, 0, b"12345678"), PIECES);
        let busy = [
            (
                "a handshake byte by byte",
                busy(Box::new(bytes), with_tls.address(), b""),
            ),
            ("pings", busy(Box::new(ping), plain.address(), &open)),
            (
                "calls with a bad token",
                busy(call("ListNodes"), plain.address(), &open),
            ),
            (
                "calls of the method that is open to all",
                busy(call("/grpc.health.v1.Health/Check"), plain.address(), &open),
            ),
        ];
        for (name, stream) in silent {
            closed(name, stream);
        }
        for (name, sending) in busy {
            let sent = sending.join().unwrap();
            let most = if name.contains("byte") { 150 } else { PIECES };
            assert!((20..most).contains(&sent), "{name}: ended after {sent}");
        }
    });
    assert_eq!(
        idle.node_names(),
        ["n1"],
        "over the connection that was idle"
    );
    assert_eq!(usage::connections(plain.id()), 1);
    drop(idle);
    base.is_kept(&plain);
    wait_until("all connections to be closed", CEILING, || {
        (usage::connections(with_tls.id()) == 0).then_some(())
    });
}

#[test]
fn other_languages_are_turned_away_at_once_and_without_a_word() {
    let (plain, with_tls) = (serving(false), serving(true));
    let logged = [&plain, &with_tls].map(Server::log);
    let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let web = b"POST /action.v1.ActionService/ListNodes HTTP/1.1\r\nHost: x\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
    for (name, sent) in [
        ("HTTP/1.1", &get[..]),
        ("gRPC-Web", web),
        ("TLS", &client_hello(TLS_1_2, b"h2")),
        ("noise", &[0xff; 100]),
    ] {
        let answer = closed(name, connected(plain.address(), sent));
        // At most the server's own SETTINGS and GOAWAY.
        assert!(!answer.starts_with(b"HTTP/1"), "{name}: {answer:?}");
    }
    for (name, sent, alert) in [
        // Alerts of RFC 8446, 6: an unexpected or undecodable message, what else is in them.
        ("HTTP/1.1", &get[..], None),
        ("HTTP/2 in plain text", PREFACE, None),
        ("TLS 1.1", &client_hello(TLS_1_1, b"h2"), Some(70)),
        (
            "another ALPN",
            &client_hello(TLS_1_2, b"http/1.1"),
            Some(120),
        ),
    ] {
        let answer = closed(name, connected(with_tls.address(), sent));
        match alert {
            // A record of type 21 with a fatal alert.
            Some(number) => assert_eq!(answer[5..], [2, number], "{name}: {answer:?}"),
            None => assert!(answer.len() <= 7, "{name}: {answer:?}"),
        }
    }
    assert_eq!([&plain, &with_tls].map(Server::log), logged);
    assert_eq!(plain.api().node_names(), ["n1"]);
}

const TLS_1_1: [u8; 2] = [3, 2];
const TLS_1_2: [u8; 2] = [3, 3];

/// The first message of a TLS handshake: RFC 5246, 7.4.1.2.
fn client_hello(version: [u8; 2], protocol: &[u8]) -> Vec<u8> {
    let long = |bytes: &[u8]| {
        let mut whole = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        whole.extend(bytes);
        whole
    };
    let extension = |number: u16, bytes: &[u8]| [&number.to_be_bytes()[..], &long(bytes)].concat();
    let short = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let extensions = [
        // Groups: x25519 and secp256r1.
        extension(10, &long(&[0, 29, 0, 23])),
        extension(11, &short(&[0])),
        // Signatures: ECDSA and RSA-PSS with SHA-256.
        extension(13, &long(&[4, 3, 8, 4])),
        extension(16, &long(&short(protocol))),
        extension(23, &[]),
    ];
    let hello = [
        &version[..],
        &[7; 32],
        &short(&[]),
        // ECDHE with ECDSA or RSA, and AES-128-GCM.
        &long(&[0xc0, 0x2b, 0xc0, 0x2f]),
        &short(&[0]),
        &long(&extensions.concat()),
    ]
    .concat();
    let length = u32::try_from(hello.len()).unwrap().to_be_bytes();
    let handshake = [&[1], &length[1..], &hello].concat();
    [&[22, 3, 1][..], &long(&handshake)].concat()
}
