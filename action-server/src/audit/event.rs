//! The events of the audit log. `docs/audit-log.md` has the table for admins.
#![expect(missing_docs, reason = "the table explains the keys of each event")]

use std::collections::BTreeMap;

use action_proto::v1::Outcome;
use serde::{Deserialize, Serialize};

use super::cut_text::{AuditedArguments, AuditedNodes, shortened};

/// The most faults of a line; the rest is in the server's log.
const FAULTS: usize = 20;

/// The caller, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditedCaller {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl AuditedCaller {
    /// The same without its address: events after the call do not come from there.
    #[must_use]
    pub fn without_address(&self) -> AuditedCaller {
        AuditedCaller {
            address: None,
            ..self.clone()
        }
    }
}

/// One event, as its line has it: the variant is the key `event`, and its fields are keys of the same
/// names in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    ServerStarted {
        version: &'static str,
    },
    ServerStopping,
    AuditResumed {
        lost: u64,
    },
    AuditIncomplete {
        reason: &'static str,
    },
    TakenOver {
        reason: &'static str,
        what: String,
    },
    Reloaded {
        outcome: &'static str,
        what: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        faults: Vec<String>,
    },
    Revoked {
        what: String,
    },
    TokenRefused {
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        method: String,
        reason: String,
    },
    /// Calls of one address that have no line of their own.
    #[serde(rename = "token_refused")]
    TokensRefused {
        address: String,
        repeated: u64,
    },
    Denied(Box<DeniedCall>),
    RunAccepted(Box<AcceptedRun>),
    RunCancelled {
        run_id: String,
        #[serde(flatten)]
        caller: AuditedCaller,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    RunFinished(Box<FinishedRun>),
    RecordDamaged {
        run_id: String,
        outcome: &'static str,
        reason: String,
    },
}

/// A call that was denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeniedCall {
    #[serde(flatten)]
    pub caller: AuditedCaller,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// As requested, not folded.
    #[serde(flatten)]
    pub nodes: Option<AuditedNodes>,
    #[serde(flatten)]
    pub arguments: Option<AuditedArguments>,
    /// The rules that denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The text that the caller received.
    pub reason: String,
}

/// A run that was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AcceptedRun {
    pub run_id: String,
    #[serde(flatten)]
    pub caller: AuditedCaller,
    pub command: String,
    #[serde(flatten)]
    pub nodes: Option<AuditedNodes>,
    #[serde(flatten)]
    pub arguments: AuditedArguments,
    /// Each script with the SHA-256 of its content.
    pub scripts: BTreeMap<String, String>,
    /// The digest of the plan that the run is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The rules that allow it.
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A run that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FinishedRun {
    pub run_id: String,
    #[serde(flatten)]
    pub caller: AuditedCaller,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(flatten)]
    pub nodes: Option<AuditedNodes>,
    /// The label of the run's outcome.
    pub outcome: &'static str,
    /// How many jobs ended with each outcome, by label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, u32>>,
    /// Why, unless its jobs ended by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Event {
    /// A call without a valid token, all of it cut.
    pub(crate) fn token_refused(address: Option<String>, method: String, reason: String) -> Event {
        Event::TokenRefused {
            address,
            method: shortened(method),
            reason: shortened(reason),
        }
    }

    /// Files were read again, with the faults that they have now.
    pub(crate) fn reloaded(what: &'static str, mut faults: Vec<String>) -> Event {
        faults.truncate(FAULTS);
        let outcome = if faults.is_empty() { "ok" } else { "failed" };
        Event::Reloaded {
            outcome,
            what,
            faults,
        }
    }
}

impl From<AcceptedRun> for Event {
    fn from(run: AcceptedRun) -> Event {
        Event::RunAccepted(Box::new(run))
    }
}

impl From<FinishedRun> for Event {
    fn from(run: FinishedRun) -> Event {
        Event::RunFinished(Box::new(run))
    }
}

impl FinishedRun {
    /// The end of a run that was accepted and never started.
    pub(crate) fn never_started(run_id: &impl ToString, reason: String) -> Event {
        let run = FinishedRun {
            run_id: run_id.to_string(),
            outcome: Outcome::NotStarted.label(),
            reason: Some(reason),
            ..FinishedRun::default()
        };
        run.into()
    }
}

impl DeniedCall {
    /// The event, all of it cut.
    pub(crate) fn into_event(self) -> Event {
        Event::Denied(Box::new(DeniedCall {
            method: shortened(self.method),
            command: self.command.map(shortened),
            reason: shortened(self.reason),
            ..self
        }))
    }
}
