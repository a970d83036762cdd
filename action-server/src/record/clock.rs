//! Whether the system clock can be believed, for the removal of old records: a clock that jumps forward would
//! make all of them old.
//!
//! The clock is compared with the time that the kernel counts since its boot. Across a boot, and on another
//! machine, only a lower bound is known: when the clock was believed last. A clock outside of what these
//! allow pauses removal by age until it is right again, accepted, or steady for a day.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{RecordStore, StateHolder};
use crate::{
    atomic_file::{self, Ownership},
    shown,
};

/// The file of the state.
const STATE: &str = "clock.json";
/// The clock that `accept-clock` accepted.
const APPROVAL: &str = "clock.accept";
/// How long a clock must be steady to be believed without an admin, in milliseconds of uptime.
const STEADY: i64 = 24 * 3_600_000;
/// How often the time of the last look is kept, in milliseconds.
const KEEP_INTERVAL: u64 = 3_600_000;
const MINUTE: i64 = 60_000;
const SIZE_LIMIT: u64 = 4096;

/// A moment by both clocks, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ClockMoment {
    machine: String,
    /// The kernel's id of this boot.
    boot: String,
    /// Time since the boot, also while the machine slept.
    up: i64,
    /// The system clock, since 1970.
    wall: i64,
}

impl ClockMoment {
    fn now() -> ClockMoment {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        ClockMoment {
            machine: StateHolder::this_machine().machine_id().to_owned(),
            boot: boot.unwrap_or_default().trim().to_owned(),
            up: read_uptime().unwrap_or_default(),
            wall: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn offset(&self) -> i64 {
        self.wall.saturating_sub(self.up)
    }
}

/// Time since the boot in milliseconds: proc_uptime(5).
fn read_uptime() -> Option<i64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: Duration = text
        .split_once(' ')
        .and_then(|(up, _)| Duration::try_from_secs_f64(up.parse().ok()?).ok())?;
    i64::try_from(seconds.as_millis()).ok()
}

/// How far the clock may be off before it is doubted, in milliseconds. Records whose age matters more are
/// judged more narrowly.
#[derive(Debug, Clone, Copy)]
struct ClockTolerance {
    /// While the kernel counts.
    jump: i64,
    /// While nothing counted: the machine was off, or the records were another one's.
    gap: i64,
}

impl ClockTolerance {
    fn of(age: Duration) -> ClockTolerance {
        let quarter = i64::try_from(age.as_millis() / 4).unwrap_or(i64::MAX);
        ClockTolerance {
            jump: quarter.clamp(MINUTE, 10 * MINUTE),
            gap: quarter.clamp(10 * MINUTE, 7 * 24 * 60 * MINUTE),
        }
    }
}

/// A clock that is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPause {
    /// How far it is ahead of the expected time, in milliseconds; negative if behind.
    jump: i64,
    /// The clock at the boot, as it says now.
    offset: i64,
    /// Since when it has been steady, in milliseconds since the boot.
    since: i64,
}

impl ClockPause {
    /// How far the clock is ahead, in seconds; less than 0 where it is behind.
    pub fn seconds(&self) -> f64 {
        self.jump as f64 / 1000.0
    }

    /// What is wrong, for messages.
    pub fn reason(&self) -> String {
        let far = Duration::from_secs(self.jump.unsigned_abs() / 1000);
        let half_day = Duration::from_secs(12 * 3600);
        let far = match (far + half_day).as_secs() / (24 * 3600) {
            0 | 1 => humantime::format_duration(far).to_string(),
            days => format!("{days} days"),
        };
        let where_to = if self.jump > 0 { "ahead of" } else { "behind" };
        format!("the system clock is {far} {where_to} what uptime explains")
    }
}

/// The state by which the clock is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ClockState {
    machine: String,
    boot: String,
    /// The clock at the boot that is believed, in milliseconds since 1970. A clock is believed that is
    /// at most `slack` ahead of it.
    base: i64,
    slack: i64,
    /// The last time that was believed.
    seen: i64,
    pause: Option<ClockPause>,
}

impl ClockState {
    /// The state at a moment whose clock is believed.
    fn believed(now: &ClockMoment, tolerance: ClockTolerance) -> ClockState {
        ClockState {
            machine: now.machine.clone(),
            boot: now.boot.clone(),
            base: now.offset(),
            slack: tolerance.jump,
            seen: now.wall,
            pause: None,
        }
    }

    /// The state of an older server's directory, whose newest record is of this time.
    fn of_records(newest: u64) -> ClockState {
        let newest = i64::try_from(newest).unwrap_or(i64::MAX);
        ClockState {
            machine: String::new(),
            boot: String::new(),
            base: newest,
            slack: 0,
            seen: newest,
            pause: None,
        }
    }

