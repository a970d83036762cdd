//! Errors as callers see them: one code and one text each. The server's log has the rest.

use std::io::ErrorKind;

use tonic::{Status, metadata::MetadataValue};

use crate::{
    catalogue::{PlanError, SelectionError},
    file_digest::TooManyFiles,
    record::{RecordFault, RunId},
    run::StartError,
    transient::is_transient,
};

/// The header with a run's id.
pub(super) const RUN_ID: &str = "action-run-id";

/// The header with the parts of a plan that are not as they were shown.
const PLAN_CHANGED: &str = "action-plan-changed";

/// For requests that cannot be planned.
pub(super) fn from_plan(error: &PlanError) -> Status {
    let text = error.to_string();
    match error {
        PlanError::UnknownCommand(_) => Status::not_found(text),
        PlanError::BrokenCommand { .. } | PlanError::BrokenTeller { .. } => {
            Status::failed_precondition(text)
        }
        PlanError::Selection(_)
        | PlanError::TakesNoNodes(_)
        | PlanError::NothingToWaitFor(_)
        | PlanError::Limit(_)
        | PlanError::Arguments(_) => Status::invalid_argument(text),
    }
}

/// For commands whose state comes from a command that cannot be run, and that the caller may not see.
pub(super) fn broken_teller(command: &str) -> Status {
    Status::failed_precondition(format!(
        "the command {command} cannot be run: the state of its nodes cannot be told; ask the admin to run: action-server check"
    ))
}

/// For node sets that select nothing.
pub(super) fn from_selection(error: &SelectionError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// For plans that no run can be bound to. The log has the path.
pub(super) fn from_files(error: &TooManyFiles) -> Status {
    tracing::error!(%error, "no plan can be shown: take them away, or the link to them");
    Status::failed_precondition(
        "so many files stand beside the scripts that no plan can be bound to them; ask the admin to look into the server's log",
    )
}

/// For runs that are not started.
pub(super) fn from_start(error: &StartError) -> Status {
    let text = error.to_string();
    match error {
        StartError::Stopping => Status::unavailable(text),
        StartError::TooManyRuns(_) | StartError::TooManyOfSubject(_) | StartError::TooLong(_) => {
            Status::resource_exhausted(text)
        }
        // The audit log has the reason.
        StartError::Audit(_) => Status::unavailable(text),
        StartError::Record(source) => {
            tracing::error!(error = %source, "a run was refused: its record cannot be written");
            Status::unavailable(text)
        }
    }
}

/// The same with the word that nothing was started: without it a web server on the way may have said
/// this, and nobody knows.
pub(super) fn nothing_started(mut status: Status) -> Status {
    let none = MetadataValue::from_static("none");
    status.metadata_mut().insert(RUN_ID, none);
    status
}

/// For a run whose plan is not the one that its caller was shown; `parts` are those that differ.
pub(super) fn plan_changed(parts: &[&str]) -> Status {
    let text = parts.join(", ");
    let message = format!("the plan has changed since it was shown ({text}); nothing was run");
    let mut status = Status::failed_precondition(message);
    if let Ok(parts) = MetadataValue::try_from(parts.join(",")) {
        status.metadata_mut().insert(PLAN_CHANGED, parts);
    }
    status
}

/// For records of which none can be read, as for want of descriptors. Names no run: it may not be the
/// caller's to know of.
pub(super) fn unreadable_now(error: &std::io::Error) -> Status {
    tracing::error!(%error, "cannot read the records now");
    Status::unavailable("the server cannot read the records now; try again later")
}

/// For records of which no more is known than the run's id.
pub(super) fn from_fault(run_id: &RunId, fault: RecordFault) -> Status {
    match fault {
        RecordFault::Damaged | RecordFault::Newer => {
            Status::data_loss(format!("the record of run {run_id} is damaged"))
        }
        RecordFault::Unreadable => {
            Status::internal(format!("the record of run {run_id} cannot be read"))
        }
    }
}

/// For records that cannot be read.
pub(super) fn from_record(run_id: &RunId, error: &std::io::Error) -> Status {
    if error.kind() == ErrorKind::NotFound {
        return Status::not_found(format!("no such run: {run_id}"));
    }
    if is_transient(error) {
        return unreadable_now(error);
    }
    tracing::error!(%run_id, %error, "cannot read a record");
    // One that is cut short is damaged too.
    let damage = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
    if damage.contains(&error.kind()) {
        return Status::data_loss(format!("the record of run {run_id} is damaged"));
    }
    Status::internal(format!("the record of run {run_id} cannot be read"))
}
