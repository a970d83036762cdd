//! The cache of the server's answers: a private file beside the configuration.

use crate::config::Config;
use crate::environment::Environment;
use action_proto::v1::{Command, ListCommandsResponse, Node, Run};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is older than this is asked for again, in the background.
const FRESH: Duration = Duration::from_secs(30);
/// How long a server that did not answer is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// The most runs that are remembered.
pub(crate) const RUNS: usize = 50;

/// What the server said last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ServerCache {
    #[serde(with = "encoded_commands")]
    pub(crate) commands: Vec<Command>,
    pub(crate) nodes: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) runs: Vec<CachedRun>,
    /// When all of it was asked for last, in seconds of the epoch; 0 for never.
    pub(crate) complete_at: u64,
    /// When the server was tried last.
    pub(crate) tried_at: u64,
    /// When the server listed the commands last.
    pub(crate) commands_at: u64,
}

/// A run, for people to recognise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedRun {
    pub(crate) id: String,
    pub(crate) about: String,
}

#[derive(Serialize, Deserialize)]
struct CacheRecord {
    /// The server and the token that the answers are of: what another may see is another's.
    server: u64,
    #[serde(flatten)]
    cache: ServerCache,
}

#[derive(Clone, Debug)]
pub(crate) struct CacheFile {
    server: u64,
    places: Vec<PathBuf>,
}

impl CacheFile {
    /// The cache of the configured server and token.
    pub(crate) fn of(config: &Config, environment: &Environment) -> Self {
        let mut hasher = DefaultHasher::new();
        config.base_url.to_string().hash(&mut hasher);
        config.token.bearer_header().hash(&mut hasher);
        let file = config.file.as_deref();
        let stem = file.and_then(Path::file_stem);
        let stem = stem.map_or_else(|| "client".into(), |stem| stem.to_string_lossy());
        let name = format!(".{stem}.cache");
        let beside = file.and_then(Path::parent).map(|it| it.join(&name));
        // A home that is not there is not made.
        let at_home = environment
            .home()
            .filter(|home| home.is_dir())
            .map(|it| it.join(".cache/action").join(&name));
        Self {
            server: hasher.finish(),
            places: beside.into_iter().chain(at_home).collect(),
        }
    }

    /// The cached answers; none before the first.
    pub(crate) fn load(&self) -> ServerCache {
        let read = |place: &PathBuf| {
            let record: CacheRecord = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
            (record.server == self.server).then_some(record.cache)
        };
        self.places.iter().find_map(read).unwrap_or_default()
    }

    /// Writes the file. A failure, as on a full disk, does not concern the user's command.
    fn save(&self, cache: &ServerCache) {
        let record = CacheRecord {
            server: self.server,
            cache: cache.clone(),
        };
        let Ok(text) = serde_json::to_vec(&record) else {
            return;
        };
        // The first place may be another user's, as /etc is.
        let _ = self
            .places
            .iter()
            .find(|place| replace_file(place, &text).is_ok());
    }

    /// Changes the cache; `change` returns whether it did. No change of another process is lost in between.
    pub(crate) fn update(&self, change: impl FnOnce(&mut ServerCache) -> bool) {
        // Held until the end. Where it cannot be had, as without rights there, nothing is kept.
        let _lock = self.places.iter().find_map(|place| {
            let directory = fs::File::open(place.parent()?).ok()?;
            directory.lock().ok().map(|()| directory)
        });
        let mut cache = self.load();
        if change(&mut cache) {
            self.save(&cache);
        }
    }

    /// Keeps the commands, when they are others than before or it has been a while.
    pub(crate) fn update_commands(&self, commands: &[Command]) {
        self.update(|cache| {
            let now = epoch_seconds();
            if cache.commands == commands && now.saturating_sub(cache.commands_at) < FRESH.as_secs()
            {
                return false;
            }
            cache.commands = commands.to_vec();
            cache.commands_at = now;
            true
        });
    }

    /// Keeps the nodes, when they are others than before.
    pub(crate) fn update_nodes(&self, nodes: &[Node]) {
        self.update(|cache| {
            let before = (cache.nodes.clone(), cache.groups.clone());
            cache.take_nodes(nodes);
            before != (cache.nodes.clone(), cache.groups.clone())
        });
    }

