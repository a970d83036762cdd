//! Connections: taken, bounded, and encrypted. Knows nothing of what is said over them.

mod auth_failure_limiter;
mod certificate;
mod chain_check;
mod connection;
mod listener;
mod pem_files;
mod tls;

pub use auth_failure_limiter::{AuthFailureLimiter, CallOrigin, FailureDecision};
pub use chain_check::ChainFault;
pub use connection::{Connection, Peer};
pub use listener::{ConnectionLimits, Listener};
pub use pem_files::TlsError;
pub use tls::{Tls, TlsFiles};
