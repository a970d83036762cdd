//! Accepts connections up to the limits, and none that does not finish its handshake.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;

use super::{Connection, Tls};
use crate::{
    holder_limiter::{HolderLimiter, HolderPermit},
    metrics::Metrics,
};

/// How long to wait after the kernel refused a connection: it lacks descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often refused connections are logged.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The most connections at once.
    pub connections: usize,
    /// The most connections at once from one address.
    pub connections_per_address: usize,
    /// How long a handshake may take, and how long until the first call with a valid token.
    pub handshake: Duration,
}

/// A listening socket, with TLS or without.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
    permits: HolderLimiter<IpAddr>,
    handshake: Duration,
    metrics: Metrics,
}

impl Listener {
    /// A listener on `tcp`.
    pub fn new(
        tcp: TcpListener,
        tls: Option<Arc<Tls>>,
        limits: ConnectionLimits,
        metrics: Metrics,
    ) -> Listener {
        Listener {
            tcp,
            tls,
            permits: HolderLimiter::new(limits.connections, limits.connections_per_address),
            handshake: limits.handshake,
            metrics,
        }
    }

    /// A function that counts the open connections.
    pub fn open(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let permits = self.permits.clone();
        move || permits.taken()
    }

    /// The connections after their handshakes, until the stream is dropped.
    pub fn connections(self) -> ReceiverStream<io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(1);
        tokio::spawn(self.accept_connections(ready));
        ReceiverStream::new(connections)
    }

    async fn accept_connections(self, ready: mpsc::Sender<io::Result<Connection>>) {
        let mut refusals = RefusalLog::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = ready.closed() => return,
            };
            match accepted {
                Ok((stream, address)) => match self.permits.take(address.ip()) {
                    Some(permit) => self.make_ready(stream, address, permit, &ready),
                    // Dropped: the peer sees it closed.
                    None => {
                        self.metrics.count_connection("refused");
                        refusals.log_refusal(&format!("too many connections ({})", address.ip()));
                    }
                },
                Err(error) => {
                    refusals.log_refusal(&error.to_string());
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Makes a connection ready in a task of its own: a slow one holds up no other.
    fn make_ready(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        permit: HolderPermit<IpAddr>,
        ready: &mpsc::Sender<io::Result<Connection>>,
    ) {
        // Chunks of output go out as they come, however small.
        _ = stream.set_nodelay(true);
        let (tls, ready, limit) = (self.tls.clone(), ready.clone(), self.handshake);
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let connection = match tls {
                None => Connection::new(Either::Left(stream), address, permit, limit),
                Some(tls) => match timeout(limit, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        Connection::new(Either::Right(Box::new(stream)), address, permit, limit)
                    }
                    Ok(Err(error)) => {
                        metrics.count_connection("handshake_failed");
                        return tracing::debug!(%address, %error, "the TLS handshake failed");
                    }
                    Err(_) => {
                        metrics.count_connection("handshake_failed");
                        return tracing::debug!(%address, "the TLS handshake took too long");
                    }
                },
            };
            metrics.count_connection("accepted");
            // The server no longer accepts connections: this one ends here.
            _ = ready.send(Ok(connection)).await;
        });
    }
}

/// Logs refused connections together.
#[derive(Default)]
struct RefusalLog {
    logged: Option<Instant>,
    unlogged: u64,
}

impl RefusalLog {
    fn log_refusal(&mut self, reason: &str) {
        self.unlogged += 1;
        if self
            .logged
            .is_none_or(|logged| logged.elapsed() >= TELL_INTERVAL)
        {
            tracing::warn!(reason, connections = self.unlogged, "refused connections");
            self.logged = Some(Instant::now());
            self.unlogged = 0;
        }
    }
}
