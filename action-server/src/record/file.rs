//! Reading a record's file: its header, its first and last events, and all of them.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use action_proto::v1::RunEvent;

use super::{
    HEADER_LEN, Watermark,
    format::{self, FOOTER_LEN, FRAME_LEN, RecordFrame},
    index_file::{SHORT_RECORD, is_wanted},
};

/// So much of a long record is read at first: its first event is in it, unless it has many nodes.
const FIRST_READ: u64 = 4 << 10;

/// Checks that a file is a record that this version reads; gives its mark.
pub(super) fn check_header(file: &File) -> io::Result<format::RecordMark> {
    let mut header = [0; HEADER_LEN];
    file.read_exact_at(&mut header, 0)?;
    Ok(format::check_header(&header)?)
}

/// The offset of the last event of a record that has ended.
fn last_offset(file: &File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let mark = check_header(file)?;
    let Some(start) = footer_start(length) else {
        return Ok(None);
    };
    let mut footer = [0; FOOTER_LEN];
    file.read_exact_at(&mut footer, start)?;
    Ok(format::decode_footer(mark, &footer).filter(|&offset| offset < start))
}

/// Where the footer begins in a record of this length, if it has one.
fn footer_start(length: u64) -> Option<u64> {
    let start = length.checked_sub(FOOTER_LEN as u64);
    start.filter(|&start| start >= HEADER_LEN as u64)
}

/// What the first and last event of a record say.
pub(super) struct RecordEnds {
    pub(super) first: RunEvent,
    /// True for a record that has its end.
    pub(super) has_ended: bool,
    /// The last event of a record that has ended; `None` where it is damaged.
    pub(super) last: Option<RunEvent>,
    /// Where its events end, if it has ended.
    pub(super) end: u64,
}

/// Reads the first event of a record of this length and, by the footer, the last one: a short record at
/// once. `buffer` may be used again.
///
/// # Errors
/// The disk's, or that the header or the first event is damaged (`InvalidData`, `UnexpectedEof`).
pub(super) fn read_ends(file: &File, length: u64, buffer: &mut Vec<u8>) -> io::Result<RecordEnds> {
    let at_once = if is_wanted(length) {
        FIRST_READ
    } else {
        SHORT_RECORD
    };
    let wanted = usize::try_from(length.min(at_once)).unwrap_or(0);
    if buffer.len() < wanted {
        buffer.resize(wanted, 0);
    }
    let bytes = &mut buffer[..wanted];
    file.read_exact_at(bytes, 0)?;
    let bytes = &*bytes;
    let mark = format::check_header(bytes)?;
    let event = |offset: u64| {
        let inside = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
        match inside.map(format::decode_frame) {
            Some(Ok(RecordFrame::Event(event, _))) => Ok(*event),
            Some(Err(damage)) => Err(damage.into()),
            _ => event_at(file, offset),
        }
    };
    let first = event(HEADER_LEN as u64)?;
    let mut glance = RecordEnds {
        first,
        has_ended: false,
        last: None,
        end: length,
    };
    let Some(start) = footer_start(length) else {
        return Ok(glance);
    };
    let mut footer = [0; FOOTER_LEN];
    match bytes.last_chunk() {
        Some(last) if wanted as u64 == length => footer = *last,
        _ => file.read_exact_at(&mut footer, start)?,
    }
    let offset = format::decode_footer(mark, &footer).filter(|&offset| offset < start);
    if let Some(offset) = offset {
        glance.has_ended = true;
        glance.end = start;
        glance.last = event(offset).ok();
    }
    Ok(glance)
}

/// The event whose frame begins at `offset`.
pub(super) fn event_at(file: &File, offset: u64) -> io::Result<RunEvent> {
    let mut bytes = vec![0; FRAME_LEN];
    loop {
        file.read_exact_at(&mut bytes, offset)?;
        match format::decode_frame(&bytes)? {
            RecordFrame::Event(event, _) => return Ok(*event),
            RecordFrame::Incomplete(length) | RecordFrame::Skipped(length) => {
                bytes.resize(length, 0);
            }
        }
    }
}

/// How far a closed record is whole, and each of its events with its offset on the way.
pub(super) fn scan_events(
    file: &File,
    mut see: impl FnMut(RunEvent, u64),
) -> io::Result<Watermark> {
    let mut reader = io::BufReader::with_capacity(256 * 1024, file);
    let mut header = [0; HEADER_LEN];
    reader.read_exact(&mut header)?;
    format::check_header(&header)?;
    let mut mark = Watermark {
        end: HEADER_LEN as u64,
        sequence: 0,
        ended: true,
    };
    let mut frame = Vec::new();
    while let Some(event) = next_frame(&mut reader, &mut frame)? {
        // A frame out of order is as wrong as one with a wrong checksum.
        if event.sequence != mark.sequence + 1 {
            break;
        }
        mark.sequence = event.sequence;
        see(event, mark.end);
        mark.end += frame.len() as u64;
    }
    Ok(mark)
}

/// How far a closed record is whole: by its footer, or else by reading it.
pub(super) fn whole_part(file: &File) -> io::Result<Watermark> {
    if let Some(offset) = last_offset(file)? {
        let end = file.metadata()?.len() - FOOTER_LEN as u64;
        // Readers report a damaged end; here is how far the record is good.
        let sequence = match event_at(file, offset) {
            Ok(last) => last.sequence,
            Err(_) => scan_events(file, |_, _| {})?.sequence,
        };
        return Ok(Watermark {
            end,
            sequence,
            ended: true,
        });
    }
    scan_events(file, |_, _| {})
}

/// True for a record that has its end.
pub(super) fn has_ended(file: &File) -> io::Result<bool> {
    last_offset(file).map(|offset| offset.is_some())
}

/// Reads one frame into `frame`; `None` where the record ends or is damaged.
fn next_frame(reader: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<Option<RunEvent>> {
    frame.clear();
    let mut wanted = FRAME_LEN;
    loop {
        let have = frame.len();
        frame.resize(wanted, 0);
        match reader.read_exact(&mut frame[have..]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        match format::decode_frame(frame) {
            Ok(RecordFrame::Event(event, _)) => return Ok(Some(*event)),
            Ok(RecordFrame::Incomplete(length)) => wanted = length,
            Ok(RecordFrame::Skipped(_)) | Err(_) => return Ok(None),
        }
    }
}
