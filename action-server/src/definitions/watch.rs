//! EditNotices edits of the definitions and reloads.
//!
//! The kernel's notices only say when to look. What is loaded follows from the
//! files alone, and a look every [`RESCAN`] catches what no notice announced: a network file
//! system, an overflow, a directory that was replaced.

use std::{io, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time,
};

use super::{DefinitionSources, Definitions, fingerprint::stamp, notices::EditNotices};
use crate::{
    audit::{Audit, Event},
    disk_lane::LANES,
    metrics::Metrics,
    transient::{RETRY_INTERVAL, ReadSchedule},
    yaml::Fault,
};

/// How long to wait for an edit to be complete: an editor or a package writes several files.
const SETTLE: Duration = Duration::from_millis(100);
const RESCAN: Duration = Duration::from_secs(30);

/// Keeps the definitions current until it is dropped.
pub struct DefinitionWatch {
    task: JoinHandle<()>,
    requests: mpsc::Sender<oneshot::Sender<()>>,
}

impl Drop for DefinitionWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl DefinitionWatch {
    pub(super) fn start(
        definitions: Definitions,
        sources: DefinitionSources,
        audit: Audit,
        metrics: Metrics,
    ) -> DefinitionWatch {
        let (requests, requested) = mpsc::channel(1);
        let looking = WatchTask {
            schedule: ReadSchedule::new("definitions", definitions.stamp),
            reported: definitions.first_faults.to_vec(),
            definitions,
            sources,
            audit,
            metrics,
        };
        let task = tokio::spawn(looking.run(requested));
        DefinitionWatch { task, requests }
    }

    /// Looks now, whether or not an edit was noticed, and returns when what was found is in use.
    pub async fn look(&self) {
        let (done, is_done) = oneshot::channel();
        if self.requests.send(done).await.is_ok() {
            _ = is_done.await;
        }
    }
}

/// What the task has.
struct WatchTask {
    definitions: Definitions,
    sources: DefinitionSources,
    audit: Audit,
    metrics: Metrics,
    schedule: ReadSchedule,
    /// The faults that were logged and are not mended.
    reported: Vec<Fault>,
}

impl WatchTask {
    async fn run(mut self, mut requested: mpsc::Receiver<oneshot::Sender<()>>) {
        let stamp = self.definitions.stamp;
        if let Some(fault) = self.reported.iter().find(|fault| fault.is_transient) {
            self.schedule.record(stamp, Some(fault));
        }
        let mut notices = observe_edits(&self.sources).await;
        log_notices(true, &notices);
        let mut was_told = false;
        let mut asked = None;
        // An edit between the first load and the first notice must not be missed: look once at once.
        loop {
            let stamp = stamp_of(&self.sources).await;
            if self.schedule.is_due(stamp) || was_told {
                self.reload(stamp).await;
            } else if !self.definitions.is_kept() {
                self.keep().await;
            }
            if let Some(asked) = asked.take() {
                // The caller may be gone.
                _ = oneshot::Sender::send(asked, ());
            }
            // Without notices only looking is left.
            let usual = if notices.is_ok() {
                RESCAN
            } else {
                RETRY_INTERVAL
            };
            was_told = tokio::select! {
                () = next_edit(&mut notices) => {
                    settle_edits(&mut notices).await;
                    // Two writes within a tick of the clock leave one stamp: a notice is always heard.
                    true
                }
                Some(request) = requested.recv() => {
                    asked = Some(request);
                    true
                }
                () = time::sleep(self.schedule.pause(usual)) => false,
            };
            // A rename replaced the directory: observe the new one.
            let had_notices = notices.is_ok();
            drop(notices);
            notices = observe_edits(&self.sources).await;
            log_notices(had_notices, &notices);
        }
    }

    /// Tries once more to keep the nodes in use. That it failed is reported by the reload.
    async fn keep(&self) {
        if self.definitions.keep(&self.sources).await.is_ok() {
            tracing::info!("the accepted nodes are kept again");
        }
    }

