//! Connections: taken, bounded, and encrypted. Knows nothing of what is said over them.

mod certificate;
mod chain_check;
mod connection;
mod listener;
mod pem_files;
mod refusal_limiter;
mod tls;

pub use certificate::ChainFault;
pub use connection::{Connection, Peer};
pub use listener::{Limits, Listener};
pub use pem_files::TlsError;
pub use refusal_limiter::{Origin, Suspects, Verdict};
pub use tls::{Files, Tls};
