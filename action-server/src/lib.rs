//! The server.
pub mod yaml;
pub mod catalogue;
