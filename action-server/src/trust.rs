//! Whether a file may be trusted: nobody but root and the server's own user can have written it,
//! or put another in its place. One rule for scripts, definitions, settings and secrets.
//!
//! The rule is sshd's for `authorized_keys` (StrictModes): the file and every directory above it
//! belong to root or the server's user and are not writable by others. A directory with the
//! sticky bit, such as /tmp, may be: what is in it can be replaced by its owner only.

use std::{
    env, fs,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use thiserror::Error;

use crate::transient::is_transient;

/// So many links at most on one way: path_resolution(7).
const LINKS: usize = 40;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const OTHERS: u32 = 0o077;
const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;
const OTHERS_ENTER: u32 = 0o001;

/// Whether files are looked at before they are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Files that others can write are refused.
    Strict,
    /// Anything goes: `allow_unsafe_permissions`, for development.
    Lax,
}

/// Why a file is not trusted.
#[derive(Debug, Error)]
pub enum Untrusted {
    /// Somebody else owns it.
    #[error(
        "{path} belongs to user {owner}, neither root nor the server's own; run: chown root {path}"
    )]
    Owner {
        /// The file or a directory above it.
        path: String,
        /// Whose it is.
        owner: u32,
    },
    /// Others can write it.
    #[error("{path} can be written by others; run: chmod go-w {path}")]
    Writable {
        /// The file or a directory above it.
        path: String,
    },
    /// It cannot be looked at.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file or a directory above it.
        path: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

impl Trust {
    /// Checks a file or directory, every directory above it, and the same for each link on the way:
    /// whoever can write where a link stands can make it lead anywhere.
    ///
    /// # Errors
    /// The first that is not to be trusted.
    pub fn check(self, path: &Path) -> Result<(), Untrusted> {
        self.check_for(path, rustix::process::geteuid().as_raw())
    }

    /// The same for a server of the user `own`.
    ///
    /// # Errors
    /// The first that is not to be trusted.
    pub(crate) fn check_for(self, path: &Path, own: u32) -> Result<(), Untrusted> {
        if self == Trust::Lax {
            return Ok(());
        }
        let mut left: Vec<PathBuf> = vec![absolute(path)?];
        let mut current = PathBuf::from("/");
        check_one(&current, own)?;
        let mut links = 0;
        while let Some(rest) = left.pop() {
            let mut parts = rest.components();
            let Some(part) = parts.next() else {
                continue;
            };
            left.push(parts.as_path().to_owned());
            match part {
                Component::RootDir => current = PathBuf::from("/"),
                Component::ParentDir => _ = current.pop(),
                Component::Normal(name) => {
                    let next = current.join(name);
                    if check_one(&next, own)? {
                        links += 1;
                        if links > LINKS {
                            let error = io::Error::from(rustix::io::Errno::LOOP);
                            return Err(unreadable(path, error));
                        }
                        let target = fs::read_link(&next);
                        left.push(target.map_err(|error| unreadable(&next, error))?);
                    } else {
                        current = next;
                    }
                }
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }
}

impl Trust {
    /// Checks what stands in a directory that was checked before, and where a link leads. A link
    /// that leads nowhere can be trusted with that.
    ///
    /// # Errors
    /// It is not to be trusted.
    pub fn check_within(self, path: &Path) -> Result<(), Untrusted> {
        if self == Trust::Lax {
            return Ok(());
        }
        let is_link = check_one(path, rustix::process::geteuid().as_raw())?;
        let leads_somewhere = || path.try_exists().or_else(none_unless_transient);
        match is_link && leads_somewhere().map_err(|error| unreadable(path, error))? {
            true => self.check(path),
            false => Ok(()),
        }
    }
}

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
fn is_closed_in(credentials: Option<&Path>, path: &Path, metadata: &Metadata) -> bool {
    let is_credential = credentials.is_some() && path.parent() == credentials;
    let by_list = is_credential
        && (metadata.uid(), metadata.gid()) == (0, 0)
        && has_access_list(path).unwrap_or(false)
        && metadata.mode() & OTHERS == GROUP_READS;
    by_list || metadata.mode() & OTHERS == 0
}

fn absolute(path: &Path) -> Result<PathBuf, Untrusted> {
    std::path::absolute(path).map_err(|error| unreadable(path, error))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unreadable(path: &Path, error: io::Error) -> Untrusted {
    Untrusted::Unreadable {
        path: shown(path),
        error,
    }
}

/// Checks one file, directory or link by itself. True for a link.
fn check_one(path: &Path, own: u32) -> Result<bool, Untrusted> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(path, error))?;
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(Untrusted::Owner {
            path: shown(path),
            owner: metadata.uid(),
        });
    }
    if metadata.is_symlink() {
        // A link's mode says nothing.
        return Ok(true);
    }
    let mode = metadata.mode();
    // Root's own group is root, unless a list of others stands behind the group's bits.
    let has_list = || has_access_list(path).map_err(|error| unreadable(path, error));
    let group_writes = mode & GROUP_WRITES != 0 && (metadata.gid() != 0 || has_list()?);
    let is_sticky_directory = metadata.is_dir() && mode & STICKY != 0;
    if (group_writes || mode & OTHERS_WRITE != 0) && !is_sticky_directory {
        return Err(Untrusted::Writable { path: shown(path) });
    }
    Ok(false)
}

