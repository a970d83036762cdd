//! One output of a script, read in chunks as they come and never cut into lines.

use std::{io, os::fd::AsFd};

use bytes::{Bytes, BytesMut};
use rustix::pipe::fcntl_setpipe_size;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A chunk's least and greatest room. A quiet script costs little memory; one that fills its
/// chunk gets as much as a pipe holds (pipe(7): 64 KiB).
const LEAST: usize = 4 * 1024;
const GREATEST: usize = 64 * 1024;
/// What a pipe holds once its script has filled it: the script need not stop for each chunk.
/// A user may have 64 MiB in pipes (pipe-user-pages-soft): 256 jobs stay below.
const WIDE: usize = 2 * GREATEST;

/// What an output is read from.
trait ScriptPipe: AsyncRead + Send + Unpin {
    fn widen_pipe(&self);
}

impl<P: AsyncRead + AsFd + Send + Unpin> ScriptPipe for P {
    fn widen_pipe(&self) {
        // Where a user has had too much of that, it stays as it is: pipe(7).
        _ = fcntl_setpipe_size(self, WIDE);
    }
}

/// The reading end of a script's output.
pub struct OutputPipe {
    pipe: Option<Box<dyn ScriptPipe>>,
    is_wide: bool,
    room: usize,
    buffer: BytesMut,
}

impl std::fmt::Debug for OutputPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl OutputPipe {
    pub(super) fn new(pipe: impl AsyncRead + AsFd + Send + Unpin + 'static) -> OutputPipe {
        OutputPipe {
            pipe: Some(Box::new(pipe)),
            is_wide: false,
            room: LEAST,
            buffer: BytesMut::new(),
        }
    }

    /// False after its end.
    pub fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Stops reading, even if writers are left.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// The next chunk, or `None` at the end, after which it is never ready again.
    ///
    /// Cancel safe: a chunk that was read is returned by this call or the next.
    ///
    /// # Errors
    /// The read's; the output counts as ended then.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        self.buffer.reserve(self.room);
        match pipe.read_buf(&mut self.buffer).await {
            Ok(0) => {
                self.pipe = None;
                Ok(None)
            }
            Ok(read) => {
                if read >= GREATEST && !self.is_wide {
                    self.is_wide = true;
                    pipe.widen_pipe();
                }
                self.room = if read >= self.room {
                    (self.room * 4).min(GREATEST)
                } else {
                    self.room
                };
                Ok(Some(self.buffer.split().freeze()))
            }
            Err(error) => {
                self.pipe = None;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn chunks_join_to_what_was_written() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut sender, receiver) = tokio::net::unix::pipe::pipe().unwrap();
        let mut output = OutputPipe::new(receiver);
        let written = bytes.clone();
        let writer = tokio::spawn(async move { sender.write_all(&written).await });
        let mut read = Vec::new();
        while let Some(chunk) = output.next_chunk().await.unwrap() {
            assert!(!chunk.is_empty());
            read.extend_from_slice(&chunk);
        }
        writer.await.unwrap().unwrap();
        assert!(read == bytes && !output.is_open());
    }
}
