//! Who can read a file: whether a secret is closed to others.

use std::{
    env,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::has_access_list;

const OTHERS: u32 = 0o077;
const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;
pub(super) const OTHERS_ENTER: u32 = 0o001;

/// Whether a secret file is closed to others. `metadata` is the file's own.
pub(crate) fn is_closed(path: &Path, metadata: &Metadata) -> bool {
    let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    is_closed_in(credentials.as_deref(), path, metadata)
}

/// The same for the key of a certificate, which may be root's and for the server's group to read: so
/// some systems keep keys (Debian's group ssl-cert).
pub(crate) fn is_closed_key(path: &Path, metadata: &Metadata) -> bool {
    let by_group = metadata.uid() == 0 && metadata.mode() & OTHERS == GROUP_READS;
    by_group || is_closed(path, metadata)
}

/// Whether every user of the machine can read a file: its mode says so, and that of each directory
/// above it lets them come there. False for one that cannot be looked at.
pub(crate) fn others_can_read(path: &Path) -> bool {
    let lets = |path: &Path, bit| fs::metadata(path).is_ok_and(|it| it.mode() & bit != 0);
    fs::canonicalize(path).is_ok_and(|path| {
        let mut above = path.ancestors().skip(1);
        lets(&path, OTHERS_READ) && above.all(|directory| lets(directory, OTHERS_ENTER))
    })
}

/// A credential (systemd.exec(5), LoadCredential=) is root's, and where the file system can do that
/// the service's user may read it by an access list. Then the group's bits are those of the list.
pub(super) fn is_closed_in(credentials: Option<&Path>, path: &Path, metadata: &Metadata) -> bool {
    let is_credential = credentials.is_some() && path.parent() == credentials;
    let by_list = is_credential
        && (metadata.uid(), metadata.gid()) == (0, 0)
        && has_access_list(path).unwrap_or(false)
        && metadata.mode() & OTHERS == GROUP_READS;
    by_list || metadata.mode() & OTHERS == 0
}
