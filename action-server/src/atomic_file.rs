//! Files that are replaced as a whole: a reader sees the old text or the new one, and never half of it.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Whose the new file is, and what its mode is.
pub(crate) struct Ownership {
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) permissions: Permissions,
}

impl Ownership {
    /// That of an existing file or directory.
    pub(crate) fn of(metadata: &Metadata) -> Ownership {
        Ownership {
            user: metadata.uid(),
            group: metadata.gid(),
            permissions: metadata.permissions(),
        }
    }
}

/// Replaces a file. When this returns the new text is on the disk under the file's name. Blocks for
/// the disk.
///
/// # Errors
/// The disk's. The old file is left as it was.
pub(crate) fn replace(path: &Path, text: &[u8], ownership: &Ownership) -> io::Result<()> {
    let new = beside(path, &format!("new-{:08x}", rand::random::<u32>()));
    let write = || {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        let made = file.metadata()?;
        // Root writes for a server of another user, who must be able to read the file.
        if (made.uid(), made.gid()) != (ownership.user, ownership.group) {
            fchown(&file, Some(ownership.user), Some(ownership.group))?;
        }
        file.set_permissions(ownership.permissions.clone())?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The name is durable only when the directory is.
        path.parent()
            .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    write().inspect_err(|_| {
        // If this fails too, an unused file is left.
        _ = fs::remove_file(&new);
    })
}

/// A name in the same directory.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Takes the lock, which is the directory's owner's, also where root takes it first.
pub(crate) fn lock(path: &Path, directory: &Metadata) -> io::Result<File> {
    let path = beside(path, "lock");
    let made = open(
        &path,
        File::options().write(true).create_new(true).mode(0o600),
    );
    let lock = match made {
        Ok(made) => {
            // Only what was made here: any other file may be a link to one of root's.
            if made.metadata()?.uid() != directory.uid() {
                fchown(&made, Some(directory.uid()), Some(directory.gid()))?;
            }
            made
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open(&path, File::options().write(true))?
        }
        Err(error) => return Err(error),
    };
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// Opens a file that may be root's to open in a directory of the server's user: no link is followed,
/// and no writer of a FIFO is waited for.
pub(crate) fn open(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_new_text_has_the_name_the_owner_and_the_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let own = Ownership {
            permissions: Permissions::from_mode(0o640),
            ..Ownership::of(&fs::metadata(directory.path()).unwrap())
        };
        for text in ["one", "another"] {
            replace(&path, text.as_bytes(), &own).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::create_dir(&path).unwrap();
        let own = Ownership::of(&fs::metadata(directory.path()).unwrap());
        assert!(replace(&path, b"text", &own).is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
