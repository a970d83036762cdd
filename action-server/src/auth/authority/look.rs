//! Looking at the files of keys, revocations and policy: what is read again, and what is kept.

use std::sync::Arc;

use super::{AuthChange, AuthState, Authority};
use crate::{
    auth::{RevocationReceipt, revocation::RevocationList},
    file_digest::Sha256,
    transient::{ReadSchedule, is_caused_by_transient, transient},
};

/// At how many looks one after the other a change of the keys may wait.
const MOST_KEY_CHANGES: u32 = 2;

impl Authority {
    /// Reads what is due, and returns what changed.
    pub(super) fn read_changes(&self, schedules: &mut FileSchedules) -> Vec<AuthChange> {
        // Before reading: an edit in between is another stamp.
        let [keys, revocations, policy] = self.sources.fingerprints();
        // A policy that is being written may lack its last rules.
        let rests = std::mem::replace(&mut schedules.found_policy, policy) == policy;
        let keys_rest = schedules.keys_rest(keys);
        let are_due = [
            keys_rest && schedules.keys.is_due(keys),
            schedules.revocations.is_due(revocations),
            rests && schedules.policy.is_due(policy),
        ];
        if are_due == [false; 3] {
            return Vec::new();
        }
        let state = self.state.load();
        let mut next = AuthState {
            keys: state.keys.clone(),
            revocations: state.revocations.clone(),
            policy: Arc::clone(&state.policy),
        };
        let mut changes = Vec::new();
        if are_due[1] {
            let schedule = &mut schedules.revocations;
            changes.extend(self.look_at_revocations(schedule, revocations, &mut next));
        }
        if are_due[0] {
            changes.extend(self.look_at_keys(&mut schedules.keys, keys, &mut next));
        }
        if are_due[2] {
            changes.extend(self.look_at_policy(&mut schedules.policy, policy, &mut next));
        }
        self.state.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
        changes
    }

    /// Says which revocations are in use, once for each.
    pub(super) fn write_receipt(
        &self,
        acknowledgement: &RevocationReceipt,
        schedules: &mut FileSchedules,
    ) {
        let state = self.state.load();
        let digest = state
            .revocations
            .as_ref()
            .map(|revocations| revocations.digest);
        if let Some(digest) = digest.filter(|_| digest != schedules.acknowledged) {
            // What fails is tried at the next look; until then `revoke` says that it waits.
            let written = acknowledgement.write_digest(&digest);
            schedules.acknowledged = written.is_ok().then_some(digest);
        }
    }

    fn look_at_revocations(
        &self,
        schedule: &mut ReadSchedule,
        stamp: u64,
        next: &mut AuthState,
    ) -> Option<AuthChange> {
        let read = RevocationList::read(&self.sources.revocations, self.sources.trust);
        let error = read.as_ref().err();
        let transient = error.and_then(transient);
        let is_news = schedule.record(stamp, transient);
        let mut change = AuthChange::new("revocations", error, transient.is_some());
        if let (Ok(new), Some(old)) = (&read, &next.revocations) {
            change.revoked = new.since(old);
        }
        if !change.is_transient {
            next.revocations = read.ok();
        }
        is_news.then_some(change)
    }

    fn look_at_keys(
        &self,
        schedule: &mut ReadSchedule,
        stamp: u64,
        next: &mut AuthState,
    ) -> Option<AuthChange> {
        let (keys, faults) = self.sources.load_keys(Some(&next.keys));
        next.keys = keys;
        let transient = faults.iter().find(|fault| is_caused_by_transient(*fault));
        let is_news = schedule.record(stamp, transient);
        is_news.then(|| AuthChange::new("keys", &faults, transient.is_some()))
    }

    fn look_at_policy(
        &self,
        schedule: &mut ReadSchedule,
        stamp: u64,
        next: &mut AuthState,
    ) -> Option<AuthChange> {
        let read = self.sources.read_policy();
        let error = read.as_ref().err();
        let transient = error.and_then(transient);
        let is_news = schedule.record(stamp, transient);
        let change = AuthChange::new("policy", error, transient.is_some());
        if let Ok(policy) = read {
            next.policy = Arc::new(policy);
        }
        is_news.then_some(change)
    }
}

impl AuthChange {
    fn new<E: ToString>(
        what: &'static str,
        faults: impl IntoIterator<Item = E>,
        is_transient: bool,
    ) -> AuthChange {
        AuthChange {
            what,
            faults: faults.into_iter().map(|fault| fault.to_string()).collect(),
            is_transient,
            revoked: Vec::new(),
        }
    }
}

/// When each of the files is read again.
#[derive(Debug, Clone)]
pub(super) struct FileSchedules {
    keys: ReadSchedule,
    revocations: ReadSchedule,
    policy: ReadSchedule,
    /// The policy's fingerprint at the last look.
    found_policy: u64,
    /// The keys' fingerprint at the last look.
    found_keys: u64,
    /// At how many looks one after the other the keys have changed.
    key_changes: u32,
    /// The digest of the revocations that were acknowledged last.
    acknowledged: Option<Sha256>,
}

impl FileSchedules {
    pub(super) fn new([keys, revocations, policy]: [u64; 3]) -> FileSchedules {
        FileSchedules {
            keys: ReadSchedule::new("keys", keys),
            revocations: ReadSchedule::new("revocations", revocations),
            policy: ReadSchedule::new("policy", policy),
            found_policy: policy,
            found_keys: keys,
            key_changes: 0,
            acknowledged: None,
        }
    }

    /// False while a key, or its end, may be being written: it may be empty. Not for long: a key that
    /// is taken away ends, whatever else changes in the directory.
    fn keys_rest(&mut self, keys: u64) -> bool {
        let has_changed = std::mem::replace(&mut self.found_keys, keys) != keys;
        self.key_changes = if has_changed && self.key_changes < MOST_KEY_CHANGES {
            self.key_changes + 1
        } else {
            0
        };
        self.key_changes == 0
    }
}
