//! Events on their way to a record: encoded, and written all at once.
//!
//! What a script printed is most of a record's bytes. It is not copied: its frame has a part
//! before it, and then the data itself, where it was read to.

use std::io::{self, IoSlice, Write};

use action_proto::v1::{NodeOutput, RunEvent, run_event::Event};
use bytes::Bytes;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};

use super::format::{self, RecordMark};

/// Data that is shorter than this is copied: a piece of its own would cost more.
const SHORT: usize = 4 * 1024;
/// The tags of `RunEvent.node_output` and `NodeOutput.data` in the protocol.
const NODE_OUTPUT: u32 = 6;
const DATA: u32 = 3;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct FrameBatch {
    /// All that is encoded, one after the other.
    encoded: Vec<u8>,
    /// Data in between, each with the length of `encoded` before it.
    data: Vec<(usize, Bytes)>,
    /// The length of all data.
    data_length: usize,
}

impl FrameBatch {
    /// How many bytes they have.
    pub(super) fn len(&self) -> usize {
        self.encoded.len() + self.data_length
    }

    /// Adds the header of a record.
    pub(super) fn add_header(&mut self, mark: RecordMark) {
        self.encoded.extend_from_slice(&format::encode_header(mark));
    }

    /// Adds an event's frame.
    pub(super) fn add_event(&mut self, event: &RunEvent) {
        match &event.event {
            Some(Event::NodeOutput(output)) if output.data.len() >= SHORT => {
                self.add_output(event, output);
            }
            _ => format::encode_event(event, &mut self.encoded),
        }
    }

    /// Adds the footer of a record whose last frame begins at `offset`.
    pub(super) fn add_footer(&mut self, mark: RecordMark, offset: u64) {
        format::encode_footer(mark, offset, &mut self.encoded);
    }

    /// The same bytes as [`format::encode_event`] makes. In a message both the event and its data come
    /// last: <https://protobuf.dev/programming-guides/encoding/>.
    fn add_output(&mut self, event: &RunEvent, output: &NodeOutput) {
        let data = &output.data;
        let before_data = NodeOutput {
            node: output.node.clone(),
            stream: output.stream,
            data: Bytes::new(),
        };
        let before_event = RunEvent {
            run_id: event.run_id.clone(),
            sequence: event.sequence,
            time: event.time,
            event: None,
        };
        let length = before_data.encoded_len()
            + key_len(DATA)
            + encoded_len_varint(data.len() as u64)
            + data.len();
        let frame = format::begin_frame(&mut self.encoded);
        // A Vec grows as needed, so that encoding cannot run out of room.
        _ = before_event.encode(&mut self.encoded);
        encode_key(NODE_OUTPUT, WireType::LengthDelimited, &mut self.encoded);
        encode_varint(length as u64, &mut self.encoded);
        _ = before_data.encode(&mut self.encoded);
        encode_key(DATA, WireType::LengthDelimited, &mut self.encoded);
        encode_varint(data.len() as u64, &mut self.encoded);
        format::end_frame(&mut self.encoded, frame, data);
        self.data.push((self.encoded.len(), data.clone()));
        self.data_length += data.len();
    }

    /// Writes all of them, in as few writes as the system allows.
    ///
    /// # Errors
    /// The first write's that failed. A part may be written then.
    pub(super) fn write_to(&self, mut out: impl Write) -> io::Result<()> {
        let mut pieces = Vec::with_capacity(2 * self.data.len() + 1);
        let mut from = 0;
        for (to, data) in &self.data {
            pieces.push(IoSlice::new(&self.encoded[from..*to]));
            pieces.push(IoSlice::new(data));
            from = *to;
        }
        pieces.push(IoSlice::new(&self.encoded[from..]));
        let mut rest = &mut pieces[..];
        // Takes empty ones away first.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match out.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Takes little at a time, as a full disk does.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let some = bytes.len().min(1000);
            self.0.extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(sequence: u64, length: usize) -> RunEvent {
        let output = NodeOutput {
            node: "n1".into(),
            stream: 1,
            data: vec![b'x'; length].into(),
        };
        RunEvent {
            run_id: "a".repeat(16),
            sequence,
            time: Some(SystemTime::now().into()),
            event: Some(Event::NodeOutput(output)),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        let lengths = [0, 1, SHORT - 1, SHORT, SHORT + 1, 64 * 1024, 1 << 20, 3];
        let mut frames = FrameBatch::default();
        let mut plain = Vec::new();
        for (length, sequence) in lengths.into_iter().zip(1..) {
            let event = output(sequence, length);
            frames.add_event(&event);
            format::encode_event(&event, &mut plain);
            assert_eq!(frames.len(), plain.len());
        }
        let (mut fast, mut slow) = (Vec::new(), Slow(Vec::new()));
        frames.write_to(&mut fast).unwrap();
        frames.write_to(&mut slow).unwrap();
        assert!(fast == plain && slow.0 == plain);
        FrameBatch::default()
            .write_to(io::Cursor::new([0; 0].as_mut_slice()))
            .unwrap();
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_of() {
        let mut frames = FrameBatch::default();
        frames.add_event(&output(1, SHORT));
        let mut room = [0; 100];
        let error = frames.write_to(room.as_mut_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
