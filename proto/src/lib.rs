//! The Action API as Rust: the messages, client and server stubs generated from
//! `action/v1/action.proto`, and the few conversions that both sides need. No I/O.

/// The package `action.v1`. The .proto file is its documentation.
pub mod v1 {
    #![allow(
        missing_docs,
        clippy::all,
        unused_qualifications,
        reason = "generated code"
    )]
    #![allow(
        clippy::allow_attributes,
        reason = "which lints generated code trips may change"
    )]
    include!("generated/action.v1.rs");

    /// The encoded `FileDescriptorSet` of the package and its imports, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/action.v1.bin");
}

pub mod certificate;
pub mod der;
mod fold;
pub mod input;
mod outcome;
mod padding;
pub mod pem;
mod shown;

pub use fold::fold;
pub use padding::names_with_other_padding;
pub use shown::{escape_in_json, escape_unsafe, is_dash, is_unsafe_to_show};
