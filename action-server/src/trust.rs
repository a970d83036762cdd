//! Whether a file may be trusted: only root and the server's own user can have written it,
//! or put another in its place. One rule for scripts, definitions, settings and secrets.
//!
//! The rule is sshd's for `authorized_keys` (StrictModes): the file and every directory above it
//! belong to root or the server's user and are not writable by others. A directory with the
//! sticky bit, such as /tmp, may be: what is in it can be replaced by its owner only.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use thiserror::Error;

use crate::shown;
use crate::transient::is_transient;

mod readers;

pub(crate) use readers::{is_closed, is_closed_key, others_can_read};

/// So many links at most on one way: path_resolution(7).
const LINKS: usize = 40;
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
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum TrustError {
    #[error(
        "{path} belongs to user {owner}, neither root nor the server's own; run: chown root {path}"
    )]
    Owner { path: String, owner: u32 },
    #[error("{path} can be written by others; run: chmod go-w {path}")]
    Writable { path: String },
    #[error("{path}: {error}")]
    Unreadable {
        path: String,
        #[source]
        error: io::Error,
    },
}

impl TrustError {
    /// The same for callers, without the path.
    pub(crate) fn brief(&self) -> &'static str {
        match self {
            TrustError::Owner { .. } => "it, or a directory above it, belongs to another user",
            TrustError::Writable { .. } => "it, or a directory above it, can be written by others",
            TrustError::Unreadable { .. } => "it cannot be read",
        }
    }
}

impl Trust {
    /// Checks a file or directory, every directory above it, and the same for each link on the way:
    /// a user who can write where a link stands can make it lead anywhere.
    ///
    /// # Errors
    /// The first that is not to be trusted.
    pub fn check(self, path: &Path) -> Result<(), TrustError> {
        self.check_for(path, rustix::process::geteuid().as_raw())
    }

    /// The same for a server of the user `own`.
    ///
    /// # Errors
    /// The first that is not to be trusted.
    pub(crate) fn check_for(self, path: &Path, own: u32) -> Result<(), TrustError> {
        if self == Trust::Lax {
            return Ok(());
        }
        let mut left: Vec<PathBuf> = vec![absolute_path(path)?];
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
                            return Err(unreadable_path(path, error));
                        }
                        let target = fs::read_link(&next);
                        left.push(target.map_err(|error| unreadable_path(&next, error))?);
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
    pub fn check_within(self, path: &Path) -> Result<(), TrustError> {
        if self == Trust::Lax {
            return Ok(());
        }
        let is_link = check_one(path, rustix::process::geteuid().as_raw())?;
        let leads_somewhere = || path.try_exists().or_else(none_unless_transient);
        if is_link && leads_somewhere().map_err(|error| unreadable_path(path, error))? {
            self.check(path)
        } else {
            Ok(())
        }
    }
}

fn absolute_path(path: &Path) -> Result<PathBuf, TrustError> {
    std::path::absolute(path).map_err(|error| unreadable_path(path, error))
}

fn shown_path(path: &Path) -> String {
    shown::file(path)
}

fn unreadable_path(path: &Path, error: io::Error) -> TrustError {
    TrustError::Unreadable {
        path: shown_path(path),
        error,
    }
}

/// Checks one file, directory or link by itself. True for a link.
fn check_one(path: &Path, own: u32) -> Result<bool, TrustError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| unreadable_path(path, error))?;
    if metadata.uid() != 0 && metadata.uid() != own {
        return Err(TrustError::Owner {
            path: shown_path(path),
            owner: metadata.uid(),
        });
    }
    if metadata.is_symlink() {
        // A link's mode says nothing.
        return Ok(true);
    }
    let mode = metadata.mode();
    // Root's own group is root, unless a list of others stands behind the group's bits.
    let has_list = || has_access_list(path).map_err(|error| unreadable_path(path, error));
    let group_writes = mode & GROUP_WRITES != 0 && (metadata.gid() != 0 || has_list()?);
    let is_sticky_directory = metadata.is_dir() && mode & STICKY != 0;
    if (group_writes || mode & OTHERS_WRITE != 0) && !is_sticky_directory {
        return Err(TrustError::Writable {
            path: shown_path(path),
        });
    }
    Ok(false)
}

/// acl(5): with such a list the group's bits are the most that its users get.
fn has_access_list(path: &Path) -> io::Result<bool> {
    let mut nothing: [u8; 0] = [];
    let size = rustix::fs::getxattr(path, "system.posix_acl_access", &mut nothing);
    size.map(|_| true)
        .map_err(io::Error::from)
        .or_else(none_unless_transient)
}

/// False for an error that says that there is none, or that it cannot be had.
fn none_unless_transient(error: io::Error) -> io::Result<bool> {
    if is_transient(&error) {
        Err(error)
    } else {
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
