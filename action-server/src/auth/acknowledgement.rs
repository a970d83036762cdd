//! The receipt for `revoke`: a file of the state directory with the SHA-256 of the revocations that the
//! running server uses.
//!
//! The file is opened once and written in place, so that a receipt needs neither a descriptor nor space.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use crate::{
    atomic_file::open,
    file_digest::{Sha256, of_text},
};

const NAME: &str = "revoked.read";

/// The receipt of the revocations in use.
#[derive(Debug)]
pub struct RevocationReceipt(File);

impl RevocationReceipt {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(state_directory: &Path) -> io::Result<RevocationReceipt> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        open(&state_directory.join(NAME), options).map(RevocationReceipt)
    }

    /// Writes that the revocations with this digest are in use. A reader of half of it sees another digest,
    /// and reads again.
    pub(super) fn write_digest(&self, digest: &Sha256) -> io::Result<()> {
        self.0.write_all_at(in_hexadecimal(digest).as_bytes(), 0)
    }
}

/// Whether the receipt of a state directory is for the current revocations.
///
/// # Errors
/// The revocations cannot be read.
pub fn is_in_use(state_directory: &Path, revocations: &Path) -> io::Result<bool> {
    let digest = in_hexadecimal(&of_text(&fs::read(revocations)?));
    let acknowledged =
        open(&state_directory.join(NAME), File::options().read(true)).and_then(|file| {
            let mut acknowledged = vec![0; digest.len()];
            file.read_exact_at(&mut acknowledged, 0)?;
            Ok(acknowledged)
        });
    // A server without a receipt yet is waited for.
    Ok(acknowledged.is_ok_and(|acknowledged| acknowledged == digest.as_bytes()))
}

fn in_hexadecimal(digest: &Sha256) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
