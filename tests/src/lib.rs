//! The harness of the end-to-end suite: real servers, real clients and real callers, each in a
//! directory of its own and with nothing of the machine's environment.
//!
//! Owns files, processes and waiting. What must be true of them is said in `tests/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

pub mod api;
pub mod bench;
pub mod chance;
pub mod client;
pub mod closed_port;
pub mod collector;
pub mod crowd;
pub mod datagrams;
pub mod document;
pub mod gate;
pub mod hanging_disk;
pub mod http2;
pub mod picture;
pub mod processes;
pub mod program;
pub mod proxy;
pub mod resource_baseline;
pub mod reverse_proxy;
pub mod scrape;
pub mod server;
pub mod site;
pub mod terminal;
pub mod token;
pub mod usage;
pub mod wait;

pub use api::{Api, Digest, Ended, Live, Watch, on, with_arguments};
pub use chance::{Chance, rounds};
pub use client::Client;
pub use closed_port::ClosedPort;
pub use crowd::Crowd;
pub use datagrams::Datagrams;
pub use gate::Gate;
pub use hanging_disk::HangingDisk;
pub use program::{Ran, Running};
pub use proxy::Proxy;
pub use resource_baseline::Base;
pub use reverse_proxy::{Front, Kind};
pub use server::Server;
pub use site::Site;
pub use wait::{CEILING, wait_until};
