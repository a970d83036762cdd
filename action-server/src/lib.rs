//! The server.
pub mod yaml;
pub mod catalogue;
pub mod config;
pub mod definitions;
