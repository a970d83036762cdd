//! The index file of a long record: its jobs and offsets, so that the record need not be read for them.
//!
//! ```text
//! 8 bytes "ACTIONX\n", the format version as u32, the record's mark, the record's length as u64,
//! CRC-32 of the payload as u32, payload: `StoredContents` in protobuf
//! ```
//! Numbers are little-endian. It can be made again from the record at any time: one that is missing,
//! damaged or of another record counts for nothing. A run's summary is not in it: two short reads of the record
//! give that, and cannot contradict it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use prost::Message;

use super::{contents::StoredContents, format::RecordMark};
use crate::file_digest::open_regular;

const MAGIC: &[u8; 8] = b"ACTIONX\n";
const VERSION: u32 = 1;
const HEAD_LEN: usize = 28;

/// A record up to this length has no such file: reading all of it, at once, is as quick.
pub(super) const SHORT_RECORD: u64 = 64 << 10;

/// Whether a record of this length has an index.
pub(super) fn is_wanted(length: u64) -> bool {
    length > SHORT_RECORD
}

/// Writes the index of a record. It is not synced: a crash of the machine costs no more than making it
/// again.
///
/// # Errors
/// The disk's. Nothing is left of it then.
pub(super) fn write_index(
    path: &Path,
    mark: RecordMark,
    length: u64,
    contents: &StoredContents,
) -> io::Result<()> {
    let payload = contents.encode_to_vec();
    let mut bytes = encode_head(mark, length).to_vec();
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    // Two that make it at once write the same.
    let unfinished = path.with_extension(format!("idx.{:08x}", rand::random::<u32>()));
    let mut options = File::options();
    let options = options.create_new(true).write(true).mode(0o600);
    let written = options
        .open(&unfinished)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&unfinished, path));
    written.inspect_err(|_| _ = fs::remove_file(&unfinished))
}

/// Reads the index of the record with this mark and length; `None` where there is none that can be
/// used.
///
/// # Errors
/// The disk's.
pub(super) fn read_index(
    path: &Path,
    mark: RecordMark,
    length: u64,
) -> io::Result<Option<StoredContents>> {
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let wanted = encode_head(mark, length);
    let Some((head, payload)) = bytes.split_at_checked(HEAD_LEN) else {
        return Ok(None);
    };
    let checksum = crc32fast::hash(payload).to_le_bytes();
    if head[..wanted.len()] == wanted && head[wanted.len()..] == checksum {
        Ok(StoredContents::decode(payload).ok())
    } else {
        Ok(None)
    }
}

/// What comes before the checksum.
fn encode_head(mark: RecordMark, length: u64) -> [u8; HEAD_LEN - 4] {
    let mut head = [0; HEAD_LEN - 4];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..16].copy_from_slice(&mark);
    head[16..].copy_from_slice(&length.to_le_bytes());
    head
}

#[cfg(test)]
mod tests {
    use action_proto::v1::Job;

    use super::*;

    #[test]
    fn an_index_is_of_one_record_and_whole_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.idx");
        let contents = StoredContents {
            jobs: vec![Job {
                node: "n1".into(),
                ..Job::default()
            }],
            ..StoredContents::default()
        };
        assert_eq!(read_index(&path, *b"mark", 7).unwrap(), None);
        write_index(&path, *b"mark", 7, &contents).unwrap();
        assert_eq!(read_index(&path, *b"mark", 7).unwrap(), Some(contents));
        assert_eq!(read_index(&path, *b"kram", 7).unwrap(), None);
        assert_eq!(read_index(&path, *b"mark", 8).unwrap(), None);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(read_index(&path, *b"mark", 7).unwrap(), None, "{at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read_index(&path, *b"mark", 7).unwrap(), None, "cut at {at}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
