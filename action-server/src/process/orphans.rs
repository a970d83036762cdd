//! What an earlier server left behind: found by the marker anywhere on the host, and ended.

use std::{
    collections::{HashMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    proc::{ProcState, ProcessId, own_ancestors},
    process_signal::signal_process,
    process_view::ProcessView,
};

/// How long each of them has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long all of it may take: those that orphans start while they have their grace have theirs.
const LIMIT: Duration = Duration::from_secs(6);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the processes anywhere that carry the id of one of these runs: TERM first, and KILL after
/// two seconds. Returns how many.
pub async fn end_orphans(run_ids: &[&str]) -> u32 {
    let run_ids: HashSet<String> = run_ids.iter().map(|&id| id.to_owned()).collect();
    let ended = tokio::task::spawn_blocking(move || end_all(&run_ids)).await;
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot look for the scripts of the last server");
        0
    })
}

fn end_all(run_ids: &HashSet<String>) -> u32 {
    let mut view = ProcessView::default();
    let mut asked: HashMap<ProcessId, Instant> = HashMap::new();
    let mut first: Option<Instant> = None;
    loop {
        let orphans = find_orphans(&mut view, run_ids);
        for id in &orphans {
            let since = asked.get(id).map(Instant::elapsed);
            let wanted = match since {
                None => Signal::TERM,
                Some(since) if since > GRACE => Signal::KILL,
                Some(_) => continue,
            };
            // A stopped process must be woken to take it.
            _ = signal_process(*id, wanted) && signal_process(*id, Signal::CONT);
            asked.entry(*id).or_insert_with(Instant::now);
        }
        if !orphans.is_empty() {
            first.get_or_insert_with(Instant::now);
        }
        let is_over = first.is_some_and(|first| first.elapsed() > LIMIT);
        if orphans.is_empty() || is_over {
            return u32::try_from(asked.len()).unwrap_or(u32::MAX);
        }
        thread::sleep(PAUSE);
    }
}

/// The living processes that carry the id of one of these runs.
fn find_orphans(view: &mut ProcessView, run_ids: &HashSet<String>) -> Vec<ProcessId> {
    view.refresh();
    // A server that was started by a script carries a marker itself.
    let own = own_ancestors();
    let mut found = Vec::new();
    for (pid, status) in view.all_processes() {
        if own.contains(&pid) || status.state == ProcState::Zombie || status.is_kernel_thread {
            continue;
        }
        let marks = view.env_marks(pid, &status);
        if marks.run_ids().any(|id| run_ids.contains(id)) {
            let start = status.start;
            found.push(ProcessId { pid, start });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn those_of_lost_runs_are_found_and_no_others() {
        let run_ids = HashSet::from(["lost-1".to_owned(), "lost-2".to_owned()]);
        let start = |run_id| {
            let mut command = Command::new("sleep");
            command.arg("1000").env("run_id", run_id).spawn().unwrap()
        };
        let mut children = ["lost-1", "lost-10", "lost-2", "other"].map(start);
        let mut view = ProcessView::default();
        let found = find_orphans(&mut view, &run_ids);
        let is_found = children.each_ref().map(|child| {
            let pid = i32::try_from(child.id()).unwrap();
            found.iter().any(|id| id.pid == pid)
        });
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(is_found, [true, false, true, false]);
        assert_eq!(found.len(), 2);
        assert!(find_orphans(&mut view, &run_ids).is_empty());
    }
}
