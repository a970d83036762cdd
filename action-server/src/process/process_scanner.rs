//! The thread that looks at processes. Reading /proc takes time that grows with the host, so no task
//! of the runtime does it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use tokio::sync::oneshot;

use super::process_view::ProcessView;

/// The most looks that share a view. Those behind them get a newer one.
const BATCH: usize = 4096;

type QueuedLook = Box<dyn FnOnce(&mut ProcessView) + Send>;

/// Asks the thread. Looks that are asked for while another goes on wait for it, and then share one
/// view, which is read after the last of them was asked for. The thread ends with the last scanner.
#[derive(Debug, Clone)]
pub(super) struct ProcessScanner {
    looks: Sender<QueuedLook>,
}

impl ProcessScanner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(super) fn start() -> io::Result<ProcessScanner> {
        let (looks, asked) = channel();
        thread::Builder::new()
            .name("processes".into())
            .spawn(move || serve_looks(&asked))?;
        Ok(ProcessScanner { looks })
    }

    /// What `look` makes of the processes as they are now. It is not run when its caller has gone.
    /// `None` when it panicked.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut ProcessView) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.look_later(move |view| {
            if !answer.is_closed() {
                _ = answer.send(look(view));
            }
        });
        answered.await.ok()
    }

    /// The same, without waiting for it.
    pub(super) fn look_later(&self, look: impl FnOnce(&mut ProcessView) + Send + 'static) {
        // The thread lives as long as this.
        _ = self.looks.send(Box::new(look));
    }
}

fn serve_looks(asked: &Receiver<QueuedLook>) {
    let mut view = ProcessView::default();
    while let Ok(first) = asked.recv() {
        let mut batch = vec![first];
        batch.extend(asked.try_iter().take(BATCH));
        view.refresh();
        for look in batch {
            if catch_unwind(AssertUnwindSafe(|| look(&mut view))).is_err() {
                tracing::error!("a look at the processes failed");
                view = ProcessView::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::RecvTimeoutError, time::Duration};

    use super::*;

    const CEILING: Duration = Duration::from_secs(60);

    /// A scanner that is busy until something is sent.
    fn busy() -> (ProcessScanner, Sender<()>) {
        let scanner = ProcessScanner::start().unwrap();
        let (release, gate) = channel::<()>();
        let (begin, begun) = channel();
        scanner.look_later(move |view| {
            view.all_processes();
            begin.send(()).unwrap();
            let released = gate.recv_timeout(CEILING);
            assert_ne!(released, Err(RecvTimeoutError::Timeout));
        });
        begun.recv_timeout(CEILING).unwrap();
        (scanner, release)
    }

    #[test]
    fn who_asks_during_a_look_waits_for_the_next_and_shares_it() {
        let (scanner, release) = busy();
        let (tell, told) = channel();
        for _ in 0..300 {
            let tell = tell.clone();
            scanner.look_later(move |view| {
                view.all_processes();
                tell.send((view.scans, thread::current().id())).unwrap();
            });
        }
        release.send(()).unwrap();
        let seen: Vec<_> = (0..300)
            .map(|_| told.recv_timeout(CEILING).unwrap())
            .collect();
        // One more scan for all of them, by the one thread that there is.
        assert!(seen.iter().all(|at| *at == (2, seen[0].1)), "{seen:?}");
    }

    #[tokio::test]
    async fn a_look_that_nobody_waits_for_is_left_out_and_one_that_fails_harms_no_other() {
        let (scanner, release) = busy();
        let (tell, told) = channel();
        let mut dropped = Box::pin(scanner.look(move |_| tell.send(())));
        assert!(futures_util::poll!(&mut dropped).is_pending());
        drop(dropped);
        release.send(()).unwrap();
        assert_eq!(
            scanner.look(|_| panic!("as a fault of ours")).await,
            None::<()>
        );
        assert_eq!(
            scanner.look(|view| view.all_processes().len() > 1).await,
            Some(true)
        );
        assert!(told.recv().is_err());
    }
}
