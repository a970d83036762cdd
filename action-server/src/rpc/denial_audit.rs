//! What the audit log is told of calls: who makes them, and which are denied.

use std::sync::Arc;

use action_proto::input::shown_set;
use thiserror::Error;
use tonic::{Code, Request, Status};

use super::refusal::shown;
use crate::{
    audit::{Audit, Event, Who},
    auth::Caller,
    net::Peer,
};

/// The rules that deny a call, carried by its status on the way through the server. No caller is
/// sent it.
#[derive(Debug, Error)]
#[error("denied by {0}")]
struct DeniedBy(String);

/// Marks a denial with the rules that it follows from.
pub(super) fn denied_by(rules: &str, mut status: Status) -> Status {
    status.set_source(Arc::new(DeniedBy(rules.to_owned())));
    status
}

fn rules(status: &Status) -> Option<String> {
    let source = std::error::Error::source(status)?;
    source.downcast_ref().map(|DeniedBy(rules)| rules.clone())
}

/// Who makes a call, by the token that the guard let pass.
pub(super) fn who<T>(request: &Request<T>) -> Who {
    let caller = request.extensions().get::<Caller>();
    let peer = request.extensions().get::<Peer>();
    Who {
        subject: caller.map(|caller| caller.subject.clone()),
        jti: caller.map(|caller| caller.token_id.clone()),
        key: caller.and_then(|caller| caller.key_id.clone()),
        address: peer.map(|peer| shown(peer.address.ip())),
    }
}

/// Passes an answer on, and writes a line where the call is denied. `asked` says what for.
pub(super) async fn follow<T>(
    audit: &Audit,
    method: &str,
    asked: Event,
    answer: Result<T, Status>,
) -> Result<T, Status> {
    if let Err(status) = &answer
        && status.code() == Code::PermissionDenied
    {
        let event = Event {
            name: "denied".into(),
            method: Some(method.to_owned()),
            rule: rules(status),
            reason: Some(status.message().to_owned()),
            ..asked
        };
        // A log that fails has said so. The call is denied anyhow.
        _ = audit.write(event.cut()).await;
    }
    answer
}

/// What a call without more to it asks for.
pub(super) fn asked<T>(request: &Request<T>) -> Event {
    Event {
        who: who(request),
        ..Event::default()
    }
}

/// What a call about nodes asks for. The nodes are as they were asked for, not folded: what was
/// denied may not even be a node set, but a token in its place.
pub(super) fn asked_for<T>(
    request: &Request<T>,
    command: &str,
    nodes: &str,
    arguments: &[String],
) -> Event {
    Event {
        command: Some(shown_set(command)),
        nodes: Some(shown_set(nodes)),
        arguments: Some(arguments.to_vec()),
        ..asked(request)
    }
}
