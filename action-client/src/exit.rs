//! The exit code of a run's jobs and of failures. Pure.

use crate::error::ErrorKind;
use action_proto::v1::{NodeFinished, Outcome};

pub(crate) const USAGE: u8 = 64;
pub(crate) const INTERRUPTED: u8 = 130;
pub(crate) const TERMINATED: u8 = 143;
/// Stdout was closed by its reader: 128 and SIGPIPE, as in shells.
pub(crate) const BROKEN_PIPE: u8 = 141;
/// The largest code that a script's own can give.
pub(crate) const LARGEST_OF_SCRIPT: u8 = 251;
/// Some job was cancelled by someone else or by the server.
pub(crate) const CANCELLED: u8 = 252;
pub(crate) const TIMED_OUT: u8 = 253;
/// Some job was not started or lost.
pub(crate) const NOT_RUN: u8 = 254;
pub(crate) const NOTHING: u8 = 255;

/// How the jobs' outcomes become one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExitMode {
    /// The largest of the jobs' codes
    Largest,
    /// 1 when any job is not ok
    Any,
    /// Always 0
    Zero,
}

/// The exit code of a run; None is a job without an end. `interrupted`: this client's user cancelled it.
pub(crate) fn of_run<'a>(
    jobs: impl IntoIterator<Item = Option<&'a NodeFinished>>,
    interrupted: bool,
    mode: ExitMode,
) -> u8 {
    let floor = if interrupted { INTERRUPTED } else { 0 };
    let largest = jobs
        .into_iter()
        .map(|job| of_job(job, interrupted))
        .fold(floor, |a, b| a.max(b));
    match mode {
        ExitMode::Largest => largest,
        ExitMode::Any if interrupted => largest,
        ExitMode::Any => largest.min(1),
        ExitMode::Zero => 0,
    }
}

fn of_job(job: Option<&NodeFinished>, interrupted: bool) -> u8 {
    let Some(job) = job else { return NOT_RUN };
    match job.outcome() {
        // Also a code that the command declares to be an answer.
        Outcome::Ok => 0,
        Outcome::Failed => of_script(job.exit_code, job.signal),
        Outcome::Cancelled if interrupted => INTERRUPTED,
        Outcome::Cancelled => CANCELLED,
        Outcome::TimedOut => TIMED_OUT,
        Outcome::NotStarted | Outcome::Lost => NOT_RUN,
        // An outcome that only a newer server knows: no promise can be made about it.
        Outcome::Unspecified => NOT_RUN,
    }
}

/// The code of a failed script: its own, or 128 and the signal; never 0.
fn of_script(exit_code: Option<i32>, signal: Option<i32>) -> u8 {
    let code = exit_code
        .or(signal.map(|signal| signal.saturating_add(128)))
        .unwrap_or(1);
    let code = code.clamp(1, i32::from(LARGEST_OF_SCRIPT));
    u8::try_from(code).unwrap_or(LARGEST_OF_SCRIPT)
}

/// The exit code of a failure that ended the client.
pub(crate) fn of_error(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => USAGE,
        ErrorKind::Config
        | ErrorKind::Connection
        | ErrorKind::Login
        | ErrorKind::Refused
        | ErrorKind::PlanChanged
        | ErrorKind::Declined => NOTHING,
        ErrorKind::Lost => NOT_RUN,
        ErrorKind::BrokenPipe => BROKEN_PIPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Cancelled, Failed, Lost, NotStarted, Ok, TimedOut, Unspecified};

    fn job(outcome: Outcome, exit_code: Option<i32>, signal: Option<i32>) -> NodeFinished {
        NodeFinished {
            outcome: outcome.into(),
            exit_code,
            signal,
            ..NodeFinished::default()
        }
    }

    fn code(jobs: &[NodeFinished], interrupted: bool, mode: ExitMode) -> u8 {
        of_run(jobs.iter().map(Some), interrupted, mode)
    }

    #[test]
    fn one_job_gives_its_own_code() {
        let table = [
            // outcome, code, signal, code of the client, and the same after an own Ctrl-C
            (Ok, Some(0), None, 0, 130),
            (Ok, Some(123), None, 0, 130),
            (Failed, Some(1), None, 1, 130),
            (Failed, Some(64), None, 64, 130),
            (Failed, Some(200), None, 200, 200),
            (Failed, Some(251), None, 251, 251),
            (Failed, Some(252), None, 251, 251),
            (Failed, Some(255), None, 251, 251),
            (Failed, None, Some(9), 137, 137),
            (Failed, None, None, 1, 130),
            (Failed, Some(0), None, 1, 130),
            (Cancelled, None, Some(15), 252, 130),
            (Cancelled, Some(3), None, 252, 130),
            (TimedOut, None, Some(9), 253, 253),
            (TimedOut, Some(7), None, 253, 253),
            (NotStarted, None, None, 254, 254),
            (Lost, None, None, 254, 254),
            (Unspecified, None, None, 254, 254),
        ];
        for (outcome, exit, signal, plain, own) in table {
            let jobs = [job(outcome, exit, signal)];
            let case = format!("{outcome:?} {exit:?} {signal:?}");
            assert_eq!(code(&jobs, false, ExitMode::Largest), plain, "{case}");
            assert_eq!(
                code(&jobs, true, ExitMode::Largest),
                own,
                "{case} interrupted"
            );
            assert_eq!(
                code(&jobs, false, ExitMode::Any),
                plain.min(1),
                "{case} any"
            );
            assert_eq!(
                code(&jobs, true, ExitMode::Any),
                own,
                "{case} any, interrupted"
            );
            assert_eq!(code(&jobs, false, ExitMode::Zero), 0, "{case} zero");
            assert_eq!(
                code(&jobs, true, ExitMode::Zero),
                0,
                "{case} zero, interrupted"
            );
        }
        assert_eq!(of_run([None], false, ExitMode::Largest), 254);
    }

    #[test]
    fn of_several_the_highest_wins() {
        let ladder = [
            (job(Ok, Some(0), None), 0),
            (job(Failed, Some(3), None), 3),
            (job(Failed, Some(255), None), 251),
            (job(Cancelled, None, None), 252),
            (job(TimedOut, None, None), 253),
            (job(Lost, None, None), 254),
        ];
        for (i, (low, low_code)) in ladder.iter().enumerate() {
            for (high, high_code) in &ladder[i..] {
                for jobs in [[low.clone(), high.clone()], [high.clone(), low.clone()]] {
                    assert_eq!(code(&jobs, false, ExitMode::Largest), *high_code);
                    assert_eq!(code(&jobs, false, ExitMode::Any), u8::from(*high_code > 0));
                }
            }
            assert!(*low_code <= 254);
        }
        assert_eq!(code(&[], false, ExitMode::Largest), 0);
    }

    #[test]
    fn failures_have_codes() {
        let table = [
            (ErrorKind::Usage, 64),
            (ErrorKind::Config, 255),
            (ErrorKind::Connection, 255),
            (ErrorKind::Login, 255),
            (ErrorKind::Refused, 255),
            (ErrorKind::PlanChanged, 255),
            (ErrorKind::Declined, 255),
            (ErrorKind::Lost, 254),
            (ErrorKind::BrokenPipe, 141),
        ];
        for (kind, expected) in table {
            assert_eq!(of_error(kind), expected, "{kind:?}");
        }
    }
}