    /// Keeps a run that was started, so that it can be completed at once.
    pub(crate) fn update_run(&self, run: CachedRun) {
        self.update(|cache| {
            cache.runs.insert(0, run);
            cache.runs.truncate(RUNS);
            true
        });
    }
}

/// Commands as the API has them, in base64.
mod encoded_commands {
    use super::{Command, ListCommandsResponse, Message};
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        commands: &[Command],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let response = ListCommandsResponse {
            commands: commands.to_vec(),
            ..ListCommandsResponse::default()
        };
        serializer.serialize_str(&STANDARD.encode(response.encode_to_vec()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Command>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let response = ListCommandsResponse::decode(bytes.as_slice());
        Ok(response.map_err(D::Error::custom)?.commands)
    }
}

impl ServerCache {
    /// Whether it is time to ask the server.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let old = now.saturating_sub(self.complete_at) >= FRESH.as_secs();
        old && now.saturating_sub(self.tried_at) >= RETRY.as_secs()
    }

    fn take_nodes(&mut self, nodes: &[Node]) {
        self.nodes = nodes.iter().map(|node| node.name.clone()).collect();
        self.groups = nodes.iter().flat_map(|it| it.groups.clone()).collect();
        self.groups.sort_unstable();
        self.groups.dedup();
    }

    /// Takes what the server says now.
    pub(crate) fn take_answers(
        &mut self,
        commands: Vec<Command>,
        nodes: &[Node],
        runs: &[Run],
        now: u64,
    ) {
        self.commands = commands;
        self.commands_at = now;
        self.take_nodes(nodes);
        self.runs = runs.iter().take(RUNS).map(CachedRun::of).collect();
        self.complete_at = now;
    }
}

impl CachedRun {
    /// A run that was started just now.
    pub(crate) fn started(id: &str, command: &str, nodes: &str) -> Self {
        Self {
            id: id.to_owned(),
            about: [command, nodes].join(" "),
        }
    }

    fn of(run: &Run) -> Self {
        let about = [
            run.command.as_str(),
            run.nodes.as_str(),
            run.outcome().label(),
        ];
        Self {
            id: run.run_id.clone(),
            about: about.join(" "),
        }
    }
}

/// The time, in seconds of the epoch.
pub(crate) fn epoch_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |it| it.as_secs())
}

/// Replaces the file at once, so that no reader sees half of it.
fn replace_file(place: &Path, text: &[u8]) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new(""));
    if folder.ends_with(".cache/action") {
        fs::create_dir_all(folder)?;
    }
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = folder.join(name);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file.write_all(text).and_then(|()| fs::rename(&new, place));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_file(directory: &Path, token: &str) -> CacheFile {
        let path = directory.join("client.yaml");
        let text = format!("base_url: http://127.0.0.1:1\njwt_token: {token}\n");
        fs::write(&path, text).unwrap();
        let environment = Environment::default();
        CacheFile::of(
            &Config::load(Some(&path), &environment).unwrap(),
            &environment,
        )
    }

    #[test]
    fn answers_are_kept_for_the_same_token_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = cache_file(directory.path(), "abc");
        assert_eq!(file.load(), ServerCache::default());
        let node = Node {
            name: "n1".into(),
            groups: vec!["b".into(), "a".into()],
            ..Node::default()
        };
        let command = Command {
            name: "usage".into(),
            ..Command::default()
        };
        let mut cache = ServerCache::default();
        cache.take_answers(vec![command.clone()], &[node], &[Run::default()], 100);
        file.save(&cache);
        assert_eq!(file.load(), cache);
        assert_eq!(cache.groups, ["a", "b"]);
        file.update_run(CachedRun::default());
        file.update_commands(&[]);
        assert_eq!((file.load().runs.len(), file.load().commands.len()), (2, 0));
        let path = directory.path().join(".client.cache");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = cache_file(directory.path(), "other");
        assert_eq!(other.load(), ServerCache::default());
        fs::write(&path, "{").unwrap();
        assert_eq!(file.load(), ServerCache::default());
    }

    #[test]
    fn it_is_asked_for_now_and_then() {
        let cache = |complete_at, tried_at| ServerCache {
            complete_at,
            tried_at,
            ..ServerCache::default()
        };
        assert!(cache(0, 0).is_due(1000));
        assert!(!cache(990, 0).is_due(1000));
        assert!(!cache(0, 995).is_due(1000));
        assert!(cache(900, 900).is_due(1000));
    }
}
