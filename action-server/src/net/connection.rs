//! One connection: its bytes, its peer, and its deadlines.

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
use tokio_util::either::Either;

use crate::holder_limiter::HolderPermit;

/// How long the peer may read nothing of what is sent to it. Pings find peers that are gone, but not
/// behind a connection that is full.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    admitted: Arc<AtomicBool>,
}

impl Peer {
    /// Lifts the deadline for the first call with a valid token: from now on the connection may be idle.
    pub fn admit(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }
}

/// A connection. It is closed if no call with a valid token comes in time, or if its peer reads nothing
/// for too long.
#[derive(Debug)]
pub struct Connection {
    stream: ByteStream,
    peer: Peer,
    deadline: Option<Pin<Box<Sleep>>>,
    /// When a peer that reads nothing is given up; `None` while it reads.
    stalled: Option<Pin<Box<Sleep>>>,
    _permit: HolderPermit<IpAddr>,
}

type ByteStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl Connection {
    pub(super) fn new(
        stream: ByteStream,
        address: SocketAddr,
        permit: HolderPermit<IpAddr>,
        limit: Duration,
    ) -> Connection {
        let peer = Peer {
            address,
            admitted: Arc::default(),
        };
        Connection {
            stream,
            peer,
            deadline: Some(Box::pin(sleep(limit))),
            stalled: None,
            _permit: permit,
        }
    }

    /// The other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Fails once the deadline for the first call has passed. Checked before writing too: from a peer that
    /// calls and does not read the answers nothing is read.
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

    /// Passes a write on, or fails once the peer has read nothing for too long.
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_deadline(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_stall(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_deadline(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check_stall(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_deadline(context)?;
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(self.stream, Either::Left(_)) {
            // TCP buffers nothing here, so that this says nothing about the peer.
            return flushed;
        }
        self.check_stall(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.check_stall(context, closed)
    }
}
