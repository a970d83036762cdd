//! Takes connections as they come: no more than there are places for, no faster than the kernel
//! gives them, and none that does not finish its handshake.

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

use super::{Connection, Tls};
use crate::{
    metrics::Metrics,
    places::{Place, Places},
};

/// How long to wait after the kernel refused a connection: it lacks descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is told that connections are refused.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at once.
    pub connections: usize,
    /// The most connections at once from one address.
    pub connections_per_address: usize,
    /// How long a handshake may take, and how long until a call is let pass.
    pub handshake: Duration,
}

/// A listening socket, with TLS or without.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
    places: Places<IpAddr>,
    handshake: Duration,
    metrics: Metrics,
}

impl Listener {
    /// A listener that takes what comes to `tcp`.
    pub fn new(
        tcp: TcpListener,
        tls: Option<Arc<Tls>>,
        limits: Limits,
        metrics: Metrics,
    ) -> Listener {
        Listener {
            tcp,
            tls,
            places: Places::new(limits.connections, limits.connections_per_address),
            handshake: limits.handshake,
            metrics,
        }
    }

    /// How many connections there are, to be asked at any time.
    pub fn open(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let places = self.places.clone();
        move || places.taken()
    }

    /// The connections, ready to be spoken over, until the stream is dropped.
    pub fn connections(self) -> ReceiverStream<io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(1);
        tokio::spawn(self.accept(ready));
        ReceiverStream::new(connections)
    }

    async fn accept(self, ready: mpsc::Sender<io::Result<Connection>>) {
        let mut refusals = Refusals::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = ready.closed() => return,
            };
            match accepted {
                Ok((stream, address)) => match self.places.take(address.ip()) {
                    Some(place) => self.greet(stream, address, place, &ready),
                    // Dropped: the caller sees it closed.
                    None => {
                        self.metrics.connection("refused");
                        refusals.tell(&format!("too many connections ({})", address.ip()));
                    }
                },
                Err(error) => {
                    refusals.tell(&error.to_string());
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Makes a connection ready on the side: a slow one holds up no other.
    fn greet(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        place: Place<IpAddr>,
        ready: &mpsc::Sender<io::Result<Connection>>,
    ) {
        // Chunks of output go out as they come, however small.
        _ = stream.set_nodelay(true);
        let (tls, ready, limit) = (self.tls.clone(), ready.clone(), self.handshake);
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
            let connection = match tls {
                None => Connection::plain(stream, address, place, limit),
                Some(tls) => match timeout(limit, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Connection::tls(stream, address, place, limit),
                    Ok(Err(error)) => {
                        metrics.connection("handshake_failed");
                        return tracing::debug!(%address, %error, "the TLS handshake failed");
                    }
                    Err(_) => {
                        metrics.connection("handshake_failed");
                        return tracing::debug!(%address, "the TLS handshake took too long");
                    }
                },
            };
            metrics.connection("accepted");
            // The server has stopped taking connections: this one ends here.
            _ = ready.send(Ok(connection)).await;
        });
    }
}

/// Tells of refusals now and then, and not of each.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Refusals {
    fn tell(&mut self, reason: &str) {
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL) {
            tracing::warn!(reason, connections = self.untold, "refused connections");
            self.told = Some(Instant::now());
            self.untold = 0;
        }
    }
}
