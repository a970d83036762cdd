//! Which revocations the running server has in use, told to `revoke` by a file of the state
//! directory: the SHA-256 of the revocations that were read last.
//!
//! The file is opened once and written in place, so that telling takes neither a descriptor nor
//! space on the disk.

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

/// Where the running server says which revocations it has in use.
#[derive(Debug)]
pub struct Acknowledgement(File);

impl Acknowledgement {
    /// Opens the file, making it where it is not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(state_directory: &Path) -> io::Result<Acknowledgement> {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        open(&state_directory.join(NAME), options).map(Acknowledgement)
    }

    /// Says that the revocations with this digest are in use. Whoever reads half of it takes it for
    /// another digest, and reads again.
    pub(super) fn write(&self, digest: &Sha256) -> io::Result<()> {
        self.0.write_all_at(in_hexadecimal(digest).as_bytes(), 0)
    }
}

/// Whether the server on a state directory has said that it uses the revocations as they are now.
///
/// # Errors
/// The revocations cannot be read.
pub fn is_in_use(state_directory: &Path, revocations: &Path) -> io::Result<bool> {
    let digest = in_hexadecimal(&of_text(&fs::read(revocations)?));
    let told = open(&state_directory.join(NAME), File::options().read(true)).and_then(|file| {
        let mut told = vec![0; digest.len()];
        file.read_exact_at(&mut told, 0)?;
        Ok(told)
    });
    // A server that has said nothing yet is waited for.
    Ok(told.is_ok_and(|told| told == digest.as_bytes()))
}

fn in_hexadecimal(digest: &Sha256) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
