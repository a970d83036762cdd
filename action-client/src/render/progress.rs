//! The line of progress: how many jobs are where, and which take longest. Pure.

use action_proto::v1::{Outcome, RunEvent, run_event::Event};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Runs that end sooner show none.
const SILENCE: Duration = Duration::from_secs(1);
const SLOWEST: usize = 3;

pub(crate) struct Progress {
    /// When this client began to watch.
    begun: Instant,
    jobs: usize,
    done: usize,
    not_ok: usize,
    /// When each job that runs was started, in seconds by the server's clock.
    running: HashMap<String, f64>,
    /// The time of the last event by the server's clock, and when it came.
    latest: Option<(f64, Instant)>,
}

impl Progress {
    /// The progress of a run that is watched from now on.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            jobs: 0,
            done: 0,
            not_ok: 0,
            running: HashMap::new(),
            latest: None,
        }
    }

    pub(crate) fn take_event(&mut self, event: &RunEvent, now: Instant) {
        let time = event.time.as_ref().map(epoch_seconds);
        if let Some(time) = time {
            self.latest = Some((time, now));
        }
        match &event.event {
            Some(Event::RunStarted(started)) => self.jobs = started.nodes.len().max(1),
            Some(Event::NodeStarted(started)) => {
                self.running
                    .insert(started.node.clone(), time.unwrap_or_default());
            }
            Some(Event::NodeFinished(finished)) => {
                self.running.remove(&finished.node);
                self.done += 1;
                self.not_ok += usize::from(finished.outcome() != Outcome::Ok);
            }
            Some(Event::NodeOutput(_) | Event::RunFinished(_)) | None => {}
        }
    }

    /// The line for a terminal that wide; None while there is nothing worth a line.
    pub(crate) fn status_text(&self, now: Instant, columns: usize) -> Option<String> {
        let watched = now.saturating_duration_since(self.begun);
        if self.jobs == 0 || self.done >= self.jobs || watched < SILENCE {
            return None;
        }
        let running = self.running.len();
        let waiting = self.jobs.saturating_sub(self.done + running);
        let mut line = format!("{} of {} done", self.done, self.jobs);
        for (count, what) in [
            (self.not_ok, "not ok"),
            (running, "running"),
            (waiting, "waiting"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        // The last column stays free: some terminals wrap when it is filled.
        let room = columns.saturating_sub(1);
        for (place, (node, since)) in self.slowest_nodes(now).into_iter().enumerate() {
            let between = if place == 0 { "; slowest " } else { ", " };
            let part = format!("{between}{node} {}", rounded_time(since));
            if line.chars().count() + part.chars().count() > room {
                break;
            }
            line.push_str(&part);
        }
        Some(line.chars().take(room).collect())
    }

    /// The jobs that have run longest, and for how many seconds.
    fn slowest_nodes(&self, now: Instant) -> Vec<(&str, f64)> {
        let Some((time, came)) = self.latest else {
            return Vec::new();
        };
        let time = time + now.saturating_duration_since(came).as_secs_f64();
        let named = self.running.iter().filter(|(node, _)| !node.is_empty());
        let mut all: Vec<_> = named
            .map(|(node, start)| (node.as_str(), time - start))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(SLOWEST);
        all
    }
}

fn epoch_seconds(time: &prost_types::Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age fit")]
    let seconds = time.seconds as f64;
    seconds + f64::from(time.nanos) / 1e9
}

fn rounded_time(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    humantime::format_duration(Duration::from_secs(seconds))
        .to_string()
        .replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use action_proto::v1::{NodeFinished, NodeStarted, RunStarted};

    fn progress(begun: Instant) -> Progress {
        let mut progress = Progress::new(begun);
        let at = |second, event| RunEvent {
            time: Some(prost_types::Timestamp {
                seconds: second,
                nanos: 0,
            }),
            event: Some(event),
            ..RunEvent::default()
        };
        let nodes: Vec<String> = (1..=9).map(|number| format!("n{number}")).collect();
        let began = |node: &String| {
            let node = node.clone();
            Event::NodeStarted(NodeStarted {
                node,
                ..NodeStarted::default()
            })
        };
        let ended = |node: &str, outcome: Outcome| {
            let (node, outcome) = (node.to_owned(), outcome.into());
            Event::NodeFinished(NodeFinished {
                node,
                outcome,
                ..NodeFinished::default()
            })
        };
        let all = RunStarted {
            nodes: nodes.clone(),
            ..RunStarted::default()
        };
        let mut events = vec![at(100, Event::RunStarted(all))];
        events.extend(
            (0..6).map(|place| at(100 + place, began(&nodes[usize::try_from(place).unwrap()]))),
        );
        events.push(at(106, ended("n1", Outcome::Ok)));
        events.push(at(107, ended("n2", Outcome::Failed)));
        for event in &events {
            progress.take_event(event, begun);
        }
        progress
    }

    #[test]
    fn the_line_says_how_many_are_where_and_which_are_slowest() {
        let begun = Instant::now();
        let progress = progress(begun);
        assert_eq!(progress.status_text(begun, 200), None, "not at once");
        let later = begun + Duration::from_secs(60);
        let counts = "2 of 9 done, 1 not ok, 4 running, 3 waiting";
        let slowest = "; slowest n3 1m5s, n4 1m4s, n5 1m3s";
        assert_eq!(
            progress.status_text(later, 200),
            Some(format!("{counts}{slowest}"))
        );
        assert_eq!(
            progress.status_text(later, 70),
            Some(format!("{counts}; slowest n3 1m5s, n4 1m4s"))
        );
        assert_eq!(
            progress.status_text(later, 11).as_deref(),
            Some("2 of 9 don")
        );
        assert_eq!(progress.status_text(later, 0).as_deref(), Some(""));
    }

    #[test]
    fn nothing_is_said_before_the_start_and_after_the_end() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(60);
        assert_eq!(Progress::new(begun).status_text(later, 80), None);
        let mut progress = progress(begun);
        progress.done = 9;
        assert_eq!(progress.status_text(later, 80), None);
    }
}
