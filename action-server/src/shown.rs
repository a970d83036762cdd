//! What messages show of a path: nothing that can be a secret, which somebody may have put there.

use std::path::Path;

use action_proto::input::shown_path;

/// The path, or its length where it leads nowhere and looks like no path.
pub(crate) fn path(path: &Path) -> String {
    shown_path(path, |above| above.symlink_metadata().is_ok())
}

/// True for a path that can be shown as it is.
pub(crate) fn is_path(path: &Path) -> bool {
    self::path(path) == path.display().to_string()
}
