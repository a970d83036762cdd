//! Answers that end when their caller would not be let pass any more: one mechanism for all streams,
//! whatever service they are of.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream, stream::BoxStream};
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use super::auth_failure;
use crate::auth::{Authority, Caller};

/// An answer's body that breaks off with UNAUTHENTICATED once the caller's token or key is good no
/// more.
pub(super) struct RevocableAnswer {
    /// `None` once it has broken off.
    body: Option<Body>,
    authority: Arc<Authority>,
    caller: Caller,
    changes: BoxStream<'static, ()>,
}

impl RevocableAnswer {
    pub(super) fn new(body: Body, authority: Arc<Authority>, caller: Caller) -> RevocableAnswer {
        let mut changes = authority.changes();
        // What changed before this was subscribed to is seen by the first look.
        changes.mark_changed();
        let changes = stream::unfold(changes, |mut changes| async move {
            changes.changed().await.ok()?;
            Some(((), changes))
        });
        RevocableAnswer {
            body: Some(body),
            authority,
            caller,
            changes: changes.boxed(),
        }
    }
}

impl hyper::body::Body for RevocableAnswer {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        while let Poll::Ready(Some(())) = self.changes.poll_next_unpin(context) {
            if self.body.is_some() && !self.authority.is_good(&self.caller) {
                self.body = None;
                let mut trailers = HeaderMap::new();
                let refusal = auth_failure::unauthenticated();
                return Poll::Ready(Some(match refusal.add_header(&mut trailers) {
                    Ok(()) => Ok(Frame::trailers(trailers)),
                    Err(status) => Err(status),
                }));
            }
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
