use super::*;

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// A time in 2026.
const NOW: i64 = 1_796_000_000_000;

fn tolerance() -> ClockTolerance {
    ClockTolerance::of(Duration::from_secs(90 * 24 * 3600))
}

fn moment(boot: &str, up: i64, wall: i64) -> ClockMoment {
    ClockMoment {
        machine: "m".into(),
        boot: boot.into(),
        up,
        wall,
    }
}

/// A clock that was right at the boot `a`, an hour after it.
fn begun() -> ClockState {
    ClockState::believed(&moment("a", HOUR, NOW), tolerance())
}

/// By how much the clock is doubted after these moments.
fn jump(state: &mut ClockState, moments: &[ClockMoment]) -> Option<i64> {
    for moment in moments {
        state.observe(moment, tolerance());
    }
    state.pause.map(|pause| pause.jump)
}

#[test]
fn a_jump_that_uptime_does_not_explain_is_doubted_either_way() {
    for far in [11 * MINUTE, DAY, 400 * DAY, -11 * MINUTE, -DAY, -NOW] {
        let state = &mut begun();
        let after = moment("a", 2 * HOUR, NOW + HOUR + far);
        assert_eq!(jump(state, &[after]), Some(far));
        // Set right again.
        assert_eq!(jump(state, &[moment("a", 3 * HOUR, NOW + 2 * HOUR)]), None);
    }
    for near in [0, 9 * MINUTE, -9 * MINUTE] {
        let after = moment("a", 400 * DAY, NOW + 400 * DAY - HOUR + near);
        assert_eq!(jump(&mut begun(), &[after]), None, "{near}");
    }
}

#[test]
fn small_steps_are_doubted_once_they_are_much_together() {
    let state = &mut begun();
    let step = |count: i64| moment("a", HOUR + count * MINUTE, NOW + count * 4 * MINUTE);
    assert_eq!(jump(state, &[step(1), step(2), step(3)]), None);
    assert_eq!(jump(state, &[step(4)]), Some(12 * MINUTE));
}

#[test]
fn a_steady_day_is_enough_and_another_jump_begins_it_again() {
    let state = &mut begun();
    let at = |hours: i64, far: i64| moment("a", hours * HOUR, NOW + (hours - 1) * HOUR + far);
    let far = 100 * DAY;
    assert_eq!(jump(state, &[at(2, far), at(25, far)]), Some(far));
    assert_eq!(jump(state, &[at(26, 2 * far)]), Some(2 * far));
    assert_eq!(jump(state, &[at(49, 2 * far)]), Some(2 * far));
    assert_eq!(jump(state, &[at(50, 2 * far)]), None);
    assert_eq!(state.base, NOW - HOUR + 2 * far);
    // What was believed before is a jump now.
    assert_eq!(jump(state, &[at(51, 0)]), Some(-2 * far));
}

#[test]
fn after_a_boot_time_may_have_passed_up_to_a_bound() {
    for (off, expected) in [
        (MINUTE, None),
        (6 * DAY, None),
        (30 * DAY, Some(30 * DAY)),
        (-DAY, Some(-DAY)),
    ] {
        let after = moment("b", 0, NOW + off);
        assert_eq!(jump(&mut begun(), &[after]), expected, "{off}");
        // It was up all the time, and the server was started late.
        let after = moment("b", 50 * DAY, NOW + 50 * DAY + off.max(0));
        let expected = expected.filter(|far| *far > 0).map(|far| far + 50 * DAY);
        assert_eq!(jump(&mut begun(), &[after]), expected, "{off}");
    }
}

#[test]
fn the_uptime_of_another_machine_explains_nothing() {
    let other = |wall| ClockMoment {
        machine: "other".into(),
        ..moment("b", 300 * DAY, wall)
    };
    assert_eq!(jump(&mut begun(), &[other(NOW + HOUR)]), None);
    assert_eq!(jump(&mut begun(), &[other(NOW + 99 * DAY)]), Some(99 * DAY));
    assert_eq!(jump(&mut begun(), &[other(NOW - HOUR)]), Some(-HOUR));
}

#[test]
fn a_boot_does_not_make_a_wrong_clock_right_nor_a_right_one_wrong() {
    let far = 400 * DAY;
    let state = &mut begun();
    jump(state, &[moment("a", 2 * HOUR, NOW + HOUR + far)]);
    assert_eq!(state.seen, NOW + HOUR);
    let wrong = moment("b", MINUTE, NOW + 2 * HOUR + far);
    assert_eq!(jump(&mut state.clone(), &[wrong]), Some(far + HOUR));
    let right = moment("b", MINUTE, NOW + 2 * HOUR);
    assert_eq!(jump(&mut state.clone(), &[right]), None);
}

#[test]
fn records_of_an_older_server_tell_the_time_at_least() {
    let newest = u64::try_from(NOW).unwrap();
    for (wall, expected) in [
        (NOW + HOUR, None),
        (NOW + 30 * DAY, Some(30 * DAY)),
        (NOW - DAY, Some(-DAY)),
    ] {
        let state = &mut ClockState::of_records(newest);
        assert_eq!(jump(state, &[moment("a", 99 * DAY, wall)]), expected);
    }
}

#[test]
fn what_is_kept_for_a_short_time_is_judged_narrowly() {
    let hour = ClockTolerance::of(Duration::from_secs(3600));
    assert_eq!((hour.jump, hour.gap), (10 * MINUTE, 15 * MINUTE));
    let second = ClockTolerance::of(Duration::from_secs(1));
    assert_eq!((second.jump, second.gap), (MINUTE, 10 * MINUTE));
    let most = ClockTolerance::of(Duration::MAX);
    assert_eq!((most.jump, most.gap), (10 * MINUTE, 7 * DAY));
}

#[test]
fn no_moment_overflows() {
    let ends = [i64::MIN, -1, 0, 1, i64::MAX];
    for base in ends {
        for wall in ends {
            let mut state = begun();
            (state.base, state.seen) = (base, wall);
            for boot in ["a", "b"] {
                state.observe(&moment(boot, i64::MAX / 2, wall), tolerance());
            }
        }
    }
}

#[test]
fn accepting_is_for_a_doubted_clock_and_is_taken_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = &directory.path().join("state");
    let age = Duration::from_secs(90 * 24 * 3600);
    assert_eq!(accept_clock(path, age).unwrap(), None, "a new directory");
    let store = RecordStore::open(path).unwrap();
    let mut clock = SystemClock::open(path, age, &store);
    assert_eq!(clock.look(), None);
    assert!(clock.believed() > 0);
    assert_eq!(accept_clock(path, age).unwrap(), None);
    let mut state = read_state(&path.join(STATE)).unwrap();
    state.base -= 50 * DAY;
    write_state(path, STATE, &state).unwrap();
    let mut clock = SystemClock::open(path, age, &store);
    let pause = clock.look().unwrap();
    assert_eq!(clock.believed(), 0);
    assert_eq!(
        pause.reason(),
        "the system clock is 50 days ahead of what uptime explains"
    );
    assert_eq!(
        check_clock(path, age).map(|it| it.offset / HOUR),
        Some(pause.offset / HOUR)
    );
    assert!(accept_clock(path, age).unwrap().is_some());
    assert_eq!(check_clock(path, age), None);
    assert_eq!(clock.look(), None);
    assert!(!path.join(APPROVAL).exists());
    assert_eq!(SystemClock::open(path, age, &store).look(), None);
}
