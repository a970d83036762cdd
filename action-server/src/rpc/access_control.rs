//! Who stands at a door now, and what may pass: keys, revocations, policy and definitions as they
//! are at this moment, for each method and for streams that are open.

use std::sync::Arc;

use action_proto::v1::RunStarted;
use tokio::sync::watch;
use tonic::{Request, Status};

use super::{
    access::Access,
    refusal,
    resolved::{Resolved, ResolvedPolicy, log_changes},
};
use crate::{
    auth::{Authority, Caller},
    catalogue::Catalogue,
    definitions::Definitions,
};

/// What decides. Clones share it.
#[derive(Clone)]
pub(super) struct Doors {
    authority: Arc<Authority>,
    resolved: Arc<Resolved>,
    pub(super) definitions: Definitions,
}

impl Doors {
    pub(super) fn new(authority: Arc<Authority>, definitions: Definitions) -> Doors {
        Doors {
            authority,
            resolved: Arc::default(),
            definitions,
        }
    }

    /// The caller that the guard let pass, if it would be let pass now: a call whose message was
    /// held back has passed the guard long before.
    pub(super) fn caller<'a, T>(&self, request: &'a Request<T>) -> Result<&'a Caller, Status> {
        // The guard puts it there; a call that came another way is nobody's.
        let caller = request.extensions().get::<Caller>();
        caller
            .filter(|caller| self.authority.is_current(caller))
            .ok_or_else(refusal::unauthenticated)
    }

    /// What a caller may do.
    pub(super) fn access(&self, caller: &Caller) -> Access {
        let (ResolvedPolicy { rules, sights, .. }, catalogue) = self.rules();
        Access::with(caller, rules, catalogue, &sights)
    }

    fn rules(&self) -> (ResolvedPolicy, Arc<Catalogue>) {
        let catalogue = self.definitions.snapshot();
        (
            self.resolved.current(&self.authority.policy(), &catalogue),
            catalogue,
        )
    }

    /// Resolves the rules whenever policy or definitions change, for as long as it is polled, and logs
    /// what is wrong with them.
    pub(super) async fn keep_resolved(self) {
        let mut changes = self.changes();
        let mut logged = Arc::new(Vec::new());
        loop {
            let (ResolvedPolicy { faults, .. }, _) = self.rules();
            log_changes(&faults, &logged);
            logged = faults;
            if changes.next().await.is_none() {
                return;
            }
        }
    }

    /// Told whenever what decides has changed, or may have.
    pub(super) fn changes(&self) -> Changes {
        Changes {
            authority: self.authority.changes(),
            definitions: self.definitions.changes(),
        }
    }

    /// Whether a caller that was let pass has a good token still.
    pub(super) fn is_good(&self, caller: &Caller) -> bool {
        self.authority.is_good(caller)
    }

    /// Whether a caller may still see a run.
    pub(super) fn stays_visible(&self, caller: &Caller, run: &RunStarted) -> bool {
        self.access(caller).reads(run)
    }
}

/// Notices that keys, revocations, policy or definitions were read again.
pub(super) struct Changes {
    authority: watch::Receiver<u64>,
    definitions: watch::Receiver<u64>,
}

impl Changes {
    /// Waits for the next; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<()> {
        let changed = tokio::select! {
            changed = self.authority.changed() => changed,
            changed = self.definitions.changed() => changed,
        };
        changed.ok()
    }

    /// Makes the next one come at once: for what changed before.
    pub(super) fn mark_changed(&mut self) {
        self.authority.mark_changed();
    }
}
