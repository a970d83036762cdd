//! ListNodes: the nodes that the caller may use, and of their metadata what is public.

use std::sync::Arc;

use action_proto::v1::{ListNodesRequest, ListNodesResponse, Node};
use tonic::{Request, Response, Status};

use super::{
    Service,
    access::{self, Access},
    page::page,
    status,
};
use crate::catalogue;

pub(super) fn list_nodes(
    service: &Service,
    request: &Request<ListNodesRequest>,
) -> Result<Response<ListNodesResponse>, Status> {
    let access = Access::new(access::caller(request)?, service.definitions.snapshot());
    let catalogue = access.catalogue();
    let request = request.get_ref();
    let mut nodes = match request.nodes.is_empty() && request.exclude.is_empty() {
        true => catalogue.nodes.list().to_vec(),
        false => {
            let set = if request.nodes.is_empty() {
                "@*"
            } else {
                &request.nodes
            };
            let selected = catalogue
                .nodes
                .select(set, &request.exclude, catalogue.node_limit);
            selected.map_err(|error| status::from_selection(&error))?
        }
    };
    nodes.retain(|node| access.allows_node(&node.name));
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
    )?;
    Ok(Response::new(ListNodesResponse {
        nodes,
        next_page_token,
    }))
}
