//! Connections: taken, bounded, and encrypted. Knows nothing of what is said over them.

mod connection;
mod listener;
mod places;
mod suspects;
mod tls;

pub use connection::{Connection, Peer};
pub use listener::{Limits, Listener};
pub use suspects::{Origin, Suspects, Verdict};
pub use tls::{Files, Tls, TlsError};
