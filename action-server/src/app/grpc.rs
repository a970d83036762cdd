//! The gRPC server: its layers, limits and services.

use std::time::Duration;

use action_proto::v1::action_service_server::ActionServiceServer;
use tokio::sync::oneshot;
use tonic::{service::Routes, transport::Server};
use tonic_health::server::HealthReporter;

use crate::{
    net::Listener,
    rpc::{CallPipeline, GrpcService},
};

pub(super) async fn serve_grpc(
    pipeline: CallPipeline,
    routes: Routes,
    listener: Listener,
    closing: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .layer(pipeline.into_layer())
        .max_concurrent_streams(100)
        .http2_max_header_list_size(16 * 1024)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_max_local_error_reset_streams(Some(1024))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(listener.connections(), async {
            // The sender sends nothing: it is dropped to close.
            _ = closing.await;
        })
        .await
}

pub(super) async fn build_routes(
    service: ActionServiceServer<GrpcService>,
) -> Result<(HealthReporter, Routes), tonic_reflection::server::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    // Older tools know reflection by its alpha name.
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(action_proto::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(service)
        .add_service(health_service)
        .add_service(describe().build_v1()?)
        .add_service(describe().build_v1alpha()?);
    Ok((health, routes))
}
