//! Follows one run over lost connections: resumes after the last event, with back-off.

use crate::connection::{Connection, EventStream};
use crate::error::{CliError, ErrorKind, Result};
use action_proto::v1::{RunEvent, run_event::Event};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The first wait before the connection is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A stream that stayed open this long was good, even if nothing came: scripts may be quiet.
const HELD: Duration = Duration::from_millis(500);

/// What comes next of a run.
#[derive(Debug)]
pub(crate) enum FollowStep {
    /// An event; each comes once, in order.
    Event(Box<RunEvent>),
    /// The connection is lost and did not come back at once; why, and that it is being tried.
    Lost(String),
    /// The connection is back.
    Resumed(String),
}

/// The events of one run, from whichever connections it takes.
pub(crate) struct RunFollower {
    connection: Connection,
    run_id: Option<String>,
    stream: Option<EventStream>,
    last: u64,
    /// The last event to give; None for the run's own last.
    until: Option<u64>,
    ended: bool,
    timeout: Duration,
    loss: Option<ConnectionLoss>,
}

type ResumeAttempt = Pin<Box<dyn Future<Output = Result<EventStream>> + Send>>;

/// A connection that was lost, and no event has come since.
struct ConnectionLoss {
    since: Instant,
    next_try: Instant,
    wait: Duration,
    /// The attempt in progress, kept where the future of `next` is dropped.
    attempt: Option<ResumeAttempt>,
    /// Since when the connection has been back.
    back: Option<Instant>,
    /// Why it was lost, or why the last try failed.
    cause: CliError,
    is_loss_reported: bool,
    is_return_reported: bool,
}

impl ConnectionLoss {
    fn new(cause: CliError) -> Self {
        let now = Instant::now();
        Self {
            since: now,
            next_try: now + FIRST_WAIT,
            wait: FIRST_WAIT,
            attempt: None,
            back: None,
            cause,
            is_loss_reported: false,
            is_return_reported: false,
        }
    }

    /// Another loss: a new one if the stream held for a while, else the same one continues.
    fn repeat(&mut self, cause: CliError) {
        let held = |back: Instant| back.elapsed() >= HELD;
        if self.back.take().is_some_and(held) {
            let is_return_reported = self.is_return_reported;
            *self = Self::new(cause);
            self.is_return_reported = is_return_reported;
        } else {
            self.cause = cause;
        }
    }

    /// Sets the time of the next try.
    fn postpone(&mut self) {
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.next_try = Instant::now() + self.wait;
    }
}

impl RunFollower {
    /// Follows a run from `stream`, after the event `last`; reconnects for up to `timeout`.
    pub(crate) fn new(
        connection: Connection,
        run_id: Option<String>,
        stream: EventStream,
        last: u64,
        timeout: Duration,
    ) -> Self {
        let stream = Some(stream);
        Self {
            connection,
            run_id,
            stream,
            last,
            until: None,
            ended: false,
            timeout,
            loss: None,
        }
    }

    /// Ends at that event even if the run goes on.
    pub(crate) fn until(mut self, sequence: u64) -> Self {
        self.ended = self.last >= sequence;
        self.until = Some(sequence);
        self
    }

    /// Follows a run that was started before, from its first event.
    pub(crate) async fn watch(
        connection: &Connection,
        run_id: &str,
        timeout: Duration,
    ) -> Result<Self> {
        let stream = connection.watch_run(run_id, 0).await?;
        Ok(Self::new(
            connection.clone(),
            Some(run_id.to_owned()),
            stream,
            0,
            timeout,
        ))
    }

