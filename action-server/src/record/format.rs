//! The bytes of a record: a header, then frames.
//!
//! ```text
//! header   8 bytes "ACTIONR\n", the format version as u32, and the record's mark: 4 random bytes
//! frame    length as u32, CRC-32 of the payload as u32, payload: one `RunEvent` in protobuf
//! footer   4 bytes "END\n", the record's mark, the offset of the last frame as u64; only after
//!          RunFinished. What a script prints cannot pass for one: it does not know the mark
//! ```
//! Numbers are little-endian. A frame that is cut, or whose checksum is wrong, ends the record:
//! what is before it is valid, what is after it is not looked at. The footer says that the run
//! has ended and finds its last event without reading the rest.

use std::{io, ops::Range};

use action_proto::v1::{RunEvent, run_event::Event};
use bytes::Bytes;
use prost::{DecodeError, Message};
use thiserror::Error;

/// The version that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ACTIONR\n";
const END_MAGIC: &[u8; 4] = b"END\n";

/// The random mark by which a record's footer differs from bytes that look like one.
pub(super) type RecordMark = [u8; 4];

/// The footer's length in bytes.
pub(super) const FOOTER_LEN: usize = 16;

/// The header's length in bytes.
pub const HEADER_LEN: usize = 16;
/// The length of a frame's head.
pub(super) const FRAME_LEN: usize = 8;
/// No event is longer: output comes in chunks of 64 KiB, and the largest plan has 10,000 names.
const PAYLOAD_LIMIT: usize = 16 << 20;
/// The most bytes before an event in its payload: run id, sequence and time.
const BEFORE_EVENT: usize = 64;

/// Damage of a record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordDamage {
    /// The file does not begin as a record does.
    #[error("this is not a record of a run")]
    NotARecord,
    /// A newer server wrote it.
    #[error("the record has format version {0}, newer than {VERSION}: read it with a newer server")]
    Newer(u32),
    /// A frame is cut, or its bytes are not those that were written.
    #[error("the record is damaged: a frame's {0} is wrong")]
    Frame(&'static str),
}

impl From<RecordDamage> for io::Error {
    fn from(damage: RecordDamage) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, damage)
    }
}

/// An event that is longer than a record holds.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the nodes and arguments of the run take {0} bytes in its record, which holds {PAYLOAD_LIMIT} of one event; run it on fewer nodes at once"
)]
pub struct TooLong(usize);

/// Checks that a record can hold an event: its readers take none that is longer.
///
/// # Errors
/// It is too long.
pub fn check_length(event: &Event) -> Result<(), TooLong> {
    let length = event.encoded_len().saturating_add(BEFORE_EVENT);
    if length > PAYLOAD_LIMIT {
        Err(TooLong(length))
    } else {
        Ok(())
    }
}

/// The header of a new record.
pub(super) fn encode_header(mark: RecordMark) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    bytes[12..16].copy_from_slice(&mark);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// Checks a record's header and gives its mark.
pub(super) fn check_header(bytes: &[u8]) -> Result<RecordMark, RecordDamage> {
    let header = bytes
        .first_chunk::<HEADER_LEN>()
        .filter(|header| header.starts_with(MAGIC));
    let Some(header) = header else {
        return Err(RecordDamage::NotARecord);
    };
    let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if version > VERSION {
        Err(RecordDamage::Newer(version))
    } else {
        Ok([header[12], header[13], header[14], header[15]])
    }
}

/// Appends the footer of a record whose last frame begins at `offset`.
pub(super) fn encode_footer(mark: RecordMark, offset: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(END_MAGIC);
    out.extend_from_slice(&mark);
    out.extend_from_slice(&offset.to_le_bytes());
}

/// The offset of the last frame, when these are the last bytes of a record that has ended.
pub(super) fn decode_footer(mark: RecordMark, bytes: &[u8; FOOTER_LEN]) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (own, offset) = rest.split_first_chunk::<4>()?;
    let offset = offset
        .first_chunk()
        .map(|offset| u64::from_le_bytes(*offset));
    offset.filter(|_| magic == END_MAGIC && *own == mark)
}

/// Appends an event's frame.
pub(super) fn encode_event(event: &RunEvent, out: &mut Vec<u8>) {
    let start = begin_frame(out);
    // A Vec grows as needed, so that encoding cannot run out of room.
    _ = event.encode(out);
    end_frame(out, start, &[]);
}

/// Begins a frame, whose payload is to be appended. Returns where it begins.
pub(super) fn begin_frame(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; FRAME_LEN]);
    out.len() - FRAME_LEN
}

/// Ends the frame that begins at `start`, and whose payload goes on with `rest` behind `out`.
pub(super) fn end_frame(out: &mut [u8], start: usize, rest: &[u8]) {
    let payload = &out[start + FRAME_LEN..];
    let length = u32::try_from(payload.len() + rest.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(payload);
    checksum.update(rest);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&checksum.finalize().to_le_bytes());
}

/// The frame at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub(super) enum RecordFrame {
    /// An event, and how many bytes its frame has.
    Event(Box<RunEvent>, usize),
    /// An event that is not wanted, and how many bytes its frame has.
    Skipped(usize),
    /// A frame begins that has this many bytes in all, or at least.
    Incomplete(usize),
}

