//! HTTP/2 by hand: the frames of RFC 9113 as bytes, in any order and number, so that a test can
//! say what no library says. Header fields are literals without an index (RFC 7541, 6.2.2).

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use prost::Message;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::wait::CEILING;

/// What a client says first, before its SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames: RFC 9113, 6.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of the RFC")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// END_STREAM of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// ACK of SETTINGS and PING.
pub const ACK: u8 = 1;
/// END_HEADERS of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;
/// The error ENHANCE_YOUR_CALM.
pub const ENHANCE_YOUR_CALM: u32 = 11;
/// The error REFUSED_STREAM.
pub const REFUSED_STREAM: u32 = 7;

/// A frame: a length of three bytes, its kind, its flags and its stream, then the payload.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What ends a stream from this side, as a caller does that does not want the answer any more.
pub fn reset(stream: u32) -> Vec<u8> {
    // The error CANCEL.
    frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A block of header fields.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            add_length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A number of RFC 7541, 5.1, with a prefix of seven bits.
fn add_length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap());
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// The header fields of a gRPC call of the service, and more after them.
pub fn call_fields(method: &str, token: Option<&str>, more: &[(&str, &str)]) -> Vec<u8> {
    let path = match method.starts_with('/') {
        true => method.to_owned(),
        false => format!("/action.v1.ActionService/{method}"),
    };
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut all = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    all.extend(bearer.iter().map(|bearer| ("authorization", &**bearer)));
    all.extend(more);
    fields(&all)
}

/// The HEADERS of such a call.
pub fn headers(stream: u32, method: &str, token: Option<&str>, more: &[(&str, &str)]) -> Vec<u8> {
    let block = call_fields(method, token, more);
    frame(kind::HEADERS, END_HEADERS, stream, &block)
}

/// The DATA with the one message of a call: gRPC's five bytes, then the message.
pub fn message(stream: u32, message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let mut payload = vec![0];
    payload.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    payload.extend(message);
    frame(kind::DATA, END_STREAM, stream, &payload)
}

/// A frame that came.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The number of four bytes at a place of the payload, as the error of RST_STREAM.
    #[track_caller]
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A connection over TCP from an address of this machine.
#[track_caller]
pub fn connect_from(own: Ipv4Addr, server: SocketAddr) -> TcpStream {
    // Servers that other tests start meanwhile must not have it.
    let flags = SocketFlags::CLOEXEC;
    let descriptor = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    bind(&descriptor, &SocketAddrV4::new(own, 0)).unwrap();
    connect(&descriptor, &server).unwrap();
    TcpStream::from(descriptor)
}

/// A connection whose frames are read all the time, so that the server never waits for us.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    frames: Receiver<Frame>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The reading thread has the socket too.
        _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Wire {
    /// Connects, and says the preface and empty SETTINGS.
    #[track_caller]
    pub fn open(server: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(server).unwrap())
    }

    /// The same over a connection that is there.
    #[track_caller]
    pub fn over(stream: TcpStream) -> Wire {
        let (sender, frames) = mpsc::channel();
        let mut reading = stream.try_clone().unwrap();
        thread::spawn(move || {
            while let Some(frame) = read_frame(&mut reading) {
                if sender.send(frame).is_err() {
                    return;
                }
            }
        });
        // A server that does not read any more must not hold up the test.
        stream.set_write_timeout(Some(CEILING)).unwrap();
        let mut wire = Wire { stream, frames };
        wire.send(PREFACE);
        wire.send(&frame(kind::SETTINGS, 0, 0, &[]));
        wire
    }

    /// Sends bytes. False when the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends the same kind of bytes again and again: how often before the server closed.
    pub fn flood(&mut self, times: u32, mut bytes: impl FnMut(u32) -> Vec<u8>) -> u32 {
        // Many at once, as a flood comes.
        let mut at = 0;
        while at < times {
            let chunk: Vec<u8> = (at..times.min(at + 64)).flat_map(&mut bytes).collect();
            if !self.send(&chunk) {
                return at;
            }
            at += 64;
        }
        times
    }

    /// The next frame; `None` when the connection has ended.
    #[track_caller]
    pub fn next(&self) -> Option<Frame> {
        self.next_within(CEILING)
    }

    /// The same, with a ceiling of its own.
    #[track_caller]
    pub fn next_within(&self, ceiling: Duration) -> Option<Frame> {
        match self.frames.recv_timeout(ceiling) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no frame and no end within {ceiling:?}"),
        }
    }

    /// Reads on to a frame that is looked for; `None` when the connection ends before.
    #[track_caller]
    pub fn find(&self, mut is_it: impl FnMut(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads on to the end of the connection: the error of its GOAWAY, where there was one.
    #[track_caller]
    pub fn last_word(&self) -> Option<u32> {
        let mut error = None;
        while let Some(frame) = self.next() {
            if frame.kind == kind::GOAWAY {
                error = Some(frame.number(4));
            }
        }
        error
    }

    /// Waits until the server has taken note of all that was sent: it has answered a PING. False
    /// when it has closed the connection instead.
    #[track_caller]
    pub fn is_answered(&mut self) -> bool {
        let word = b"all read";
        self.send(&frame(kind::PING, 0, 0, word))
            && self
                .find(|frame| frame.kind == kind::PING && frame.payload == word)
                .is_some()
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).ok()?;
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
        payload,
    })
}
