//! ListRuns: the runs that the caller may see, the newest first. Made of what is in memory.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    io::ErrorKind,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use action_proto::v1::{ListRunsRequest, ListRunsResponse, Outcome, Run};
use prost::Message;
use prost_types::Timestamp;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::{
    GrpcService,
    access::{CallerAccess, RunAction},
    page::{LIST, page_size},
    runs, status,
    verdicts::RunVerdicts,
};
use crate::{
    record::{
        NodeList, RecordEntry, RecordFault, RecordState, RunId, RunPosition, RunSummary, RunTexts,
    },
    run::RunRegistry,
    transient::is_transient,
};

/// The most runs in one answer.
const GREATEST: usize = 200;
/// So many runs are examined for one answer, and nodes judged: a list in which little is found comes
/// in short pages.
const MOST_WORK: usize = 20_000;
/// So many runs are looked up at once.
const PART: usize = 1000;
/// A record is named just before its first event is written, which a slow disk may hold up: so much
/// older than asked for by its name a run may be.
const NAMED_BEFORE: Duration = Duration::from_secs(60);

pub(super) async fn list_runs(
    service: &GrpcService,
    request: Request<ListRunsRequest>,
) -> Result<Response<ListRunsResponse>, Status> {
    let access = service.doors.access_of(service.doors.caller(&request)?);
    let request = request.into_inner();
    let filter = RunFilter::new(&request, &access)?;
    // Closed when the call is dropped.
    let (caller, _here) = oneshot::channel::<Infallible>();
    let mut list = RunList {
        runs: service.runs.clone(),
        before: filter.page_start(&request.page_token, service.runs.index().lead())?,
        access: Arc::new(access),
        filter,
        size: page_size(request.page_size, GREATEST)?,
        caller,
        response: ListRunsResponse::default(),
        bytes: 0,
    };
    let fill = move || {
        let is_made = list.fill_page(false)?;
        Ok((list, is_made))
    };
    let (mut list, is_made) = runs::run_in_memory(fill).await?;
    if is_made {
        return Ok(Response::new(list.response));
    }
    let fill = move || {
        list.fill_page(true)?;
        Ok(list.response)
    };
    Ok(Response::new(runs::run_blocking(fill).await?))
}

/// A page that is being made.
struct RunList {
    runs: RunRegistry,
    access: Arc<CallerAccess>,
    filter: RunFilter,
    /// The most runs in it.
    size: usize,
    /// Closed when the caller has gone.
    caller: oneshot::Sender<Infallible>,
    /// The runs from here on were examined.
    before: Option<RunPosition>,
    response: ListRunsResponse,
    bytes: usize,
}

/// What was found of one run.
enum ExaminedRun {
    /// It is not in the list.
    Out,
    /// It is, and so described.
    In(Box<Run>),
    /// That takes its record.
    NeedsDisk,
}

impl RunList {
    /// Goes on with the page. False where it can only go on with the disk, which is used only where it
    /// may block.
    fn fill_page(&mut self, may_block: bool) -> Result<bool, Status> {
        let access = Arc::clone(&self.access);
        let mut look = RunScan {
            verdicts: RunVerdicts::new(&access),
            on_nodes: HashMap::new(),
            work: 0,
            may_block,
        };
        loop {
            let part = self.next_part();
            if part.is_empty() {
                return Ok(true);
            }
            for entry in part {
                if self.filter.is_past(&entry) {
                    return Ok(true);
                }
                let is_enough = look.work + look.verdicts.judged_nodes() > MOST_WORK;
                if is_enough || self.caller.is_closed() {
                    self.end_page();
                    return Ok(true);
                }
                match self.examine_run(&entry, &mut look)? {
                    ExaminedRun::Out => {}
                    ExaminedRun::NeedsDisk => return Ok(false),
                    ExaminedRun::In(run) => {
                        self.bytes += run.encoded_len();
                        let count = self.response.runs.len();
                        if count == self.size || (self.bytes > LIST.bytes && count > 0) {
                            self.end_page();
                            return Ok(true);
                        }
                        self.response.runs.push(*run);
                    }
                }
                self.before = Some(entry.position());
            }
        }
    }

    /// Ends the page before the last run: the next one begins behind the last that was examined.
    fn end_page(&mut self) {
        let last = self.before.as_ref();
        let token = last.map(|(time, id)| format!("{time}-{id}"));
        self.response.next_page_token = token.unwrap_or_default();
    }

    /// The next runs to examine.
    fn next_part(&self) -> Vec<Arc<RecordEntry>> {
        if !self.filter.running {
            return self.runs.index().list(self.before.clone(), PART);
        }
        let mut living = self.runs.living_runs();
        if let Some(before) = &self.before {
            living.retain(|entry| entry.position() < *before);
        }
        living
    }