/// The part of an event that says which it is.
#[derive(Clone, PartialEq, Message)]
struct NumberedEvent {
    #[prost(uint64, tag = "2")]
    sequence: u64,
}

/// Reads one frame.
pub(super) fn decode_frame(bytes: &[u8]) -> Result<RecordFrame, RecordDamage> {
    read_frame(bytes, 0, |payload| RunEvent::decode(&bytes[payload]))
}

/// Reads one frame without a copy of its data; skips an event up to and with `after`.
pub(super) fn decode_after(bytes: &Bytes, after: u64) -> Result<RecordFrame, RecordDamage> {
    read_frame(bytes, after, |payload| {
        RunEvent::decode(bytes.slice(payload))
    })
}

fn read_frame(
    bytes: &[u8],
    after: u64,
    event: impl FnOnce(Range<usize>) -> Result<RunEvent, DecodeError>,
) -> Result<RecordFrame, RecordDamage> {
    let Some(head) = bytes.first_chunk::<FRAME_LEN>() else {
        return Ok(RecordFrame::Incomplete(FRAME_LEN));
    };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length == 0 || length > PAYLOAD_LIMIT {
        return Err(RecordDamage::Frame("length"));
    }
    let end = FRAME_LEN + length;
    let Some(payload) = bytes.get(FRAME_LEN..end) else {
        return Ok(RecordFrame::Incomplete(end));
    };
    if crc32fast::hash(payload).to_le_bytes() != head[4..8] {
        return Err(RecordDamage::Frame("checksum"));
    }
    if after > 0 {
        let numbered =
            NumberedEvent::decode(payload).map_err(|_| RecordDamage::Frame("content"))?;
        if numbered.sequence <= after {
            return Ok(RecordFrame::Skipped(end));
        }
    }
    let event = event(FRAME_LEN..end).map_err(|_| RecordDamage::Frame("content"))?;
    Ok(RecordFrame::Event(Box::new(event), end))
}

#[cfg(test)]
mod tests {
    use action_proto::v1::RunStarted;
    use proptest::prelude::*;

    use super::*;

    fn frames(count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for sequence in 1..=count {
            encode_event(
                &RunEvent {
                    run_id: "r".into(),
                    sequence,
                    ..RunEvent::default()
                },
                &mut bytes,
            );
        }
        bytes
    }

    #[test]
    fn what_readers_would_not_take_is_not_recorded() {
        let started = |nodes: usize| {
            Event::RunStarted(RunStarted {
                nodes: vec!["n".repeat(62); nodes],
                ..RunStarted::default()
            })
        };
        for (nodes, is_taken) in [(10_000, true), (262_142, true), (262_144, false)] {
            let event = started(nodes);
            assert_eq!(check_length(&event).is_ok(), is_taken, "{nodes}");
            let event = RunEvent {
                run_id: "r".repeat(16),
                sequence: 1,
                time: Some(std::time::SystemTime::now().into()),
                event: Some(event),
            };
            let mut bytes = Vec::new();
            encode_event(&event, &mut bytes);
            assert_eq!(decode_frame(&bytes).is_ok(), is_taken, "{nodes}");
        }
    }

    fn sequences(mut bytes: &[u8]) -> Vec<u64> {
        let mut read = Vec::new();
        while let Ok(RecordFrame::Event(event, length)) = decode_frame(bytes) {
            read.push(event.sequence);
            bytes = &bytes[length..];
        }
        read
    }

    #[test]
    fn headers() {
        assert_eq!(check_header(&encode_header(*b"mark")), Ok(*b"mark"));
        assert_eq!(check_header(b"short"), Err(RecordDamage::NotARecord));
        assert_eq!(check_header(&[0; 16]), Err(RecordDamage::NotARecord));
        let mut newer = encode_header(*b"mark");
        newer[8] = 9;
        assert_eq!(check_header(&newer), Err(RecordDamage::Newer(9)));
        let mut footer = Vec::new();
        encode_footer(*b"mark", 77, &mut footer);
        let footer: &[u8; FOOTER_LEN] = footer[..].try_into().unwrap();
        assert_eq!(decode_footer(*b"mark", footer), Some(77));
        assert_eq!(decode_footer(*b"kram", footer), None);
    }

    proptest! {
        #[test]
        fn a_cut_record_is_a_valid_prefix(cut in 0usize..200) {
            let bytes = frames(8);
            let bytes = &bytes[..bytes.len().saturating_sub(cut)];
            let read = sequences(bytes);
            prop_assert!(read.iter().copied().eq(1..=read.len() as u64));
        }

        #[test]
        fn a_flipped_bit_ends_the_record_there(at in 0usize..10_000, bit in 0u8..8) {
            let mut bytes = frames(8);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let read = sequences(&bytes);
            prop_assert!(read.iter().copied().eq(1..=read.len() as u64));
            prop_assert!(read.len() < 8);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = decode_frame(&bytes);
            _ = check_header(&bytes);
        }
    }
}
