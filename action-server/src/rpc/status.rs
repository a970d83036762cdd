//! What callers are told of errors: one code and one text each. The server's log has the rest.

use tonic::Status;

use crate::{
    catalogue::{PlanError, SelectionError},
    run::StartError,
};

/// For methods that are in the contract and not built.
pub(super) fn not_built(method: &str) -> Status {
    Status::unimplemented(format!("{method} is not built in this version"))
}

/// For requests that cannot be planned.
pub(super) fn from_plan(error: &PlanError) -> Status {
    let text = error.to_string();
    match error {
        PlanError::UnknownCommand(_) => Status::not_found(text),
        PlanError::BrokenCommand { .. } => Status::failed_precondition(text),
        PlanError::Selection(_)
        | PlanError::TakesNoNodes(_)
        | PlanError::Limit(_)
        | PlanError::Arguments(_) => Status::invalid_argument(text),
    }
}

/// For node sets that select nothing.
pub(super) fn from_selection(error: &SelectionError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// For runs that are not started.
pub(super) fn from_start(error: &StartError) -> Status {
    let text = error.to_string();
    match error {
        StartError::Stopping => Status::unavailable(text),
        StartError::TooManyRuns(_) => Status::resource_exhausted(text),
        StartError::Record(source) => {
            tracing::error!(error = %source, "a run was refused: its record cannot be written");
            Status::unavailable(text)
        }
    }
}
