//! The Action server: runs an admin's scripts on cluster nodes for callers with a token, and
//! streams each node's output. `docs/architecture.md` shows the rooms and the way of a request.

#![deny(unsafe_code)]

pub mod app;
mod atomic_file;
pub mod audit;
pub mod auth;
pub mod catalogue;
mod cert;
mod cli;
pub mod config;
#[cfg(test)]
mod corruption;
mod crash;
pub mod definitions;
mod disk_lane;
pub mod file_digest;
mod fingerprint;
mod holder_limiter;
mod init;
pub mod keys;
mod locks;
mod log;
pub mod metrics;
pub mod net;
mod pattern;
pub mod process;
pub mod record;
#[cfg(test)]
mod reference;
mod rpc;
pub mod run;
mod scrape;
mod service_manager;
mod shown;
pub mod traces;
mod transient;
pub mod trust;
pub mod yaml;

pub use cli::main;
