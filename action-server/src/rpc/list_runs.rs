//! ListRuns: the runs that the caller may see, the newest first.

use std::{collections::HashSet, time::SystemTime};

use action_proto::v1::{ListRunsRequest, ListRunsResponse, Outcome, Run};
use prost::Message;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{
    Service,
    access::Access,
    page::{LIST, page_size},
    runs,
};
use crate::{disk_lane::LANES, record::Summary, run::Registry};

/// The most runs in one answer: each is read from the disk.
const GREATEST: usize = 200;

pub(super) async fn list_runs(
    service: &Service,
    request: Request<ListRunsRequest>,
) -> Result<Response<ListRunsResponse>, Status> {
    let access = service.doors.access(service.doors.caller(&request)?);
    let request = request.into_inner();
    let filter = Filter::new(&request, &access)?;
    let size = page_size(request.page_size, GREATEST)?;
    let registry = service.runs.clone();
    let list = move || read_page(&registry, &access, &filter, size, &request.page_token);
    Ok(Response::new(
        runs::blocking(&LANES.lists, list).await?,
    ))
}

fn read_page(
    registry: &Registry,
    access: &Access,
    filter: &Filter,
    size: usize,
    token: &str,
) -> Result<ListRunsResponse, Status> {
    let mut response = ListRunsResponse::default();
    let mut bytes = 0;
    let mut entries = registry.newest_first().into_iter().peekable();
    if !token.is_empty() {
        // The record the token names may be gone by now: its time is in the token too.
        let (time, id) = token.split_once('-').unwrap_or_default();
        let time: u64 = time
            .parse()
            .map_err(|_| Status::invalid_argument("page_token is not of this list"))?;
        while entries
            .next_if(|entry| (entry.time, entry.id.as_str()) >= (time, id))
            .is_some()
        {}
    }
    for entry in entries {
        let described = runs::describe(registry, &entry.id, |run| access.reads(run))
            .or_else(skip_what_is_gone)?;
        let Some((_, run)) = described.filter(|(summary, run)| filter.admits(summary, run)) else {
            continue;
        };
        bytes += run.encoded_len();
        let is_full = response.runs.len() == size || bytes > LIST.bytes;
        if is_full && !response.runs.is_empty() {
            // There is more: the next page begins behind the last one here.
            return Ok(response);
        }
        response.next_page_token = format!("{}-{}", entry.time, entry.id);
        response.runs.push(run);
    }
    response.next_page_token.clear();
    Ok(response)
}

/// A record that was removed, or is damaged, while the list was made hides none of the others.
fn skip_what_is_gone<T>(status: Status) -> Result<Option<T>, Status> {
    match status.code() {
        tonic::Code::NotFound | tonic::Code::Internal | tonic::Code::DataLoss => Ok(None),
        _ => Err(status),
    }
}

/// What a request asks for.
struct Filter {
    command: String,
    subject: String,
    nodes: Option<HashSet<String>>,
    outcome: Outcome,
    running: bool,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Filter {
    fn new(request: &ListRunsRequest, access: &Access) -> Result<Filter, Status> {
        let nodes = match request.nodes.as_str() {
            "" => None,
            set => {
                let nodes = access.select(set, "")?;
                Some(nodes.iter().map(|node| node.name.clone()).collect())
            }
        };
        let time = |time: Option<Timestamp>| {
            let invalid = |_| Status::invalid_argument("since or until is no time");
            time.map(SystemTime::try_from).transpose().map_err(invalid)
        };
        Ok(Filter {
            command: request.command.clone(),
            subject: request.subject.clone(),
            nodes,
            outcome: request.outcome(),
            running: request.running,
            since: time(request.since)?,
            until: time(request.until)?,
        })
    }

    fn admits(&self, summary: &Summary, run: &Run) -> bool {
        let start = run
            .start_time
            .and_then(|time| SystemTime::try_from(time).ok());
        let is = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        is(&self.command, &run.command)
            && is(&self.subject, &run.subject)
            && (self.outcome == Outcome::Unspecified || self.outcome == run.outcome())
            && (!self.running || run.outcome() == Outcome::Unspecified)
            && self.since.is_none_or(|since| start >= Some(since))
            && self.until.is_none_or(|until| start < Some(until))
            && self.nodes.as_ref().is_none_or(|nodes| {
                summary
                    .started
                    .nodes
                    .iter()
                    .any(|node| nodes.contains(node))
            })
    }
}
