//! Denied calls in the audit log, and the caller of a call.

use std::sync::Arc;

use action_proto::input::shown_set;
use thiserror::Error;
use tonic::{Code, Request, Status};

use super::auth_failure::canonical;
use crate::{
    audit::{Audit, AuditedArguments, AuditedCaller, AuditedNodes, DeniedCall},
    auth::Caller,
    net::Peer,
};

/// The rules that deny a call, carried by its status within the server. It is never sent.
#[derive(Debug, Error)]
#[error("denied by {0}")]
struct DeniedBy(String);

/// Marks a denial with the rules that it follows from.
pub(super) fn denied_by(rules: &str, mut status: Status) -> Status {
    status.set_source(Arc::new(DeniedBy(rules.to_owned())));
    status
}

fn denying_rules(status: &Status) -> Option<String> {
    let source = std::error::Error::source(status)?;
    source.downcast_ref().map(|DeniedBy(rules)| rules.clone())
}

/// The caller of a request, by its token.
pub(super) fn audited_caller<T>(request: &Request<T>) -> AuditedCaller {
    let caller = request.extensions().get::<Caller>();
    let peer = request.extensions().get::<Peer>();
    AuditedCaller {
        subject: caller.map(|caller| caller.subject.clone()),
        jti: caller.map(|caller| caller.token_id.clone()),
        key: caller.and_then(|caller| caller.key_id.clone()),
        address: peer.map(|peer| canonical(peer.address.ip())),
    }
}

/// Passes an answer on, and writes a line where the call is denied. `asked` has what was requested.
pub(super) async fn audit_denial<T>(
    audit: &Audit,
    method: &str,
    asked: DeniedCall,
    answer: Result<T, Status>,
) -> Result<T, Status> {
    if let Err(status) = &answer
        && status.code() == Code::PermissionDenied
    {
        let denied = DeniedCall {
            method: method.to_owned(),
            rule: denying_rules(status),
            reason: status.message().to_owned(),
            ..asked
        };
        // A log that fails has said so. The call is denied anyhow.
        _ = audit.write(denied.into_event()).await;
    }
    answer
}

/// The request of a call about no nodes.
pub(super) fn requested<T>(request: &Request<T>) -> DeniedCall {
    DeniedCall {
        caller: audited_caller(request),
        ..DeniedCall::default()
    }
}

/// The request of a call about nodes. The nodes are not folded: the text may not be a node set, but a
/// token in its place.
pub(super) fn requested_nodes<T>(
    request: &Request<T>,
    command: &str,
    nodes: &str,
    arguments: &[String],
) -> DeniedCall {
    DeniedCall {
        command: Some(shown_set(command)),
        nodes: Some(AuditedNodes::new(shown_set(nodes))),
        arguments: Some(AuditedArguments::new(arguments.to_vec())),
        ..requested(request)
    }
}
