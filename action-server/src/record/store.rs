//! The directory of the records: one server at a time, one file a run.
//!
//! ```text
//! state_directory/
//!   lock                     held by the server that runs
//!   runs/<time>-<id>.run     one record; the time, in milliseconds since 1970, sorts them
//! ```

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use action_proto::v1::run_event::Event;
use rustix::fs::FlockOperation;
use thiserror::Error;
use tokio::sync::watch;

use super::{
    Damage, HEADER_LEN, Reader, RunId, Watermark, Writer,
    format::{self, Frame},
};

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another server has it.
    #[error("another server uses the state directory {0}")]
    InUse(PathBuf),
    /// The directory cannot be made or used.
    #[error("cannot use the state directory {path}: {source}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read or write in it: records may hold secrets.
    #[error("the state directory {0} is open to others; run: chmod 700 {0}")]
    Open(PathBuf),
}

/// The records of all runs.
#[derive(Debug)]
pub struct Store {
    runs: PathBuf,
    /// The file of each run, by id.
    index: Mutex<HashMap<RunId, PathBuf>>,
    /// The lock is held as long as this is open.
    _lock: File,
}

impl Store {
    /// Opens the store, making it where it is not there, and takes its lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(directory: &Path) -> Result<Store, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        let runs = directory.join("runs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&runs)
            .map_err(io(&runs))?;
        let mode = fs::metadata(directory)
            .map_err(io(directory))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(StoreError::Open(directory.to_owned()));
        }
        let path = directory.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StoreError::InUse(directory.to_owned()))?;
        let index = read_index(&runs).map_err(io(&runs))?;
        Ok(Store {
            runs,
            index: Mutex::new(index),
            _lock: lock,
        })
    }

    /// Begins the record of a new run, with its first event on the disk. Blocks for the disk.
    ///
    /// # Errors
    /// The disk's. Nothing is left of the record then.
    pub fn create(&self, first: Event) -> io::Result<Writer> {
        let id = RunId::random();
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        let path = self.runs.join(format!("{time:013}-{id}.run"));
        let file = File::options()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)?;
        let written = Writer::begin(id.clone(), file).and_then(|mut writer| {
            writer.start(first)?;
            // The name is durable only when the directory is.
            File::open(&self.runs)?.sync_all()?;
            Ok(writer)
        });
        match &written {
            Ok(_) => {
                _ = self
                    .index
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(id, path);
            }
            Err(_) => _ = fs::remove_file(&path),
        }
        written
    }

    /// A reader of a run's record. `watermark` is the writer's while the run lives; without one
    /// the record is read as far as it is whole.
    ///
    /// # Errors
    /// No such run (`NotFound`), or the disk's.
    pub fn read(
        &self,
        id: &RunId,
        watermark: Option<watch::Receiver<Watermark>>,
        after: u64,
    ) -> io::Result<Reader> {
        let path = self
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        let path = path.ok_or(io::ErrorKind::NotFound)?;
        let file = File::open(path)?;
        let watermark = match watermark {
            Some(watermark) => watermark,
            None => watch::Sender::new(whole_part(&file)?).subscribe(),
        };
        Ok(Reader::new(file, watermark, after))
    }
}

fn read_index(runs: &Path) -> io::Result<HashMap<RunId, PathBuf>> {
    let mut index = HashMap::new();
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let id = name.and_then(|name| name.strip_suffix(".run")?.split_once('-')?.1.parse().ok());
        if let Some(id) = id {
            index.insert(id, path);
        }
    }
    Ok(index)
}

/// How far a record that nobody writes is whole.
fn whole_part(file: &File) -> io::Result<Watermark> {
    let mut reader = io::BufReader::with_capacity(256 * 1024, file);
    let mut header = [0; HEADER_LEN];
    reader.read_exact(&mut header)?;
    format::check_header(&header).map_err(io::Error::other)?;
    let mut mark = Watermark {
        end: HEADER_LEN as u64,
        sequence: 0,
        ended: true,
    };
    let mut frame = Vec::new();
    while let Some(event) = next_frame(&mut reader, &mut frame)? {
        mark.end += frame.len() as u64;
        mark.sequence = event;
    }
    Ok(mark)
}

/// Reads one frame into `frame` and gives its event's sequence; `None` where the record ends or
/// is damaged.
fn next_frame(reader: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<Option<u64>> {
    frame.clear();
    let mut wanted = format::FRAME_LEN;
    loop {
        let have = frame.len();
        frame.resize(wanted, 0);
        match reader.read_exact(&mut frame[have..]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        match format::decode(frame) {
            Ok(Frame::Event(event, _)) => return Ok(Some(event.sequence)),
            Ok(Frame::Incomplete(length)) => wanted = length,
            Err(Damage::NotARecord | Damage::Newer(_) | Damage::Frame(_)) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use action_proto::v1::{RunFinished, RunStarted};

    use super::*;

    fn started() -> Event {
        Event::RunStarted(RunStarted {
            command: "c".into(),
            ..RunStarted::default()
        })
    }

    #[tokio::test]
    async fn readers_follow_the_writer_and_read_again_later() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state")).unwrap();
        let mut writer = store.create(started()).unwrap();
        let id = writer.id().clone();
        let mut live = store.read(&id, Some(writer.watermark()), 0).unwrap();
        assert_eq!(live.next().await.unwrap()[0].sequence, 1);
        writer.append([started(), started()]).unwrap();
        let more: Vec<u64> = live
            .next()
            .await
            .unwrap()
            .iter()
            .map(|event| event.sequence)
            .collect();
        assert_eq!(more, [2, 3]);
        writer
            .finish([Event::RunFinished(RunFinished::default())])
            .unwrap();
        assert_eq!(live.next().await.unwrap().len(), 1);
        assert!(live.next().await.unwrap().is_empty());

        drop(writer);
        drop(store);
        let store = Store::open(&directory.path().join("state")).unwrap();
        let mut again = store.read(&id, None, 2).unwrap();
        let read: Vec<u64> = again
            .next()
            .await
            .unwrap()
            .iter()
            .map(|event| event.sequence)
            .collect();
        assert_eq!(read, [3, 4]);
    }

    #[test]
    fn one_server_at_a_time_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state")).unwrap();
        assert!(matches!(
            Store::open(&directory.path().join("state")),
            Err(StoreError::InUse(_))
        ));
        drop(store);
        fs::set_permissions(
            directory.path().join("state"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        assert!(matches!(
            Store::open(&directory.path().join("state")),
            Err(StoreError::Open(_))
        ));
    }

    #[tokio::test]
    async fn a_torn_tail_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state")).unwrap();
        let mut writer = store.create(started()).unwrap();
        writer.append([started()]).unwrap();
        let id = writer.id().clone();
        let path = store.index.lock().unwrap()[&id].clone();
        let length = fs::metadata(&path).unwrap().len();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - 3)
            .unwrap();
        let mut reader = store.read(&id, None, 0).unwrap();
        assert_eq!(reader.next().await.unwrap().len(), 1);
        assert!(reader.next().await.unwrap().is_empty());
    }
}
