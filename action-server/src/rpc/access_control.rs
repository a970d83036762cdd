//! Access control with the current keys, revocations, policy and definitions, for each method and for
//! open streams.

use std::sync::Arc;

use action_proto::v1::RunStarted;
use tokio::sync::watch;
use tonic::{Request, Status};

use super::{
    access::CallerAccess,
    auth_failure,
    resolved::{ResolvedCache, ResolvedPolicy, log_changes},
};
use crate::{
    auth::{Authority, Caller},
    catalogue::Catalogue,
    definitions::Definitions,
};

/// Decides about callers. Clones share it.
#[derive(Clone)]
pub(super) struct AccessControl {
    authority: Arc<Authority>,
    resolved: Arc<ResolvedCache>,
    pub(super) definitions: Definitions,
}

impl AccessControl {
    pub(super) fn new(authority: Arc<Authority>, definitions: Definitions) -> AccessControl {
        AccessControl {
            authority,
            resolved: Arc::default(),
            definitions,
        }
    }

    /// The authenticated caller, if its token is still valid: a call whose message was held back was
    /// authenticated long before.
    pub(super) fn caller<'a, T>(&self, request: &'a Request<T>) -> Result<&'a Caller, Status> {
        // Authentication puts it there.
        let caller = request.extensions().get::<Caller>();
        caller
            .filter(|caller| self.authority.is_current(caller))
            .ok_or_else(auth_failure::unauthenticated)
    }

    /// The access of a caller.
    pub(super) fn access_of(&self, caller: &Caller) -> CallerAccess {
        let (ResolvedPolicy { rules, sights, .. }, catalogue) = self.current_rules();
        CallerAccess::with(caller, rules, catalogue, &sights)
    }

    fn current_rules(&self) -> (ResolvedPolicy, Arc<Catalogue>) {
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
            let (ResolvedPolicy { faults, .. }, _) = self.current_rules();
            log_changes(&faults, &logged);
            logged = faults;
            if changes.next().await.is_none() {
                return;
            }
        }
    }

    /// Notices of changes of keys, revocations, policy or definitions.
    pub(super) fn changes(&self) -> AccessChanges {
        AccessChanges {
            authority: self.authority.changes(),
            definitions: self.definitions.changes(),
        }
    }

    /// True while the token of an authenticated caller is not revoked.
    pub(super) fn is_good(&self, caller: &Caller) -> bool {
        self.authority.is_good(caller)
    }

    /// True while a caller may see a run.
    pub(super) fn stays_visible(&self, caller: &Caller, run: &RunStarted) -> bool {
        self.access_of(caller).may_read(run)
    }
}

/// Notices that keys, revocations, policy or definitions were read again.
pub(super) struct AccessChanges {
    authority: watch::Receiver<u64>,
    definitions: watch::Receiver<u64>,
}

impl AccessChanges {
    /// Waits for the next; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<()> {
        let changed = tokio::select! {
            changed = self.authority.changed() => changed,
            changed = self.definitions.changed() => changed,
        };
        changed.ok()
    }

    /// Makes the next one come at once, for earlier changes.
    pub(super) fn mark_changed(&mut self) {
        self.authority.mark_changed();
    }
}
