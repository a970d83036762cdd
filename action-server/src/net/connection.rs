//! One connection: its bytes, who is at its other end, and how long it may say nothing of use.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use crate::places::Place;

/// How long the other end may take nothing of what is sent to it. Pings find those who are gone,
/// but not behind a connection that is full: not even the word that it is closed goes out then.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    admitted: Arc<AtomicBool>,
}

impl Peer {
    /// Takes note that a call with a valid token came over the connection: from now on it may be
    /// idle.
    pub fn admit(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }
}

/// A connection. Until a call over it was let pass it lives for a limited time only, and so it
/// does while its other end takes nothing.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Until when the other end must have taken something; `None` while it does.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place<IpAddr>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(super) fn plain(
        stream: TcpStream,
        address: SocketAddr,
        place: Place<IpAddr>,
        limit: Duration,
    ) -> Connection {
        Connection::new(Io::Plain(stream), address, place, limit)
    }

    pub(super) fn tls(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        place: Place<IpAddr>,
        limit: Duration,
    ) -> Connection {
        Connection::new(Io::Tls(Box::new(stream)), address, place, limit)
    }

    fn new(io: Io, address: SocketAddr, place: Place<IpAddr>, limit: Duration) -> Connection {
        let peer = Peer {
            address,
            admitted: Arc::default(),
        };
        Connection {
            io,
            peer,
            deadline: Some(Box::pin(sleep(limit))),
            stalled: None,
            _place: place,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Fails once the time is over in which a call had to be let pass. Looked at before writing
    /// too: with a caller that asks and does not take the answers, nothing is read any more.
    fn check_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(deadline) = &mut self.deadline else {
            return Ok(());
        };
        if self.peer.admitted.load(Ordering::Relaxed) {
            self.deadline = None;
            return Ok(());
        }
        match deadline.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Connection {
    /// Lets a write go by, or fails once the other end has taken nothing for too long.
    fn check_stall<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = || Box::pin(sleep(STALL_LIMIT));
        let stalled = self.stalled.get_or_insert_with(limit);
        match stalled.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_deadline(context)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_deadline(context)?;
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.check_stall(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_deadline(context)?;
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        self.check_stall(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_deadline(context)?;
        let written = match &mut self.io {
            // Nothing is kept back there: it says nothing of the other end.
            Io::Plain(stream) => return Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        self.check_stall(context, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        };
        self.check_stall(context, written)
    }
}
