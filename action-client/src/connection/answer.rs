//! Checks that answers are gRPC and end with a status: others come from a proxy.

use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tonic::transport::Channel;
use tower::Service;

/// The header or trailer that each answer of gRPC ends with.
const STATUS: &str = "grpc-status";
/// The most of a content type that is shown.
const SHOWN: usize = 80;

/// Whether an answer has ended with a status, so that the end is the server's word.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamEnding(Arc<AtomicBool>);

impl StreamEnding {
    /// Whether the status has come.
    pub(super) fn has_come(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What came in place of gRPC, as from a web server that answers by itself.
#[derive(Debug)]
pub(super) struct NotGrpc {
    status: http::StatusCode,
    content_type: String,
}

impl NotGrpc {
    /// Whether the request may have been passed on before this came.
    pub(super) fn may_have_been_passed_on(&self) -> bool {
        self.status.is_server_error()
    }
}

impl fmt::Display for NotGrpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}, {}", self.status, self.content_type)
    }
}

impl Error for NotGrpc {}

/// The channel, with that look at what comes over it.
#[derive(Clone)]
pub(super) struct CheckedChannel(pub(super) Channel);

type HttpRequest = http::Request<tonic::body::Body>;
type HttpResponse = http::Response<tonic::body::Body>;
type CallError = Box<dyn Error + Send + Sync>;

impl Service<HttpRequest> for CheckedChannel {
    type Response = http::Response<CheckedBody>;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, CallError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { Ok(check_response(answer.await?)?) })
    }
}

fn check_response(response: HttpResponse) -> Result<http::Response<CheckedBody>, NotGrpc> {
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.map(|it| String::from_utf8_lossy(it.as_bytes()));
    if !content_type.as_deref().is_some_and(is_grpc) {
        let content_type = content_type.as_deref().unwrap_or("without a content type");
        return Err(NotGrpc {
            status: response.status(),
            content_type: content_type.chars().take(SHOWN).collect(),
        });
    }
    let ending = StreamEnding::default();
    if response.headers().contains_key(STATUS) {
        ending.0.store(true, Ordering::Release);
    }
    let (mut head, body) = response.into_parts();
    head.extensions.insert(ending.clone());
    Ok(http::Response::from_parts(
        head,
        CheckedBody { body, ending },
    ))
}

/// `application/grpc` and `application/grpc+proto`, but not `application/grpc-web`.
fn is_grpc(content_type: &str) -> bool {
    let rest = content_type.strip_prefix("application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// An answer that notes whether its status comes.
pub(super) struct CheckedBody {
    body: tonic::body::Body,
    ending: StreamEnding,
}

impl Body for CheckedBody {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = <tonic::body::Body as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let trailers = match &frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            _ => None,
        };
        if trailers.is_some_and(|trailers| trailers.contains_key(STATUS)) {
            self.ending.0.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(headers: &[(&str, &str)]) -> Result<bool, String> {
        let mut response = http::Response::builder().status(404);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(tonic::body::Body::empty()).unwrap();
        let response = check_response(response).map_err(|error| error.to_string())?;
        Ok(response
            .extensions()
            .get::<StreamEnding>()
            .unwrap()
            .has_come())
    }

    #[test]
    fn what_is_no_grpc_is_told_by_its_status_and_type() {
        let page = |text: &str| Err(format!("HTTP 404 Not Found, {text}"));
        assert_eq!(examined(&[]), page("without a content type"));
        for other in ["text/html", "application/grpc-web", "application/json"] {
            assert_eq!(examined(&[("content-type", other)]), page(other));
        }
        let long = examined(&[("content-type", &"x".repeat(500))]);
        assert_eq!(long, page(&"x".repeat(SHOWN)));
    }

    #[test]
    fn a_status_in_the_headers_is_an_ending() {
        for grpc in ["application/grpc", "application/grpc+proto"] {
            assert_eq!(examined(&[("content-type", grpc)]), Ok(false));
            let headers = [("content-type", grpc), ("grpc-status", "5")];
            assert_eq!(examined(&headers), Ok(true));
        }
    }
}
