//! What a script's content is known by afterwards: its SHA-256, as `sha256sum` prints it.

use std::{fmt::Write as _, fs::File, io::Read, path::Path};

use aws_lc_rs::digest::{Context, SHA256};

/// The digest of a file that may be of any size. Blocks for the disk.
pub(super) fn digest(path: &Path) -> Result<String, String> {
    let mut context = Context::new(&SHA256);
    let mut chunk = [0; 16 * 1024];
    let failed = |error| format!("it cannot be read: {error}");
    let mut file = File::open(path).map_err(failed)?;
    loop {
        match file.read(&mut chunk).map_err(failed)? {
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
