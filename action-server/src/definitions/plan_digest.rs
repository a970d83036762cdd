//! What identifies a plan, so that a run can be bound to the plan that was shown before.
//!
//! A digest has four parts, so that a refusal can say which of them differs. The hashes are keyed:
//! metadata may be secret, and without a key it could be guessed from its hash.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng as _;
use thiserror::Error;

use crate::{
    catalogue::{Command, Plan, PlannedJob, StateWait},
    file_digest::{FileDigests, Sha256, TooManyFiles, TreeSnapshot},
    fingerprint::entries,
    shown, trust,
};

/// The version of what is hashed, and how.
const PREFIX: &str = "p1:";
/// The parts, in the order in which they stand.
const PARTS: [&str; 4] = ["nodes", "scripts", "metadata", "request"];
/// So many bytes of each HMAC-SHA256 are kept (RFC 2104, section 5, allows half).
const PART_LENGTH: usize = 16;
const KEY_LENGTH: usize = 32;
/// The file in the state directory that holds the key.
const KEY_FILE: &str = "plan_key";

/// What identifies a plan, as in `p1:NODES.SCRIPTS.METADATA.REQUEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDigest([[u8; PART_LENGTH]; PARTS.len()]);

/// The text is no plan digest.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("this is no whole digest of a plan, as --dry-run prints it ({PREFIX} and four parts)")]
pub struct PlanDigestError;

impl PlanDigest {
    /// The names of the parts that differ. Other nodes have other metadata, so that goes without saying.
    pub fn differences(&self, other: &PlanDigest) -> Vec<&'static str> {
        let parts = PARTS.into_iter().zip(self.0.iter().zip(&other.0));
        let different = parts.filter(|(_, (own, other))| own != other);
        let mut names: Vec<&str> = different.map(|(name, _)| name).collect();
        if names.contains(&"nodes") {
            names.retain(|name| *name != "metadata");
        }
        names
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.map(|part| URL_SAFE_NO_PAD.encode(part));
        write!(f, "{PREFIX}{}", parts.join("."))
    }
}

impl FromStr for PlanDigest {
    type Err = PlanDigestError;

    fn from_str(text: &str) -> Result<PlanDigest, PlanDigestError> {
        let mut digest = PlanDigest([[0; PART_LENGTH]; PARTS.len()]);
        let mut texts = text.strip_prefix(PREFIX).ok_or(PlanDigestError)?.split('.');
        for part in &mut digest.0 {
            let text = texts.next().ok_or(PlanDigestError)?;
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PlanDigestError)?;
            *part = bytes.try_into().map_err(|_| PlanDigestError)?;
        }
        match texts.next() {
            None => Ok(digest),
            Some(_) => Err(PlanDigestError),
        }
    }
}

/// Takes the digests of plans. Clones share the key and what is known of files.
#[derive(Clone)]
pub struct PlanDigests {
    key: Arc<hmac::Key>,
    files: FileDigests,
    environment: Arc<Vec<(String, String)>>,
}

impl PlanDigests {
    /// Reads the key from the state directory, or makes one. `environment` is what each script's
    /// environment starts from. Blocks for the disk.
    ///
    /// # Errors
    /// The key can be neither read nor made, or others can read it.
    pub fn open(
        state_directory: &Path,
        files: FileDigests,
        environment: Vec<(String, String)>,
    ) -> io::Result<PlanDigests> {
        let key = read_or_make_key(&state_directory.join(KEY_FILE))?;
        Ok(PlanDigests {
            key: Arc::new(hmac::Key::new(HMAC_SHA256, &key)),
            files,
            environment: Arc::new(environment),
        })
    }

    /// The files that a run of this plan may read, as they are now: those of its commands, and what
    /// stands beside the commands and belongs to none. Blocks for the disk.
    ///
    /// # Errors
    /// They are too many.
    pub fn files(&self, plan: &Plan) -> Result<TreeSnapshot, TooManyFiles> {
        let waiting = plan.waiting.as_ref().map(|waiting| &waiting.command);
        let own = [Some(&plan.command), waiting].map(|command| command.map(|it| &*it.name));
        let is_read = |path: &PathBuf| {
            let is_command = path.join("metadata.yaml").exists();
            let name = path.file_name().and_then(|name| name.to_str());
            !is_command || own.iter().flatten().any(|own| name == Some(*own))
        };
        let roots = entries(&plan.script_root);
        let roots = roots.into_iter().filter(is_read).collect();
        TreeSnapshot::take(self.files.clone(), roots)
    }

    /// The digest of a plan with these files. `request` is what else of the request shapes the run,
    /// in a form that stays the same when fields are added that are not set.
    pub fn digest(&self, plan: &Plan, files: &Sha256, request: &[u8]) -> PlanDigest {
        let parts = [
            self.part(|part| {
                for job in &plan.jobs {
                    part.add(1, job.node_name());
                }
            }),
            self.part(|part| add_scripts(part, plan, files)),
            self.part(|part| {
                plan.jobs.iter().for_each(|job| add_metadata(part, job));
                for (key, value) in &*self.environment {
                    part.add(5, key);
                    part.add(6, value);
                }
            }),
            self.part(|part| part.add(1, request)),
        ];
        PlanDigest(parts)
    }

