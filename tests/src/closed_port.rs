//! A port that refuses connections.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// A port on loopback that refuses connections for as long as the value lives. Unlike a port that
/// was only looked for, no other program can be given it.
#[derive(Debug)]
pub struct ClosedPort {
    _bound: OwnedFd,
    address: SocketAddr,
}

impl Default for ClosedPort {
    fn default() -> ClosedPort {
        ClosedPort::new()
    }
}

impl ClosedPort {
    /// Binds a socket, and does not listen on it.
    pub fn new() -> ClosedPort {
        let flags = SocketFlags::CLOEXEC;
        let bound = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        bind(&bound, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = getsockname(&bound).unwrap().try_into().unwrap();
        ClosedPort {
            _bound: bound,
            address,
        }
    }

    /// Where connections are refused.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
