//! What a script's content is known by afterwards: its SHA-256, as `sha256sum` prints it.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Seek},
};

use aws_lc_rs::digest::{Context, SHA256};

/// The digest of a file that may be of any size, whatever was read of it. Blocks for the disk.
pub(super) fn digest(mut file: File) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut chunk = [0; 16 * 1024];
    file.rewind()?;
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => context.update(&chunk[..count]),
        }
    }
    let mut text = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
