//! ListNodes: the nodes that the caller may use, and of their metadata what is public.

use std::sync::Arc;

use action_proto::v1::{ListNodesRequest, ListNodesResponse, Node};
use tonic::{Request, Response, Status};

use super::{
    GrpcService,
    page::{LIST, page},
};
use crate::catalogue;

pub(super) fn list_nodes(
    service: &GrpcService,
    request: &Request<ListNodesRequest>,
) -> Result<Response<ListNodesResponse>, Status> {
    let access = service.doors.access_of(service.doors.caller(request)?);
    let catalogue = access.catalogue();
    let request = request.get_ref();
    let nodes = match (request.nodes.as_str(), request.exclude.as_str()) {
        ("", "") => {
            let nodes = access.visible_nodes().iter();
            nodes.map(|(_, node)| Arc::clone(node)).collect()
        }
        ("", exclude) => access.select_nodes("@*", exclude)?,
        (set, exclude) => access.select_nodes(set, exclude)?,
    };
    let show = |node: &Arc<catalogue::Node>| Node {
        name: node.name.clone(),
        ranks: node.ranks.clone(),
        groups: catalogue.nodes.groups_of(node),
        metadata: catalogue
            .nodes
            .visible_metadata(node)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    };
    let (nodes, next_page_token) = page(
        &nodes,
        |node| &node.name,
        show,
        request.page_size,
        &request.page_token,
        &LIST,
    )?;
    Ok(Response::new(ListNodesResponse {
        nodes,
        next_page_token,
    }))
}
