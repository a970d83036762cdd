//! Paths in messages: nothing that can be a secret, even if one was given as a path.

use std::path::Path;

pub(crate) use action_proto::input::shown_file as file;
use action_proto::input::{is_path_or_words, shown_path};

/// A given path, or its length if it does not exist and looks like no path.
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
