//! The real client against a small server over TCP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod address;
mod harness;
mod loss;
mod running;
mod script;
mod server;
mod signals;
