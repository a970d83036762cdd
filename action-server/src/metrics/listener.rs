//! Answers scrapes: HTTP/1.1 with one path on a listener of its own, few at once and each for a short
//! time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::FORMAT;
use crate::disk_lane::LANES;

/// How many connections there are at once. The others wait in the kernel.
const CONNECTIONS: usize = 64;
/// How long a connection may take to send its request: a silent one holds up others.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one may take, from its connection to the last byte of its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after the kernel refused a connection: it lacks descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Renders the answer. It may wait for the disk.
type RenderMetrics = dyn Fn() -> Option<Vec<u8>> + Send + Sync;

/// Answers scrapes with what `measure` renders, for as long as it is polled.
pub async fn listen(listener: TcpListener, measure: Arc<RenderMetrics>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(connection) = Arc::clone(&connections).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let measure = Arc::clone(&measure);
        tokio::spawn(async move {
            _ = timeout(LIMIT, serve(stream, measure)).await;
            drop(connection);
        });
    }
}

async fn serve(stream: TcpStream, measure: Arc<RenderMetrics>) -> Result<(), hyper::Error> {
    let answer = service_fn(|request| {
        let measure = Arc::clone(&measure);
        async { Ok::<_, Infallible>(answer(request, measure).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(16 * 1024)
        // Each scrape is a connection of its own: an idle one would take another's place.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

async fn answer(request: Request<Incoming>, measure: Arc<RenderMetrics>) -> Response<String> {
    let known = request.uri().path() == "/metrics";
    let (status, text) = match (known, request.method()) {
        (false, _) => (
            StatusCode::NOT_FOUND,
            "the metrics are at /metrics\n".into(),
        ),
        (true, &Method::GET | &Method::HEAD) => {
            let measured = LANES.metrics.run(move || measure());
            let text = measured
                .await
                .ok()
                .flatten()
                .and_then(|text| String::from_utf8(text).ok());
            match text {
                Some(text) => (StatusCode::OK, text),
                None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            }
        }
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            "GET is the only method\n".into(),
        ),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let format = header::HeaderValue::from_static(FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, format);
    response
}
