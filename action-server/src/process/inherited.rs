//! A socket that the service manager opened before the server was started: sd_listen_fds(3).

use std::{
    env, io,
    net::TcpListener,
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd},
    net::{AddressFamily, SocketType, sockopt},
};
use thiserror::Error;

/// The number of the first descriptor that is passed.
const FIRST: RawFd = 3;

/// Why what was passed cannot be listened on.
#[derive(Debug, Error)]
pub enum InheritedError {
    /// Not exactly one.
    #[error(
        "the service manager passed {0:?} sockets (LISTEN_FDS) and the server takes one; keep one ListenStream= in the socket unit"
    )]
    Count(String),
    /// It is something else.
    #[error(
        "the service manager passed {0}, and not a TCP socket that listens; the socket unit needs ListenStream=ADDRESS:PORT and no Accept="
    )]
    NotListening(&'static str),
    /// The kernel's refusal.
    #[error("cannot use the socket that the service manager passed: {0}")]
    Io(#[from] io::Error),
}

/// The socket that was passed to this process; `None` when none was meant for it. To be called
/// once, before anything is opened: the number could be another's then.
///
/// # Errors
/// See [`InheritedError`].
pub fn inherited_listener() -> Result<Option<TcpListener>, InheritedError> {
    // A parent may have been passed sockets and have left the variables to us.
    let own = std::process::id().to_string();
    if env::var_os("LISTEN_PID").is_none_or(|pid| pid != *own) {
        return Ok(None);
    }
    let count = env::var("LISTEN_FDS").unwrap_or_default();
    if count != "1" {
        return Err(InheritedError::Count(count));
    }
    check(FIRST)?;
    #[expect(
        unsafe_code,
        reason = "a descriptor that was inherited has no owner in Rust"
    )]
    // SAFETY: `check` has seen it open, and nothing was opened before this that could be it: it was
    // there when the program began, and this is its only owner.
    let socket = unsafe { OwnedFd::from_raw_fd(FIRST) };
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Checks its kind, and keeps it from scripts.
fn check(number: RawFd) -> Result<(), InheritedError> {
    #[expect(
        unsafe_code,
        reason = "a descriptor that was inherited has no owner in Rust"
    )]
    // SAFETY: the number is not -1, and nothing could close it during the borrow, as no other
    // thread runs yet. A number that is not open gives EBADF.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let refused = |errno: Errno| match errno {
        Errno::BADF => InheritedError::NotListening("nothing"),
        Errno::NOTSOCK => InheritedError::NotListening("a file or a pipe"),
        errno => InheritedError::Io(errno.into()),
    };
    let flags = fcntl_getfd(socket).map_err(refused)?;
    fcntl_setfd(socket, flags | FdFlags::CLOEXEC).map_err(refused)?;
    let family = sockopt::socket_domain(socket).map_err(refused)?;
    if ![AddressFamily::INET, AddressFamily::INET6].contains(&family) {
        return Err(InheritedError::NotListening("a socket that is not IP"));
    }
    if sockopt::socket_type(socket).map_err(refused)? != SocketType::STREAM {
        return Err(InheritedError::NotListening("a socket of another type"));
    }
    if !sockopt::socket_acceptconn(socket).map_err(refused)? {
        let what = "a connection, or a socket at rest";
        return Err(InheritedError::NotListening(what));
    }
    Ok(())
}
