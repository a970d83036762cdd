//! The contents of a record besides output: the jobs, and offsets of events.

use action_proto::v1::{Job, RunEvent, run_event::Event};
use prost::Message;
use prost_types::Timestamp;

use super::{HEADER_LEN, jobs::JobTable};

/// So many bytes of a record are between two offsets of a table, at least.
const STRIDE: u64 = 256 << 10;
/// The most offsets of a table: with more, every second one goes.
const MOST_OFFSETS: usize = 4096;

/// An event that was written, without its output.
#[derive(Debug)]
pub(super) struct WrittenEvent {
    pub(super) sequence: u64,
    pub(super) time: Option<Timestamp>,
    /// Where its frame begins.
    pub(super) offset: u64,
    /// `None` for output.
    pub(super) event: Option<Event>,
}

impl WrittenEvent {
    /// An event whose frame begins at `offset`, without output.
    pub(super) fn of(event: &RunEvent, offset: u64) -> WrittenEvent {
        let is_output = matches!(event.event, Some(Event::NodeOutput(_)));
        WrittenEvent {
            sequence: event.sequence,
            time: event.time,
            offset,
            event: event.event.as_ref().filter(|_| !is_output).cloned(),
        }
    }
}

/// Jobs and offsets, gathered while a record is written or read.
#[derive(Debug, Default)]
pub(super) struct RecordContents {
    pub(super) jobs: JobTable,
    pub(super) offsets: OffsetTable,
}

impl RecordContents {
    /// Takes the next event of the record.
    pub(super) fn observe_event(&mut self, written: WrittenEvent) {
        self.offsets.add(written.sequence, written.offset);
        if let Some(event) = written.event {
            self.jobs.observe_event(event);
        }
    }

    /// Each job as far as the events go.
    pub(super) fn jobs(&self) -> Vec<Job> {
        self.jobs.as_slice().to_vec()
    }

    /// As it is kept in a file.
    pub(super) fn to_stored(&self) -> StoredContents {
        StoredContents {
            jobs: self.jobs(),
            sequences: self.offsets.places.iter().map(|it| it.0).collect(),
            offsets: self.offsets.places.iter().map(|it| it.1).collect(),
        }
    }
}

/// Contents as they are kept in a file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredContents {
    #[prost(message, repeated, tag = "1")]
    pub(super) jobs: Vec<Job>,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) sequences: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(super) offsets: Vec<u64>,
}

impl StoredContents {
    /// Where to begin to read for the events after `after`.
    pub(super) fn offset_before(&self, after: u64) -> u64 {
        let places = self.sequences.iter().copied();
        find_offset(places.zip(self.offsets.iter().copied()), after)
    }
}

/// A sparse table from sequence to offset. Its size is bounded, however long the record is.
#[derive(Debug)]
pub(super) struct OffsetTable {
    stride: u64,
    places: Vec<(u64, u64)>,
}

impl Default for OffsetTable {
    fn default() -> OffsetTable {
        OffsetTable {
            stride: STRIDE,
            places: Vec::new(),
        }
    }
}

impl OffsetTable {
    /// Takes note of the next event, where the one before it is far away.
    fn add(&mut self, sequence: u64, offset: u64) {
        let last = self.places.last().map_or(HEADER_LEN as u64, |it| it.1);
        if offset - last.min(offset) < self.stride {
            return;
        }
        self.places.push((sequence, offset));
        if self.places.len() > MOST_OFFSETS {
            let mut is_kept = false;
            self.places.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.stride *= 2;
        }
    }

    /// Where to begin to read for the events after `after`.
    pub(super) fn offset_before(&self, after: u64) -> u64 {
        find_offset(self.places.iter().copied(), after)
    }
}

fn find_offset(places: impl DoubleEndedIterator<Item = (u64, u64)>, after: u64) -> u64 {
    // The first event that is wanted is the one after it.
    let mut places = places.rev();
    let place = places.find(|(sequence, _)| *sequence <= after.saturating_add(1));
    place.map_or(HEADER_LEN as u64, |(_, offset)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_the_last_place_before_an_event_and_stays_small() {
        let mut table = OffsetTable::default();
        let event = 100_000;
        for sequence in 1..=200_000_u64 {
            table.add(sequence, 16 + (sequence - 1) * event);
        }
        assert!(table.places.len() <= MOST_OFFSETS);
        assert_eq!(table.offset_before(0), 16);
        for after in [1, 5, 1000, 77_777, 199_999] {
            let offset = table.offset_before(after);
            let wanted = 16 + after * event;
            assert!(offset <= wanted, "{after}");
            assert!(wanted - offset <= 2 * table.stride, "{after}");
            assert_eq!((offset - 16) % event, 0, "{after}");
        }
    }
}