/// acl(5): with such a list the group's bits are the most that anybody in it gets.
fn has_access_list(path: &Path) -> io::Result<bool> {
    let mut nothing: [u8; 0] = [];
    let size = rustix::fs::getxattr(path, "system.posix_acl_access", &mut nothing);
    size.map(|_| true)
        .map_err(io::Error::from)
        .or_else(none_unless_transient)
}

/// False for an error that says that there is none, or that it cannot be had.
fn none_unless_transient(error: io::Error) -> io::Result<bool> {
    match is_transient(&error) {
        true => Err(error),
        false => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_file_and_all_above_it_count() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("file");
        fs::write(&file, "").unwrap();
        let check = |path: &Path| Trust::Strict.check(path).map_err(|error| error.to_string());
        assert_eq!(check(&file), Ok(()));
        mode(&file, 0o646);
        assert!(check(&file).unwrap_err().contains("chmod go-w"));
        assert!(Trust::Lax.check(&file).is_ok());
        mode(&file, 0o644);
        mode(&inner, 0o777);
        assert!(
            check(&file)
                .unwrap_err()
                .contains("inner can be written by others")
        );
        mode(&inner, 0o1777);
        assert_eq!(check(&file), Ok(()));
        mode(&inner, 0o755);
        let link = directory.path().join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(check(&link), Ok(()));
        let open = directory.path().join("open");
        fs::create_dir(&open).unwrap();
        mode(&open, 0o757);
        symlink(&file, open.join("link")).unwrap();
        assert!(
            check(&open.join("link")).is_err(),
            "a link that others can change"
        );
        // A link in between, where others can change it; and one in the middle of a way.
        symlink(&file, open.join("between")).unwrap();
        let chain = directory.path().join("chain");
        symlink(open.join("between"), &chain).unwrap();
        assert!(check(&chain).unwrap_err().contains("open can be written"));
        symlink(&inner, open.join("middle")).unwrap();
        let middle = directory.path().join("middle");
        symlink(open.join("middle").join("file"), &middle).unwrap();
        assert!(check(&middle).unwrap_err().contains("open can be written"));
        mode(&open, 0o755);
        assert_eq!((check(&chain), check(&middle)), (Ok(()), Ok(())));
        symlink("around", directory.path().join("around")).unwrap();
        assert!(check(&directory.path().join("around")).is_err());
        mode(&file, 0o606);
        assert!(
            check(&link).is_err(),
            "a link is as good as what it leads to"
        );
        assert!(matches!(
            Trust::Strict.check(&inner.join("none")),
            Err(Untrusted::Unreadable { .. })
        ));
    }

    #[test]
    fn what_others_can_read_is_told_from_what_they_cannot_reach() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let link = directory.path().join("link");
        symlink(&file, &link).unwrap();
        // Some people's temporary files are in a directory that is theirs alone.
        let mut above = directory.path().ancestors().skip(1);
        let is_reached = above.all(|it| fs::metadata(it).unwrap().mode() & OTHERS_ENTER != 0);
        for (above, own, can) in [
            (0o755, 0o644, true),
            (0o711, 0o604, true),
            (0o755, 0o640, false),
            (0o750, 0o644, false),
        ] {
            mode(directory.path(), above);
            mode(&file, own);
            assert_eq!(
                others_can_read(&file),
                can && is_reached,
                "{above:o} {own:o}"
            );
            assert_eq!(
                others_can_read(&link),
                can && is_reached,
                "{above:o} {own:o}, by a link"
            );
        }
        assert!(!others_can_read(&directory.path().join("none")));
    }

    /// The access list of a credential: its owner and user 12345 may read it, and nobody else. The
    /// file's mode is 0440 with it. acl(5); the format is that of linux/posix_acl_xattr.h.
    fn let_one_user_read(path: &Path) -> bool {
        const NOBODY: u32 = u32::MAX;
        let entries: [(u16, u16, u32); 5] = [
            (1, 4, NOBODY),
            (2, 4, 12345),
            (4, 0, NOBODY),
            (16, 4, NOBODY),
            (32, 0, NOBODY),
        ];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, user) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(rights.to_le_bytes());
            list.extend(user.to_le_bytes());
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(path, "system.posix_acl_access", &list, flags).is_ok()
    }

    #[test]
    fn a_credential_may_have_a_list_of_readers_and_no_other_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("jwt_secret");
        fs::write(&file, "").unwrap();
        let closed = |credentials: Option<&Path>| {
            is_closed_in(credentials, &file, &fs::metadata(&file).unwrap())
        };
        let here = Some(directory.path());
        for (bits, expected) in [(0o400, true), (0o600, true), (0o440, false), (0o404, false)] {
            mode(&file, bits);
            assert_eq!(
                (closed(here), closed(None)),
                (expected, expected),
                "{bits:o}"
            );
        }
        mode(&file, 0o400);
        let is_root = rustix::process::geteuid().is_root();
        // Where the file system has no such lists systemd gives the file to the user instead.
        if is_root && let_one_user_read(&file) {
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o440);
            assert!(closed(here));
            assert!(!closed(None) && !closed(Some(Path::new("/run/credentials/other"))));
        }
    }

    #[test]
    fn another_owner_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        // Only root can give a file away; for others there is nothing to try.
        if chown(&file, Some(12345), None).is_ok() {
            assert!(matches!(
                Trust::Strict.check(&file),
                Err(Untrusted::Owner { owner: 12345, .. })
            ));
        }
    }
}