    async fn reload(&mut self, stamp: u64) {
        let (definitions, sources) = (self.definitions.clone(), self.sources.clone());
        let loaded = LANES
            .definitions
            .run(move || definitions.reload(&sources))
            .await;
        if let Ok(faults) = loaded {
            let transient = faults.iter().find(|fault| fault.is_transient);
            let is_news = self.schedule.record(stamp, transient);
            if !report_faults(&faults, &mut self.reported) && !is_news {
                return;
            }
            // A log that fails has said so. What is loaded stays.
            let errors = faults.iter().filter(|fault| fault.is_error());
            let errors: Vec<_> = errors.map(ToString::to_string).collect();
            self.metrics.definitions_read(errors.len());
            _ = self
                .audit
                .write(Event::reloaded("definitions", errors))
                .await;
        }
    }
}

async fn stamp_of(sources: &DefinitionSources) -> u64 {
    let sources = sources.clone();
    let stamp = LANES.definitions.run(move || stamp(&sources)).await;
    stamp.unwrap_or_default()
}

/// Asks the kernel for notices, which looks at each directory.
async fn observe_edits(sources: &DefinitionSources) -> io::Result<EditNotices> {
    let sources = sources.clone();
    let observed = LANES
        .definitions
        .run(move || EditNotices::observe(&sources));
    observed.await?
}

/// Returns when an edit was noticed; not where there are no notices. Cancel safe.
async fn next_edit(notices: &mut io::Result<EditNotices>) {
    match notices {
        Ok(notices) => notices.next_edit().await,
        Err(_) => std::future::pending().await,
    }
}

async fn settle_edits(notices: &mut io::Result<EditNotices>) {
    // A steady stream of edits must not put the reload off for ever.
    let limit = time::Instant::now() + 10 * SETTLE;
    while time::Instant::now() < limit && time::timeout(SETTLE, next_edit(notices)).await.is_ok() {}
}

/// Logs that there are no notices any more, or that there are some again.
fn log_notices(had_notices: bool, notices: &io::Result<EditNotices>) {
    match notices {
        Err(error) if had_notices => {
            tracing::warn!(%error, "no notices of edits; looking every second instead");
        }
        Ok(_) if !had_notices => tracing::info!("there are notices of edits again"),
        _ => {}
    }
}

/// Logs the faults that are new and those that are gone, but for transient ones, which come and go
/// with each attempt. Returns whether there were any.
fn report_faults(faults: &[Fault], reported: &mut Vec<Fault>) -> bool {
    let mut is_any = false;
    let new = faults.iter().filter(|fault| !fault.is_transient);
    for fault in new.filter(|fault| !reported.contains(fault)) {
        log_fault(fault);
        is_any = true;
    }
    if faults.iter().any(|fault| fault.is_transient) {
        // What could not be read now is not known to be mended.
        let kept = reported.iter().filter(|fault| !faults.contains(fault));
        let kept: Vec<Fault> = kept.cloned().collect();
        *reported = [faults, &kept].concat();
        reported.retain(|fault| !fault.is_transient);
        return is_any;
    }
    // While a file is not used as a whole, the faults in it are not known to be mended.
    let is_hidden = |fault: &Fault| {
        let mut errors = faults.iter().filter(|fault| fault.is_error());
        errors.any(|error| error.line <= 1 && error.file == fault.file)
    };
    let gone = reported.iter().filter(|fault| !faults.contains(fault));
    for fault in gone.filter(|fault| !is_hidden(fault) && !fault.is_transient) {
        tracing::info!("mended: {fault}");
        is_any = true;
    }
    *reported = faults.to_vec();
    is_any
}

/// Logs one fault as `file:line: reason`.
pub(crate) fn log_fault(fault: &Fault) {
    if fault.is_error() {
        tracing::error!("{fault}");
    } else {
        tracing::warn!("{fault}");
    }
}
