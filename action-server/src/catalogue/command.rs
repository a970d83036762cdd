//! A command: its metadata, its scripts, and which of them a node runs.

use std::{
    collections::BTreeMap,
    ops::Deref,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{metadata::CommandMetadata, names::is_label};
use crate::yaml::Fault;

/// The rank whose script runs where no other fits.
pub const DEFAULT_RANK: &str = "default";

/// A command: its metadata and its scripts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The directory's name.
    pub name: String,
    /// The keys of its `metadata.yaml`.
    pub metadata: CommandMetadata,
    /// The script of each rank; `default` is always there.
    pub scripts: BTreeMap<String, PathBuf>,
    /// The ranks whose script is there but cannot be run, each with the reason.
    pub unusable: BTreeMap<String, String>,
}

impl Deref for Command {
    type Target = CommandMetadata;

    fn deref(&self) -> &CommandMetadata {
        &self.metadata
    }
}

impl Command {
    /// What callers read about it, in any number of lines.
    pub fn description(&self) -> &str {
        let description = self.help.description.as_deref().map(str::trim_end);
        let description = description.filter(|text| !text.is_empty());
        description.unwrap_or(&self.help.summary)
    }

    /// The rank whose script a node of these ranks runs, and the script: the first rank that
    /// has one, else the default.
    ///
    /// # Errors
    /// The script of that rank cannot be run. It is not replaced by another one: what is right
    /// for a node's platform is not known to be right for a second.
    pub fn script_for(&self, ranks: &[String]) -> Result<(&str, &Path), UnusableRank> {
        let has_script =
            |rank: &&String| self.scripts.contains_key(*rank) || self.unusable.contains_key(*rank);
        let rank = ranks
            .iter()
            .find(has_script)
            .map_or(DEFAULT_RANK, String::as_str);
        match self.scripts.get_key_value(rank) {
            Some((rank, path)) => Ok((rank, path)),
            None => {
                let reason = self.unusable.get(rank).map(String::as_str);
                Err(UnusableRank {
                    rank: rank.to_owned(),
                    reason: reason.unwrap_or("it is not there").to_owned(),
                })
            }
        }
    }
}

/// Why the script of a rank cannot be run.
#[derive(Debug, Error)]
#[error("the script of rank {rank} is not usable: {reason}")]
pub struct UnusableRank {
    /// The rank.
    pub rank: String,
    /// What is wrong with its script.
    pub reason: String,
}

/// What a command's directory holds: each script's rank and path, with what is wrong with it.
pub struct ScriptListing {
    /// The directory.
    pub directory: PathBuf,
    /// The scripts that can be run, by rank.
    pub scripts: BTreeMap<String, PathBuf>,
    /// The scripts that cannot, by rank.
    pub unusable: BTreeMap<String, Fault>,
    /// Files that are named as scripts are and cannot be of a rank by that name.
    pub nameless: Vec<PathBuf>,
}

/// The rank of a script's file name (`aws.sh`, `default.sh`, `aws`), with its extension;
/// `None` for other files, such as an editor's.
pub(crate) fn rank_of(file_name: &str) -> Option<(&str, &str)> {
    let (rank, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    let leftover = [
        "yaml", "yml", "swp", "bak", "orig", "old", "tmp", "rpmsave", "rpmnew",
    ];
    let script = is_label(rank)
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && !leftover.contains(&extension);
    script.then_some((rank, extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_files() {
        assert_eq!(rank_of("aws.sh"), Some(("aws", "sh")));
        assert_eq!(rank_of("default"), Some(("default", "")));
        for name in [
            "metadata.yaml",
            ".aws.sh.swp",
            "aws.sh~",
            "#aws.sh#",
            "aws.sh.bak",
            "4913.tmp",
        ] {
            assert_eq!(rank_of(name), None, "{name}");
        }
    }
}
