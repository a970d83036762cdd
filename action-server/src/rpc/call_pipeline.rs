//! The way of every call to its method: counted, its panics caught, rejected unless it is gRPC, and
//! authenticated.
//!
//! A layer over the whole router and not an interceptor of one service, so that no service that is added
//! later is left out.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use tonic::{body::Body, service::Routes};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::{
    authentication::Authenticator, call_metrics::CallCounter, catch_panic::catch_panic, grpc_only,
};
use crate::crash;

/// The steps of each call, in their order.
pub(crate) struct CallPipeline {
    pub(crate) counter: CallCounter,
    pub(crate) authenticator: Authenticator,
}

impl CallPipeline {
    /// The layer that has each call of a router pass these steps.
    pub(crate) fn into_layer(
        self,
    ) -> impl Layer<
        Routes,
        Service: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send,
        > + Clone
                     + Send,
    > + Clone {
        let pipeline = Arc::new(self);
        layer_fn(move |routes: Routes| {
            let pipeline = Arc::clone(&pipeline);
            service_fn(move |request| {
                let (pipeline, routes) = (Arc::clone(&pipeline), routes.clone());
                async move { Ok(pipeline.answer(routes, request).await) }
            })
        })
    }

    async fn answer(&self, routes: Routes, request: Request<Body>) -> Response<Body> {
        let counted = self.counter.begin(request.uri().path());
        let answer = catch_panic(async {
            crash::point(request.uri().path());
            match grpc_only::check_request(request).await {
                Ok(request) => self.authenticator.answer(routes, request).await,
                Err(rejection) => rejection,
            }
        });
        counted.follow(answer.await)
    }
}
