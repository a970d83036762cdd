//! The tuning of the connection: windows, frames and keep-alive.

use super::tls;
use crate::config::{Config, shown_url};
use crate::error::{CliError, ErrorKind, Result};
use std::time::Duration;
use tonic::transport::Endpoint;

/// How much of a stream may be on its way; more than that waits on the server.
const STREAM_WINDOW: u32 = 1 << 20;
/// Room on the connection beside a stream that is not read, so that a cancel gets through.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The largest frame: a whole chunk of output fits into one, so that it takes few steps.
const FRAME: u32 = 128 * 1024;
/// The interval of pings and the time for their answers. Without them a dead link would hang.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The server's address, with all that is set for the connection. `timeout` is for connecting.
pub(super) fn build_endpoint(config: &Config, timeout: Duration) -> Result<Endpoint> {
    let wrong = |error: tonic::transport::Error| {
        let message = format!("cannot use base_url {}", shown_url(&config.base_url));
        CliError::new(ErrorKind::Config, message).caused_by(error)
    };
    let endpoint = Endpoint::from(config.base_url.clone())
        .user_agent(concat!("action-client/", env!("CARGO_PKG_VERSION")))
        .map_err(wrong)?
        .connect_timeout(timeout)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    if config.base_url.scheme_str() == Some("https") {
        return tls::configure_tls(endpoint, config);
    }
    Ok(endpoint)
}
