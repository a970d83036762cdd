//! A panic in one call becomes INTERNAL for its caller, and touches no other call.
//!
//! The runtime's hook logs the panic. A stream that has begun is not covered: its task ends, and the
//! caller sees the stream break off.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use http::Response;
use tonic::{Status, body::Body};

/// The answer of a call, or INTERNAL where it panics.
pub(super) async fn catch_panic(call: impl Future<Output = Response<Body>>) -> Response<Body> {
    let answer = AssertUnwindSafe(call).catch_unwind().await;
    answer.unwrap_or_else(|_| {
        Status::internal("the server failed in this call; its log says more").into_http()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let good = catch_panic(async { Response::new(Body::default()) }).await;
        assert_eq!(good.headers().get("grpc-status"), None);
        let bad = catch_panic(async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        // INTERNAL.
        assert_eq!(bad.await.headers()["grpc-status"], "13");
    }
}