    /// The run's id, once an event or the headers have it.
    pub(crate) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// The next step; None after the run's last event. A future that is dropped loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<FollowStep>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let Some(stream) = &mut self.stream else {
                if let Some(step) = self.try_resume().await? {
                    return Ok(Some(step));
                }
                continue;
            };
            let next = match self.loss.as_ref().filter(|loss| loss.back.is_none()) {
                None => stream.next().await,
                Some(loss) => match timeout_at(loss.since + self.timeout, stream.next()).await {
                    Ok(next) => next,
                    Err(_) => return Err(self.give_up()),
                },
            };
            match next {
                Ok(Some(event)) if event.sequence <= self.last => {
                    if let Some(step) = self.note_return() {
                        return Ok(Some(step));
                    }
                }
                Ok(Some(event)) => {
                    let event = self.check_sequence(event)?;
                    return Ok(Some(FollowStep::Event(Box::new(event))));
                }
                Ok(None) => {
                    let message = "the stream ended before the run did";
                    self.on_disconnect(CliError::new(ErrorKind::Connection, message))?;
                }
                Err(error) if error.kind() == ErrorKind::Connection => self.on_disconnect(error)?,
                // The token expired. There may be another one by now, which is tried once.
                Err(error) if error.kind() == ErrorKind::Login && self.loss.is_none() => {
                    self.on_disconnect(error)?;
                }
                Err(error) => return Err(self.lost_for_good(error)),
            }
        }
    }

    /// Notes an event that came before, as each resumed stream begins with.
    fn note_return(&mut self) -> Option<FollowStep> {
        let loss = self.loss.as_mut()?;
        loss.back = Some(Instant::now());
        if std::mem::replace(&mut loss.is_return_reported, true) {
            return None;
        }
        let after = humantime::format_duration(rounded_time(loss.since.elapsed()));
        let run_id = self.run_id.as_deref().unwrap_or_default();
        let text = format!("reconnected to run {run_id} after {after}");
        Some(FollowStep::Resumed(text))
    }

    /// Checks the place in the run of an event that is new.
    fn check_sequence(&mut self, event: RunEvent) -> Result<RunEvent> {
        self.loss = None;
        if event.sequence != self.last + 1 {
            let (expected, got) = (self.last + 1, event.sequence);
            let message = format!("event {expected} of the run is missing: {got} came instead");
            return Err(self.lost_for_good(CliError::new(ErrorKind::Lost, message)));
        }
        self.last = event.sequence;
        // The id in the events is whole, even where the user gave only its beginning.
        self.run_id = Some(event.run_id.clone());
        self.ended = matches!(event.event, Some(Event::RunFinished(_)))
            || self.until.is_some_and(|until| event.sequence >= until);
        Ok(event)
    }

    fn on_disconnect(&mut self, cause: CliError) -> Result<()> {
        self.stream = None;
        if self.run_id.is_none() {
            let message = "the connection broke before the run's id was known";
            return Err(CliError::new(ErrorKind::Lost, message)
                .caused_by(cause)
                .hint("`action-client runs` lists the runs that the server knows"));
        }
        match &mut self.loss {
            Some(loss) => loss.repeat(cause),
            none => *none = Some(ConnectionLoss::new(cause)),
        }
        Ok(())
    }

    /// Waits for the time of the next try and tries. It does not matter where the future is dropped.
    ///
    /// Asks for the last event again: what is on the way may pass nothing on before something is
    /// said, not even that the call was taken, and nothing may be said for long.
    async fn try_resume(&mut self) -> Result<Option<FollowStep>> {
        let run_id = self.run_id.clone().unwrap_or_default();
        let timeout = self.timeout;
        let Some(loss) = &mut self.loss else {
            return Ok(None);
        };
        let end = loss.since + timeout;
        sleep_until(loss.next_try.min(end)).await;
        let after = self.last.saturating_sub(1);
        let needs_token = loss.cause.kind() == ErrorKind::Login;
        let attempt = loss.attempt.get_or_insert_with(|| {
            let connection = self.connection.clone();
            Box::pin(watch_again(connection, run_id.clone(), after, needs_token))
        });
        // A try may hang, as over a dead link; it may not outlive the timeout.
        let attempt = timeout_at(end, attempt).await;
        loss.attempt = None;
        match attempt {
            Ok(Ok(stream)) => {
                loss.postpone();
                self.stream = Some(stream);
                Ok(None)
            }
            Ok(Err(error)) if error.kind() != ErrorKind::Connection => {
                Err(self.lost_for_good(error))
            }
            Ok(Err(error)) => {
                loss.cause = error;
                if Instant::now() >= end {
                    return Err(self.give_up());
                }
                loss.postpone();
                if loss.is_loss_reported {
                    return Ok(None);
                }
                // A lost connection was reported, so its end is reported too.
                (loss.is_loss_reported, loss.is_return_reported) = (true, false);
                let timeout = humantime::format_duration(timeout);
                Ok(Some(FollowStep::Lost(format!(
                    "{}; trying for {timeout} to get back to run {run_id}",
                    loss.cause.one_line()
                ))))
            }
            Err(_) => Err(self.give_up()),
        }
    }

    /// The timeout is at its end.
    fn give_up(&mut self) -> CliError {
        let cause = self.loss.take().map(|loss| loss.cause);
        let message = "the connection did not come back";
        self.lost_for_good(cause.unwrap_or_else(|| CliError::new(ErrorKind::Connection, message)))
    }

    fn lost_for_good(&self, cause: CliError) -> CliError {
        let run_id = self.run_id.as_deref().unwrap_or("?");
        let hint = match cause.kind() {
            ErrorKind::Refused => {
                format!("`action-client runs` shows whether run {run_id} goes on")
            }
            ErrorKind::Login => format!(
                "the run is not ended by this; with a new token `action-client attach {run_id}` shows its output"
            ),
            _ => format!("the run goes on; `action-client attach {run_id}` shows its output"),
        };
        CliError::new(ErrorKind::Lost, format!("lost the output of run {run_id}"))
            .caused_by(cause)
            .hint(hint)
    }
}

/// Watches the run, with another token where the last one is not accepted.
async fn watch_again(
    connection: Connection,
    run_id: String,
    after: u64,
    needs_token: bool,
) -> Result<EventStream> {
    if !needs_token {
        match connection.watch_run(&run_id, after).await {
            Err(error) if error.kind() == ErrorKind::Login => {}
            watched => return watched,
        }
    }
    let renewed = connection.renew_token().await;
    match connection.watch_run(&run_id, after).await {
        // The reason why there is no other token comes first.
        Err(error) if error.kind() == ErrorKind::Login => Err(renewed.err().unwrap_or(error)),
        watched => watched,
    }
}

fn rounded_time(duration: Duration) -> Duration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match millis {
        0..1_000 => Duration::from_millis(millis),
        _ => Duration::from_secs(millis / 1_000),
    }
}
