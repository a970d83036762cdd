//! Turns a gRPC status into an error for the user.

use super::RUN_ID;
use super::answer::NotGrpc;
use super::certificate_fault::CertificateFault;
use crate::error::{CliError, ErrorKind};
use std::error::Error;
use tonic::{Code, ConnectError, Status};

const PLAN_CHANGED: &str = "action-plan-changed";

/// Whether the connection failed, and the status is not the server's.
pub(super) fn is_of_transport(status: &Status) -> bool {
    status.source().is_some()
}

/// What it came of, if that is a `T`.
pub(super) fn source<T: Error + 'static>(status: &Status) -> Option<&T> {
    let mut next = status.source();
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref() {
            return Some(found);
        }
        next = source.source();
    }
    None
}

/// Whether a RunCommand that failed so may have started its run all the same.
pub(super) fn may_have_started(status: &Status) -> bool {
    if let Some(other) = source::<NotGrpc>(status) {
        return other.may_have_been_passed_on();
    }
    if is_of_transport(status) {
        return source::<ConnectError>(status).is_none();
    }
    if status.metadata().get(RUN_ID).is_some_and(|id| id == "none") {
        return false;
    }
    // These are also what a web server says that has passed the request on and got no answer.
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unknown
            | Code::Cancelled
            | Code::Aborted
    )
}

/// The failure that a status is to the user.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn to_error(status: Status) -> CliError {
    if is_of_transport(&status) {
        let error = CliError::new(ErrorKind::Connection, "the connection broke");
        return match innermost_cause(&status) {
            Some(cause) => error.caused_by(cause),
            None => error,
        };
    }
    let message = status.message();
    if status.metadata().contains_key(PLAN_CHANGED) {
        return CliError::new(ErrorKind::PlanChanged, message);
    }
    let refused = |text: String| CliError::new(ErrorKind::Refused, text);
    match status.code() {
        Code::Unauthenticated => CliError::new(ErrorKind::Login, "the server does not accept the token")
            .hint("it may have expired or been revoked; ask the server's admin for a new one, made with `action-server generate-token`"),
        Code::PermissionDenied => refused(or_default(message, "this is not allowed")),
        Code::Unavailable => {
            CliError::new(ErrorKind::Connection, or_default(message, "the server is not available"))
        }
        // Only a web server on the way has deadlines: this client sets none on the server's side.
        Code::DeadlineExceeded => {
            CliError::new(ErrorKind::Connection, or_default(message, "the server did not answer in time"))
        }
        Code::Unimplemented => refused(or_default(message, "the server does not know this call"))
            .hint("the server may be older than this client, or base_url not the address of an Action server"),
        Code::ResourceExhausted => refused(or_default(message, "a limit of the server is reached")),
        code => refused(or_default(message, code.description())),
    }
}

/// The failure of a connection with its cause and what the user can do about it.
pub(super) fn with_cause(error: CliError, cause: Box<dyn Error + Send + Sync>) -> CliError {
    match CertificateFault::of(cause.as_ref()) {
        Some(fault) => error.caused_by(fault.to_string()).hint(fault.hint()),
        None => with_remedy(error.caused_by(cause)),
    }
}

/// Adds a hint for causes that the libraries name in their texts only.
fn with_remedy(error: CliError) -> CliError {
    let causes = error.causes();
    let is_caused_by = |texts: &[&str]| {
        let mut texts = texts.iter();
        texts.any(|text| causes.iter().any(|cause| cause.contains(text)))
    };
    if is_caused_by(&["peer certificate"]) {
        return error.hint(
            "set `ca_path` to the certificate of the authority that signed the server's, \
             or `verify_ssl: false` to trust anyone",
        );
    }
    // A text in place of a frame, TLS where there is none, and TLS without HTTP/2.
    if is_caused_by(&[
        "frame with invalid size",
        "corrupt message",
        "HTTP/2 was not negotiated",
        "NoApplicationProtocol",
        "connection closed",
    ]) {
        return error.hint(
            "what answers there may not speak HTTP/2 as `base_url` has it: it may be wrong in its \
             port, or in http for https, or the web server there has no HTTP/2",
        );
    }
    error
}

fn or_default(message: &str, otherwise: &str) -> String {
    if message.is_empty() {
        otherwise.to_owned()
    } else {
        message.to_owned()
    }
}

/// The innermost cause: the outer ones only name layers.
fn innermost_cause(status: &Status) -> Option<String> {
    let mut next = status.source();
    let mut reason = None;
    while let Some(source) = next {
        reason = Some(source.to_string());
        next = source.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        let kind = |code, message: &str| {
            let error = to_error(Status::new(code, message));
            (error.kind(), error.to_string())
        };
        let refused = |text: &str| (ErrorKind::Refused, text.to_owned());
        assert_eq!(
            kind(Code::InvalidArgument, "no node x"),
            refused("no node x")
        );
        assert_eq!(
            kind(Code::NotFound, ""),
            refused(Code::NotFound.description())
        );
        assert_eq!(kind(Code::Unavailable, "").0, ErrorKind::Connection);
        let login = to_error(Status::unauthenticated("x"));
        assert!(login.hints()[0].contains("generate-token"));
    }

    #[test]
    fn a_run_may_have_started_unless_the_server_says_no() {
        let broken = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert!(may_have_started(&broken));
        assert_eq!(to_error(broken).kind(), ErrorKind::Connection);
        assert!(may_have_started(&Status::unavailable("bad gateway")));
        assert!(may_have_started(&Status::deadline_exceeded("late")));
        assert!(!may_have_started(&Status::permission_denied("no")));
        let mut stopping = Status::unavailable("stopping");
        stopping
            .metadata_mut()
            .insert(RUN_ID, "none".parse().unwrap());
        assert!(!may_have_started(&stopping));
    }
}
