//! YAML text as a tree that keeps every scalar as it was written, every duplicate key, and
//! can say where a key stands. Owns the syntax only: what a key means is for its reader.
//!
//! Scalars keep their text (`010`, `1.10`, `yes`), which a typed reading would lose. Anchors
//! and merge keys (`<<`) work; tags are refused. Source: YAML 1.2, with YAML 1.1 merge keys.

mod fault;
mod locate;
mod tree;
mod typed;

pub use fault::{Fault, Severity};
pub use locate::{Lines, ListLines, Step, line_of};
pub use tree::{Yaml, parse, without_mark};
pub use typed::read;