    fn part(&self, fill: impl FnOnce(&mut DigestPart)) -> [u8; PART_LENGTH] {
        let mut part = DigestPart(hmac::Context::with_key(&self.key));
        fill(&mut part);
        let tag = part.0.sign();
        let mut kept = [0; PART_LENGTH];
        kept.copy_from_slice(&tag.as_ref()[..PART_LENGTH]);
        kept
    }
}

/// A part of a digest while it is made. Each value stands there with a number for what it is and
/// with its length, so that no two lists of values look alike.
struct DigestPart(hmac::Context);

impl DigestPart {
    fn add(&mut self, field: u8, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.0.update(&[field]);
        self.0.update(&(value.len() as u64).to_be_bytes());
        self.0.update(value);
    }

    fn add_number(&mut self, field: u8, number: u128) {
        self.add(field, number.to_be_bytes());
    }
}

/// Which scripts are run, what is in the files, and how the commands treat their jobs. Which node
/// runs which script follows from these and from its ranks, which are metadata.
fn add_scripts(part: &mut DigestPart, plan: &Plan, files: &Sha256) {
    let path = |script| plan.script_path(script).as_os_str().as_encoded_bytes();
    let scripts = plan.jobs.iter().map(|job| (&job.script, &job.state_script));
    for (script, state_script) in scripts.collect::<BTreeSet<_>>() {
        part.add(1, path(script));
        if let Some(script) = state_script {
            part.add(2, path(script));
        }
    }
    part.add(3, files);
    add_settings(part, &plan.command);
    if let Some(StateWait { command, verify }) = &plan.waiting {
        part.add(11, &verify.command);
        verify.until.iter().for_each(|state| part.add(12, state));
        part.add_number(13, verify.every.as_millis());
        part.add_number(14, verify.timeout.as_millis());
        add_settings(part, command);
    }
}

fn add_settings(part: &mut DigestPart, command: &Command) {
    part.add_number(5, command.fanout.into());
    part.add_number(6, command.timeout.as_millis());
    for (code, state) in &command.exit_codes {
        part.add(7, code.to_be_bytes());
        part.add(8, state);
    }
    part.add_number(9, command.leave_running.into());
    if let Some(limit) = command.output_limit {
        part.add_number(10, limit.map_or(u128::MAX, u128::from));
    }
}

fn add_metadata(part: &mut DigestPart, job: &PlannedJob) {
    let Some(node) = &job.node else { return };
    part.add(1, &node.name);
    node.ranks.iter().for_each(|rank| part.add(2, rank));
    // The order says nothing, and is another one after a restart where a node is kept.
    for (key, value) in node.metadata.iter().collect::<BTreeSet<_>>() {
        part.add(3, key);
        part.add(4, value);
    }
}

fn read_or_make_key(path: &Path) -> io::Result<[u8; KEY_LENGTH]> {
    let wrong = |why: &str| io::Error::other(format!("{}: {why}", shown::file(path)));
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(wrong("it is not a regular file")),
        Ok(metadata) if !trust::is_closed(path, &metadata) => {
            return Err(wrong("others can read or write it; run: chmod 600 on it"));
        }
        Ok(_) => {
            let key = fs::read(path)?;
            // One that was cut short when it was made has not been used.
            if key.len() >= KEY_LENGTH {
                return key
                    .try_into()
                    .map_err(|_| wrong("it is not a key of 32 bytes; remove it"));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = [0; KEY_LENGTH];
    rand::rng().fill_bytes(&mut key);
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_digest_is_read_as_it_is_written(parts in any::<[[u8; PART_LENGTH]; 4]>(), text in ".{0,120}") {
            let digest = PlanDigest(parts);
            let written = digest.to_string();
            prop_assert_eq!(written.parse(), Ok(digest));
            prop_assert_eq!(written.len(), 3 + 4 * 22 + 3);
            // What is read is written the same way: no two texts are one digest.
            if let Ok(read) = text.parse::<PlanDigest>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }

    #[test]
    fn the_parts_that_differ_are_named() {
        let digest = |parts: [u8; 4]| PlanDigest(parts.map(|byte| [byte; PART_LENGTH]));
        let shown = digest([1, 1, 1, 1]);
        for (now, names) in [
            ([1, 1, 1, 1], &[][..]),
            ([1, 2, 1, 2], &["scripts", "request"]),
            ([1, 1, 2, 1], &["metadata"]),
            ([2, 1, 2, 1], &["nodes"]),
            ([2, 2, 2, 2], &["nodes", "scripts", "request"]),
        ] {
            assert_eq!(shown.differences(&digest(now)), names);
        }
    }

    #[test]
    fn the_key_is_made_once_and_kept_from_others() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(KEY_FILE);
        let key = read_or_make_key(&path).unwrap();
        assert_eq!(read_or_make_key(&path).unwrap(), key);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // A server that died while it wrote it.
        fs::write(&path, "short").unwrap();
        let second = read_or_make_key(&path).unwrap();
        assert_ne!(second, key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make_key(&path).is_err());
    }
}
