//! Who stands at a door now, and what may pass: keys, revocations, policy and definitions as they
//! are at this moment, for each method and for streams that are open.

use std::sync::Arc;

use action_proto::v1::RunStarted;
use tokio::sync::watch;
use tonic::{Request, Status};

use super::{
    access::Access,
    refusal,
    resolved::{Resolved, log_changes},
};
use crate::{
    auth::{Authority, Caller, policy::Rules},
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
        let (rules, catalogue) = self.rules();
        Access::new(caller, rules, catalogue)
    }

    fn rules(&self) -> (Arc<Rules>, Arc<Catalogue>) {
        let catalogue = self.definitions.snapshot();
        let (rules, _) = self.resolved.rules(&self.authority.policy(), &catalogue);
        (rules, catalogue)
    }

    /// Resolves the rules whenever policy or definitions change, for as long as it is polled, and logs
    /// what is wrong with them.
    pub(super) async fn keep_resolved(self) {
        let (mut policy, mut definitions) = (self.authority.changes(), self.definitions.changes());
        let mut logged = Arc::new(Vec::new());
        loop {
            let catalogue = self.definitions.snapshot();
            let (_, faults) = self.resolved.rules(&self.authority.policy(), &catalogue);
            log_changes(&faults, &logged);
            logged = faults;
            let changed = tokio::select! {
                changed = policy.changed() => changed,
                changed = definitions.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Told whenever what decides has changed, but for the definitions.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.authority.changes()
    }

    /// Whether a stream that was opened with a token may go on: not once it is revoked.
    pub(super) fn stays_open(&self, caller: &Caller) -> bool {
        self.authority.is_good(caller)
    }

    /// The same for a stream of a run that the caller came to see.
    pub(super) fn stays_visible(&self, caller: &Caller, run: &RunStarted) -> bool {
        self.stays_open(caller) && self.access(caller).reads(run)
    }
}
