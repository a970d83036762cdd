//! What a server tells by datagrams: to whoever started it, or to a journal. The test is the other end.

use std::{os::unix::net::UnixDatagram, path::Path};

use crate::wait::{CEILING, wait_until};

/// A socket that the test reads.
#[derive(Debug)]
pub struct Datagrams {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Datagrams {
    /// A socket with this path.
    pub fn bind(path: &Path) -> Datagrams {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Datagrams {
            socket,
            told: Vec::new(),
        }
    }

    /// Fills it up: the kernel keeps a few datagrams for a socket that nobody reads, and then whoever
    /// sends waits.
    pub fn fill(&self) {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let address = self.socket.local_addr().unwrap();
        while sender.send_to_addr(b"full", &address).is_ok() {}
    }

    /// All that came so far and was not waited for.
    pub fn so_far(&mut self) -> &mut Vec<String> {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.told.push(text);
        }
        &mut self.told
    }

    /// The next one that has this line, as a whole or as its beginning. Those before it are forgotten.
    #[track_caller]
    pub fn wait_for(&mut self, begin: &str) -> String {
        wait_until(&format!("{begin:?} to be told"), CEILING, || {
            self.find(begin)
        })
    }

    /// The same, if it has come.
    pub fn find(&mut self, begin: &str) -> Option<String> {
        let told = self.so_far();
        let fits = |text: &String| text.lines().any(|line| line.starts_with(begin));
        let place = told.iter().position(fits)?;
        told.drain(..=place).next_back()
    }
}

/// The value of a field of a datagram.
pub fn field<'a>(datagram: &'a str, name: &str) -> Option<&'a str> {
    let values = datagram.lines().filter_map(|line| line.split_once('='));
    values
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
