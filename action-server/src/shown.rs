//! What messages show of a path: nothing that can be a secret, which somebody may have put there.

use std::path::Path;

pub(crate) use action_proto::input::shown_file as file;
use action_proto::input::{is_path_or_words, shown_path};

/// A path that somebody gave, or its length where it leads nowhere and looks like no path.
pub(crate) fn path(path: &Path) -> String {
    shown_path(path, is_there)
}

/// True for a path that leads somewhere or looks like one.
pub(crate) fn is_path(path: &Path) -> bool {
    is_path_or_words(path, is_there)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
