//! Whether a file may be trusted: nobody but root and the server's own user can have written it,
//! or put another in its place. One rule for scripts, definitions, settings and secrets.
//!
//! The rule is sshd's for `authorized_keys` (StrictModes): the file and every directory above it
//! belong to root or the server's user and are not writable by others. A directory with the
//! sticky bit, such as /tmp, may be: what is in it can be replaced by its owner only.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use thiserror::Error;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

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
        error: io::Error,
    },
}

impl Trust {
    /// Checks a file or directory and every directory above it, links followed.
    ///
    /// # Errors
    /// The first that is not to be trusted.
    pub fn check(self, path: &Path) -> Result<(), Untrusted> {
        if self == Trust::Lax {
            return Ok(());
        }
        let own = rustix::process::geteuid().as_raw();
        let real = fs::canonicalize(path).map_err(|error| unreadable(path, error))?;
        real.ancestors().try_for_each(|path| check_one(path, own))?;
        // A link leads elsewhere; who can write where it stands can make it lead anywhere.
        let standing = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let standing = standing.unwrap_or(Path::new("."));
        let standing = fs::canonicalize(standing).map_err(|error| unreadable(path, error))?;
        standing
            .ancestors()
            .try_for_each(|path| check_one(path, own))
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
        let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(path, error))?;
        match metadata.is_symlink() {
            true if path.exists() => self.check(path),
            true => Ok(()),
            false => judge(path, &metadata, rustix::process::geteuid().as_raw()),
        }
    }
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

fn check_one(path: &Path, own: u32) -> Result<(), Untrusted> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unreadable(path, error))?;
    judge(path, &metadata, own)
}

fn judge(path: &Path, metadata: &fs::Metadata, own: u32) -> Result<(), Untrusted> {
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(Untrusted::Owner {
            path: shown(path),
            owner: metadata.uid(),
        });
    }
    let mode = metadata.mode();
    // Root's own group is root.
    let group_writes = mode & GROUP_WRITES != 0 && metadata.gid() != 0;
    let is_sticky_directory = metadata.is_dir() && mode & STICKY != 0;
    if (group_writes || mode & OTHERS_WRITE != 0) && !is_sticky_directory {
        return Err(Untrusted::Writable { path: shown(path) });
    }
    Ok(())
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
