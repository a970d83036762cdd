//! A TCP proxy between a caller and a server that cuts and holds connections: at a byte, not at
//! a message.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::wait::{CEILING, wait_until};

/// A proxy on a free port of this machine.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many more bytes of the server's go through before their connection is cut.
    budget: Mutex<Option<u64>>,
    held: AtomicBool,
    cuts: AtomicU64,
}

impl Proxy {
    /// Starts a proxy for a server.
    pub fn new(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_connections = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((caller, _)) = listener.accept() {
                if let Ok(server) = TcpStream::connect(server) {
                    join(caller, server, Arc::clone(&for_connections));
                }
            }
        });
        Proxy { address, shared }
    }

    /// Where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection that carries the last of so many more bytes of the server's.
    pub fn cut_after(&self, bytes: u64) {
        *self.shared.budget.lock().unwrap() = Some(bytes);
    }

    /// Reads nothing more of what the server sends, or goes on.
    pub fn hold(&self, held: bool) {
        self.shared.held.store(held, Ordering::Release);
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Acquire)
    }
}

/// Carries bytes both ways until one side ends.
fn join(caller: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    for stream in [&caller, &server] {
        _ = stream.set_nodelay(true);
    }
    let up = (caller.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || carry(up.0, up.1, |_| true));
    thread::spawn(move || carry(server, caller, |chunk| shared.admit(chunk)));
}

/// Carries bytes as far as `admit` lets them pass.
fn carry(mut from: TcpStream, mut to: TcpStream, admit: impl Fn(&mut Vec<u8>) -> bool) {
    let mut room = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut room) {
        let mut chunk = room[..count].to_vec();
        let goes_on = admit(&mut chunk);
        if to.write_all(&chunk).is_err() || !goes_on {
            break;
        }
    }
    // Both, so that the thread of the other way ends as well.
    for stream in [from, to] {
        _ = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    /// Cuts a chunk to what may pass. False when that is the last of its connection.
    fn admit(&self, chunk: &mut Vec<u8>) -> bool {
        let held = || self.held.load(Ordering::Acquire);
        if held() {
            wait_until("the proxy to go on", 4 * CEILING, || {
                (!held()).then_some(())
            });
        }
        let mut budget = self.budget.lock().unwrap();
        let Some(left) = *budget else { return true };
        let length = chunk.len() as u64;
        if length < left {
            *budget = Some(left - length);
            return true;
        }
        chunk.truncate(usize::try_from(left).unwrap());
        *budget = None;
        self.cuts.fetch_add(1, Ordering::AcqRel);
        false
    }
}
