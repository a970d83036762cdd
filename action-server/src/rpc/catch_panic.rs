//! The shield: a fault of ours in one call is told to its caller as INTERNAL, and to nobody else.
//!
//! The panic itself is told by the runtime's hook. A stream that has begun is not covered: its
//! task ends, and the caller sees the stream break off.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::crash;

/// Keeps panics within their calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shield;

impl<S> Layer<S> for Shield {
    type Service = Shielded<S>;

    fn layer(&self, inner: S) -> Shielded<S> {
        Shielded { inner }
    }
}

/// A service behind the [`Shield`].
#[derive(Clone)]
pub(crate) struct Shielded<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Shielded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let called = kept(|| {
            crash::point(request.uri().path());
            self.inner.call(request)
        });
        match called {
            None => Box::pin(async { Ok(failed()) }),
            Some(future) => {
                let mut future = Box::pin(future);
                Box::pin(poll_fn(move |context| {
                    kept(|| future.as_mut().poll(context))
                        .unwrap_or_else(|| Poll::Ready(Ok(failed())))
                }))
            }
        }
    }
}

/// What comes of it; `None` when it panics. It is not touched again then.
fn kept<T>(it: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(it)).ok()
}

fn failed() -> Response<Body> {
    Status::internal("the server failed in this call; its log says more").into_http()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::ServiceExt as _;

    use super::*;

    /// Calls a service of which each call does this.
    async fn called<F>(it: fn() -> F) -> Option<String>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let service = tower::service_fn(move |_: Request<Body>| {
            let done = it();
            async move {
                done.await;
                Ok::<_, Infallible>(Response::new(Body::default()))
            }
        });
        let Ok(answer) = Shield
            .layer(service)
            .oneshot(Request::new(Body::default()))
            .await;
        let status = answer.headers().get("grpc-status")?;
        Some(status.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_panic_is_told_and_goes_no_further() {
        assert_eq!(called(|| async {}).await, None);
        // INTERNAL is 13.
        let later = called(|| async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        assert_eq!(later.await.as_deref(), Some("13"));
        let at_once = called(|| -> std::future::Ready<()> { panic!("on purpose") });
        assert_eq!(at_once.await.as_deref(), Some("13"));
    }
}
