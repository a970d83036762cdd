//! Requests that the caller took back are not taken for whole ones.
//!
//! hyper ends a request's body quietly where the stream is reset with NO_ERROR (RFC 9113, 8.1, means
//! answers by it), tonic where it is reset with CANCEL, and tonic would call the method with what came so far: it would start a run whose
//! caller learns that the call failed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tonic::{Code, Status};

/// A request's body that fails where it stops before its end.
pub(super) struct WholeRequest<B>(pub(super) B);

impl<B> Body for WholeRequest<B>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        // tonic takes CANCELLED for the end of a request, so that it must be another code.
        let is_taken_back = match &frame {
            None => !self.0.is_end_stream(),
            Some(Err(status)) => status.code() == Code::Cancelled,
            Some(Ok(_)) => false,
        };
        Poll::Ready(if is_taken_back {
            Some(Err(Status::aborted("the request was taken back")))
        } else {
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// One frame, and then nothing more, which is the end or not.
    struct Stub {
        frame: Option<Bytes>,
        is_end: bool,
    }

    impl Body for Stub {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.frame.take().map(|data| Ok(Frame::data(data))))
        }

        fn is_end_stream(&self) -> bool {
            self.frame.is_none() && self.is_end
        }
    }

    #[tokio::test]
    async fn a_body_that_stops_before_its_end_fails() {
        for is_end in [true, false] {
            let frame = Some(Bytes::from_static(b"all of a message"));
            let mut body = WholeRequest(Stub { frame, is_end });
            let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            assert!(next().await.unwrap().unwrap().is_data());
            match next().await {
                None => assert!(is_end),
                Some(frame) => assert_eq!(frame.unwrap_err().code(), Code::Aborted),
            }
        }
    }
}
