//! The loop of the verbs that follow a run: events, output, and Ctrl-C.

use crate::commands::Context;
use crate::error::{CliError, Result};
use crate::exit::ExitMode;
use crate::follow::{FollowStep, RunFollower};
use crate::interrupt::{InterruptNotice, InterruptWatch, OnSignal};
use crate::render::output::{OutputWriter, StdStream};
use crate::render::progress::Progress;
use crate::render::report;
use crate::render::tally::Tally;
use crate::render::{Renderer, ViewOptions};
use crate::stop_signals::StopSignal;
use std::future::{pending, ready};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior};

/// What the loop woke up for.
enum WakeReason {
    Notice(InterruptNotice),
    Step(Result<Option<FollowStep>>),
    /// Nothing more has come yet: a good moment to let the user see what there is.
    Idle,
    /// The line of progress is due again.
    Tick,
}

/// How often the line of progress is updated.
const TICK: Duration = Duration::from_millis(250);

/// How long it stays away at most while output comes in bursts.
const BREAK: Duration = Duration::from_millis(50);

/// The line of progress below the output: when it is due, and what it says.
struct ProgressLine {
    progress: Progress,
    ticks: Interval,
    resizes: Signal,
    shown: Instant,
}

impl ProgressLine {
    fn new() -> std::io::Result<Self> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            progress: Progress::new(Instant::now()),
            ticks,
            resizes: signal(SignalKind::window_change())?,
            shown: Instant::now(),
        })
    }

    async fn is_due(line: &mut Option<Self>) {
        match line {
            Some(line) => tokio::select! {
                _ = line.ticks.tick() => {}
                _ = line.resizes.recv() => {}
            },
            None => pending().await,
        }
    }

    /// Whether output has stood in its place for a while.
    fn was_hidden(&self) -> bool {
        self.shown.elapsed() >= BREAK
    }

    fn show(&mut self, output: &mut OutputWriter) -> Result<()> {
        self.shown = Instant::now();
        match self.progress.status_text(Instant::now(), output.columns()) {
            Some(text) => output.show_status(&text),
            None => output.erase_status(),
        }
    }
}

/// Shows a run that a stop signal leaves alone: the exit code.
pub(super) async fn watch_run(
    mut follow: RunFollower,
    view: &ViewOptions,
    default: ExitMode,
    context: &mut Context<'_>,
) -> Result<u8> {
    let mut interrupt = InterruptWatch::watch(OnSignal::Leave)?;
    let format = context.globals.output;
    let mut renderer = Renderer::new(format, view, false, context.output)?;
    let mode = context.globals.exit.unwrap_or(default);
    follow_run(&mut follow, &mut renderer, &mut interrupt, mode, context).await
}

/// Shows a run to its end: the exit code.
pub(crate) async fn follow_run(
    follow: &mut RunFollower,
    renderer: &mut Renderer,
    interrupt: &mut InterruptWatch,
    mode: ExitMode,
    context: &mut Context<'_>,
) -> Result<u8> {
    let mut tally = Tally::default();
    let mut unflushed = true;
    // Without a watch over the terminal's size there is no such line.
    let mut line = if renderer.may_show_progress(context.output) {
        ProgressLine::new().ok()
    } else {
        None
    };
    loop {
        if let Some(run_id) = follow.run_id() {
            interrupt.set_run(run_id);
        }
        // A flush when nothing is waiting shows a first line at once and keeps a million of them cheap.
        let wake = tokio::select! {
            biased;
            notice = interrupt.next_notice() => WakeReason::Notice(notice),
            () = ProgressLine::is_due(&mut line) => WakeReason::Tick,
            step = follow.next() => WakeReason::Step(step),
            () = ready(()), if unflushed => WakeReason::Idle,
        };
        match wake {
            WakeReason::Idle => {
                context.output.flush()?;
                unflushed = false;
                if let Some(line) = line.as_mut().filter(|line| line.was_hidden()) {
                    line.show(context.output)?;
                }
            }
            WakeReason::Tick => {
                if let Some(line) = &mut line {
                    line.show(context.output)?;
                }
            }
            WakeReason::Notice(InterruptNotice::Leaving(kind)) => {
                print_leaving(follow, &tally, context.output)?;
                return Ok(kind.exit_code());
            }
            WakeReason::Notice(notice) => {
                print_notice(notice, follow.run_id(), context.output)?;
                unflushed = true;
            }
            WakeReason::Step(Ok(Some(FollowStep::Event(event)))) => {
                tally.take_event(&event);
                if let Some(line) = &mut line {
                    line.progress.take_event(&event, Instant::now());
                }
                renderer.render_event(&event, context.output)?;
                unflushed = true;
            }
            WakeReason::Step(Ok(Some(step))) => {
                print_step(&step, context.output)?;
                unflushed = true;
            }
            WakeReason::Step(Ok(None)) => {
                renderer.render_end(&tally, context.output)?;
                return Ok(exit_code(&tally, interrupt, mode));
            }
            WakeReason::Step(Err(error)) => {
                tally.break_off();
                return Err(broken_off(renderer, &tally, error, context));
            }
        }
    }
}

fn print_leaving(follow: &RunFollower, tally: &Tally, output: &mut OutputWriter) -> Result<()> {
    match follow.run_id().filter(|_| !tally.is_ended()) {
        Some(run_id) => output.line(StdStream::Stderr, &format!("left run {run_id}; it goes on")),
        None => Ok(()),
    }
}

fn print_step(step: &FollowStep, output: &mut OutputWriter) -> Result<()> {
    match step {
        FollowStep::Event(_) => Ok(()),
        FollowStep::Lost(cause) => report::print_warning(cause, output),
        FollowStep::Resumed(text) => output.line(StdStream::Stderr, text),
    }
}

fn exit_code(tally: &Tally, interrupt: &InterruptWatch, mode: ExitMode) -> u8 {
    match interrupt.cancelling() {
        Some(StopSignal::Terminate) => StopSignal::Terminate.exit_code(),
        signal => tally.exit_code(signal.is_some(), mode),
    }
}

/// Prints the state of a run whose output broke off: the error.
fn broken_off(
    renderer: &mut Renderer,
    tally: &Tally,
    error: CliError,
    context: &mut Context<'_>,
) -> CliError {
    match renderer.render_end(tally, context.output) {
        Ok(()) => error,
        Err(worse) => worse,
    }
}

/// Prints what a Ctrl-C does.
pub(super) fn print_notice(
    notice: InterruptNotice,
    run_id: Option<&str>,
    output: &mut OutputWriter,
) -> Result<()> {
    let run = run_id.map_or_else(|| "the run".to_owned(), |run_id| format!("run {run_id}"));
    match notice {
        InterruptNotice::Cancelling(kind) => {
            let how = match kind {
                StopSignal::Interrupt => "press Ctrl-C again to leave at once",
                StopSignal::Terminate => "this client ends in 2 s at the latest",
            };
            output.line(StdStream::Stderr, &format!("cancelling {run}; {how}"))
        }
        InterruptNotice::Failed(why) => {
            report::print_warning(&format!("cannot cancel {run}: {why}"), output)
        }
        InterruptNotice::Leaving(_) => Ok(()),
    }
}
