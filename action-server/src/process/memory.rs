//! When memory that is not used any more goes back to the system.

/// Chunks of output, and the messages that carry them, are smaller.
const BLOCK: usize = 1 << 20;

/// Has the C library keep some of what is freed for the next use. By itself it gives every block
/// of 128 KiB back at once: a stream of output would ask the system for the same pages all the
/// time. It gives back from twice the size of the largest such block that was ever freed:
/// mallopt(3), `M_MMAP_THRESHOLD`. Other C libraries are not impressed.
pub(super) fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
}

/// Gives the system back what was freed. Reading many definitions takes much more memory for a
/// moment than what is kept of them, and the C library would keep it all: malloc_trim(3).
#[cfg(target_env = "gnu")]
pub fn give_back_memory() {
    #[expect(unsafe_code, reason = "the C library has no safe name for it")]
    // SAFETY: it takes a number and no pointer, and may be called at any time by any thread.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Does nothing: other C libraries give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_memory() {}
