//! Memory that is not used any more goes back to the system.

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