    fn examine_run(
        &self,
        entry: &Arc<RecordEntry>,
        look: &mut RunScan<'_>,
    ) -> Result<ExaminedRun, Status> {
        look.work += 1;
        if entry.known().is_none() && !look.may_block {
            return Ok(ExaminedRun::NeedsDisk);
        }
        let summary = match self.runs.index().summary(entry) {
            Ok(RecordState::Run(summary)) => summary,
            Ok(RecordState::Fault(fault)) => {
                let is_shown = self.access.reads_all() && self.filter.admits_unknown();
                let run = is_shown.then(|| Box::new(runs::describe_fault(entry, *fault)));
                return Ok(run.map_or(ExaminedRun::Out, ExaminedRun::In));
            }
            // It was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ExaminedRun::Out),
            Err(error) => return Err(status::from_record(&entry.id, &error)),
        };
        if !self.filter.admits_run(summary, look) || !look.verdicts.may(RunAction::Read, summary) {
            return Ok(ExaminedRun::Out);
        }
        let mut damage = None;
        let texts = match summary.texts() {
            Some(texts) => texts.clone(),
            None if !look.may_block => return Ok(ExaminedRun::NeedsDisk),
            None => match self.runs.texts(entry) {
                Ok(texts) => texts,
                Err(error) if is_transient(&error) => return Err(status::unreadable_now(&error)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ExaminedRun::Out),
                Err(_) => {
                    damage = Some(RecordFault::Damaged);
                    RunTexts::default()
                }
            },
        };
        let mut run = runs::describe_run(&self.runs, summary, texts);
        if let Some(fault) = damage {
            run.message = fault.to_string();
        }
        // What only a run that lives has is asked now: it may have ended since.
        if self.filter.admits_outcome(run.outcome()) {
            Ok(ExaminedRun::In(Box::new(run)))
        } else {
            Ok(ExaminedRun::Out)
        }
    }
}

/// What is known while runs are examined.
struct RunScan<'a> {
    verdicts: RunVerdicts<'a>,
    /// For each list of nodes whether it has one of those that are asked for.
    on_nodes: HashMap<*const NodeList, (bool, Arc<NodeList>)>,
    work: usize,
    may_block: bool,
}

/// What a request asks for.
struct RunFilter {
    command: String,
    subject: String,
    nodes: Option<HashSet<String>>,
    outcome: Outcome,
    running: bool,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl RunFilter {
    fn new(request: &ListRunsRequest, access: &CallerAccess) -> Result<RunFilter, Status> {
        let nodes = match request.nodes.as_str() {
            "" => None,
            set => {
                let nodes = access.select_nodes(set, "")?;
                Some(nodes.iter().map(|node| node.name.clone()).collect())
            }
        };
        let time = |time: Option<Timestamp>| {
            let invalid = |_| Status::invalid_argument("since or until is no time");
            time.map(SystemTime::try_from).transpose().map_err(invalid)
        };
        Ok(RunFilter {
            command: request.command.clone(),
            subject: request.subject.clone(),
            nodes,
            outcome: request.outcome(),
            running: request.running,
            since: time(request.since)?,
            until: time(request.until)?,
        })
    }

    /// Where the page begins whose token this is.
    fn page_start(&self, token: &str, lead: u64) -> Result<Option<RunPosition>, Status> {
        if token.is_empty() {
            // Nothing is accepted before it is named.
            let until = self
                .until
                .map(|until| to_millis(until).saturating_add(lead));
            return Ok(until.map(|until| (until.saturating_add(1), RunId::LEAST)));
        }
        let parse = |token: &str| {
            let (time, id) = token.split_once('-')?;
            Some((time.parse().ok()?, id.parse().ok()?))
        };
        let position = parse(token);
        let position =
            position.ok_or_else(|| Status::invalid_argument("page_token is not of this list"));
        position.map(Some)
    }

    /// True for a run that is, with all that are older, too old.
    fn is_past(&self, entry: &RecordEntry) -> bool {
        let slack = u64::try_from(NAMED_BEFORE.as_millis()).unwrap_or(u64::MAX);
        let since = self.since.map(to_millis);
        since.is_some_and(|since| entry.time.saturating_add(slack) < since)
    }

    /// True where a run of which nothing is known may be meant.
    fn admits_unknown(&self) -> bool {
        let is_any = self.command.is_empty() && self.subject.is_empty() && self.nodes.is_none();
        is_any && !self.running && self.admits_outcome(Outcome::Lost)
    }

    /// True for a run that is meant, as far as its outcome is known.
    fn admits_run(&self, run: &RunSummary, look: &mut RunScan<'_>) -> bool {
        let is = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        if !is(&self.command, &run.command) || !is(&self.subject, &run.subject) {
            return false;
        }
        let finished = run.finished().map(|it| it.result.outcome());
        if finished.is_some_and(|outcome| !self.admits_outcome(outcome)) {
            return false;
        }
        let start = run.start_time.and_then(|it| SystemTime::try_from(it).ok());
        self.since.is_none_or(|since| start >= Some(since))
            && self.until.is_none_or(|until| start < Some(until))
            && self.admits_nodes(&run.nodes, look)
    }

    fn admits_outcome(&self, outcome: Outcome) -> bool {
        let is_meant = self.outcome == Outcome::Unspecified || self.outcome == outcome;
        is_meant && (!self.running || outcome == Outcome::Unspecified)
    }

    fn admits_nodes(&self, list: &Arc<NodeList>, look: &mut RunScan<'_>) -> bool {
        let Some(wanted) = &self.nodes else {
            return true;
        };
        let known = look.on_nodes.entry(Arc::as_ptr(list));
        let (has_some, _) = known.or_insert_with(|| {
            look.work += list.len();
            let has_some = list.names().any(|node| wanted.contains(node));
            (has_some, Arc::clone(list))
        });
        *has_some
    }
}

/// A time in milliseconds since 1970, as records are named.
fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