    /// Judges the clock at a later moment.
    fn observe(&mut self, now: &ClockMoment, tolerance: ClockTolerance) {
        if self.boot != now.boot {
            // Nothing counted in between but, after a boot of the same machine, its uptime.
            let is_same = !now.machine.is_empty() && self.machine == now.machine;
            let explained = if is_same { now.up } else { 0 };
            *self = ClockState {
                machine: now.machine.clone(),
                boot: now.boot.clone(),
                base: self.seen.saturating_sub(now.up),
                slack: tolerance.gap.saturating_add(explained),
                seen: self.seen,
                pause: None,
            };
        }
        let jump = now.offset().saturating_sub(self.base);
        if (-tolerance.jump..=self.slack).contains(&jump) {
            // The first look narrows what a boot left open. Later ones do not move with the clock.
            let is_first = self.slack > tolerance.jump;
            let base = if is_first { now.offset() } else { self.base };
            *self = ClockState {
                base,
                ..ClockState::believed(now, tolerance)
            };
            return;
        }
        let is_steady = |pause: &ClockPause| {
            let moved = now.offset().saturating_sub(pause.offset);
            moved.unsigned_abs() <= tolerance.jump.unsigned_abs()
        };
        match self.pause.filter(is_steady) {
            Some(pause) if now.up.saturating_sub(pause.since) >= STEADY => {
                *self = ClockState::believed(now, tolerance);
            }
            Some(_) => self.seen = self.base.saturating_add(now.up),
            None => {
                self.seen = self.base.saturating_add(now.up);
                self.pause = Some(ClockPause {
                    jump,
                    offset: now.offset(),
                    since: now.up,
                });
            }
        }
    }
}

/// The clock, as far as it can be believed.
#[derive(Debug)]
pub struct SystemClock {
    directory: PathBuf,
    tolerance: ClockTolerance,
    state: ClockState,
    /// The time in `state` that is kept on the disk; `None` while nothing is.
    kept: Option<i64>,
}

impl SystemClock {
    /// The clock of a state directory whose records are kept for `age`. Blocks for the disk.
    pub fn open(directory: &Path, age: Duration, store: &RecordStore) -> SystemClock {
        let (now, tolerance) = (ClockMoment::now(), ClockTolerance::of(age));
        let state = read_state(&directory.join(STATE));
        let state = state.or_else(|| store.newest_time().map(ClockState::of_records));
        SystemClock {
            directory: directory.to_owned(),
            tolerance,
            state: state.unwrap_or_else(|| ClockState::believed(&now, tolerance)),
            kept: None,
        }
    }

    /// Looks at the clock, and logs what has changed. Returns why it is doubted. Blocks for the disk.
    pub fn look(&mut self) -> Option<ClockPause> {
        let before = self.state.pause;
        self.take_approval();
        let now = ClockMoment::now();
        self.state.observe(&now, self.tolerance);
        let after = self.state.pause;
        match (before, after) {
            (Some(_), None) => {
                tracing::info!("the system clock is believed: records are removed by age again");
            }
            (_, Some(pause)) if before != after || self.kept.is_none() => {
                tracing::error!(
                    "{}: no record is removed for its age; set the clock right, or run: action-server accept-clock",
                    pause.reason()
                );
            }
            _ => {}
        }
        let is_old =
            |kept: i64| self.state.seen.saturating_sub(kept).unsigned_abs() >= KEEP_INTERVAL;
        if before != after || self.kept.is_none_or(is_old) {
            self.keep();
        }
        after
    }

    /// The time of the last look, in milliseconds since 1970; 0 while the clock is doubted.
    pub fn believed(&self) -> u64 {
        match self.state.pause {
            Some(_) => 0,
            None => u64::try_from(self.state.seen).unwrap_or(0),
        }
    }

    /// Saves the state. Blocks for the disk.
    pub fn keep(&mut self) {
        self.kept = Some(self.state.seen);
        if let Err(error) = write_state(&self.directory, STATE, &self.state) {
            tracing::warn!(%error, "cannot keep the time of the last look at the system clock");
        }
    }

    /// Takes the clock as it was when the admin accepted it.
    fn take_approval(&mut self) {
        let path = self.directory.join(APPROVAL);
        if !path.exists() {
            return;
        }
        if let Some(state) = read_state(&path) {
            tracing::warn!("the admin accepted the system clock");
            self.state = state;
        }
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %shown::file(&path), %error, "cannot remove the file");
        }
    }
}

/// Why the clock is doubted, as a server finds that starts now. Writes nothing.
pub fn check_clock(directory: &Path, age: Duration) -> Option<ClockPause> {
    let approved = read_state(&directory.join(APPROVAL));
    let mut state = approved.or_else(|| read_state(&directory.join(STATE)))?;
    state.observe(&ClockMoment::now(), ClockTolerance::of(age));
    state.pause
}

/// Accepts the clock as it is now. Returns why it was doubted; where it was not nothing is done. Blocks for
/// the disk.
///
/// # Errors
/// The state directory cannot be written.
pub fn accept_clock(directory: &Path, age: Duration) -> io::Result<Option<ClockPause>> {
    let pause = check_clock(directory, age);
    if pause.is_some() {
        let state = ClockState::believed(&ClockMoment::now(), ClockTolerance::of(age));
        write_state(directory, APPROVAL, &state)?;
    }
    Ok(pause)
}

/// A file of the state directory. One that is not there, or damaged, is none.
fn read_state(path: &Path) -> Option<ClockState> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = fs::File::options();
    let options = options
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    let mut text = Vec::new();
    let file = options.open(path).ok()?;
    file.take(SIZE_LIMIT).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes a file of the state directory, which is the directory's owner's alone.
fn write_state(directory: &Path, name: &str, state: &ClockState) -> io::Result<()> {
    let ownership = Ownership {
        permissions: fs::Permissions::from_mode(0o600),
        ..Ownership::of(&fs::metadata(directory)?)
    };
    let text = serde_json::to_vec(state)?;
    atomic_file::replace(&directory.join(name), &text, &ownership)
}

#[cfg(test)]
mod tests;
