//! The methods about runs that exist already: watching, listing, describing and cancelling them.

use std::hash::{DefaultHasher, Hasher};

use action_proto::v1::{
    CancelRunRequest, GetRunRequest, GetRunResponse, ListRunsRequest, ListRunsResponse, Run,
    RunEvent, WatchRunRequest, WatchRunResponse,
};
use prost::Message;
use tonic::{Code, Status, Streaming};

use super::{Api, Ended, within};

impl Api {
    /// Calls WatchRun: the run's events after one of them.
    #[track_caller]
    pub fn watch(&self, run_id: &str, after_sequence: u64) -> Result<Watch, Status> {
        let request = WatchRunRequest {
            run_id: run_id.to_owned(),
            after_sequence,
        };
        let call = async { self.client().watch_run(self.request(request)).await };
        let response = within("WatchRun", call)?;
        let id = response.metadata().get("action-run-id");
        let id = id.expect("the header action-run-id").to_str().unwrap();
        Ok(Watch {
            id: id.to_owned(),
            events: Vec::new(),
            stream: response.into_inner(),
        })
    }

    /// The whole of a run from its record, seen to its end.
    #[track_caller]
    pub fn ended(&self, run_id: &str) -> Ended {
        let mut watch = self.watch(run_id, 0).unwrap();
        let id = watch.id.clone();
        while watch.read().unwrap().is_some() {}
        let events = watch.events;
        let ended = Ended { id, events };
        ended.check();
        ended
    }

    /// Calls ListRuns.
    #[track_caller]
    pub fn list_runs(&self, request: ListRunsRequest) -> Result<ListRunsResponse, Status> {
        let call = async { self.client().list_runs(self.request(request)).await };
        within("ListRuns", call).map(tonic::Response::into_inner)
    }

    /// Calls GetRun.
    #[track_caller]
    pub fn get_run(&self, run_id: &str) -> Result<GetRunResponse, Status> {
        self.get_run_page(run_id, 0, "")
    }

    /// Calls GetRun for a page of the jobs.
    #[track_caller]
    pub fn get_run_page(
        &self,
        run_id: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<GetRunResponse, Status> {
        let request = GetRunRequest {
            run_id: run_id.to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let call = async { self.client().get_run(self.request(request)).await };
        within("GetRun", call).map(tonic::Response::into_inner)
    }

    /// A run as it is now.
    #[track_caller]
    pub fn run_now(&self, run_id: &str) -> Run {
        self.get_run(run_id).unwrap().run.unwrap()
    }

    /// Calls CancelRun: the run as it was when the request reached it.
    #[track_caller]
    pub fn cancel(&self, run_id: &str, force: bool) -> Result<Run, Status> {
        let request = CancelRunRequest {
            run_id: run_id.to_owned(),
            force,
        };
        let call = async { self.client().cancel_run(self.request(request)).await };
        within("CancelRun", call).map(|response| response.into_inner().run.unwrap())
    }

    /// What each method that takes a run's id answers where it must refuse: all the same.
    #[track_caller]
    pub fn refused_run(&self, run_id: &str) -> (Code, String) {
        let watch = self.watch(run_id, 0).expect_err("WatchRun is refused");
        let get = self.get_run(run_id).expect_err("GetRun is refused");
        let cancel = self
            .cancel(run_id, false)
            .expect_err("CancelRun is refused");
        let told = [watch, get, cancel].map(|it| (it.code(), it.message().to_owned()));
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0], told[2]);
        told[0].clone()
    }
}

/// A run that is watched. Dropped, it is a watcher who goes away.
#[derive(Debug)]
pub struct Watch {
    /// The run's whole id, from the header.
    pub id: String,
    /// The events so far.
    pub events: Vec<RunEvent>,
    stream: Streaming<WatchRunResponse>,
}

impl Watch {
    /// The next event; `None` at the end.
    #[track_caller]
    pub fn read(&mut self) -> Result<Option<&RunEvent>, Status> {
        let Some(message) = within("the next event", self.stream.message())? else {
            return Ok(None);
        };
        self.events.push(message.event.expect("an event"));
        Ok(self.events.last())
    }

    /// Reads all that is left: the events, and why there are no more if that was an error.
    #[track_caller]
    pub fn rest(mut self) -> (Vec<RunEvent>, Option<Status>) {
        let error = loop {
            match self.read() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(status) => break Some(status),
            }
        };
        (self.events, error)
    }

    /// Reads to the end and keeps nothing but the count of events and a hash of their bytes.
    #[track_caller]
    pub fn digest(mut self) -> Digest {
        let mut digest = Digest::default();
        self.events.iter().for_each(|event| digest.add(event));
        while let Some(message) = within("the next event", self.stream.message()).unwrap() {
            digest.add(&message.event.expect("an event"));
        }
        digest
    }
}

/// Events in brief: equal for equal bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How many.
    pub events: u64,
    /// The length of their output.
    pub output: u64,
    hash: u64,
}

impl Digest {
    /// The digest of events.
    pub fn of(events: &[RunEvent]) -> Digest {
        let mut digest = Digest::default();
        events.iter().for_each(|event| digest.add(event));
        digest
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &RunEvent) {
        use action_proto::v1::run_event::Event;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.hash);
        hasher.write(&event.encode_to_vec());
        self.hash = hasher.finish();
        self.events += 1;
        if let Some(Event::NodeOutput(output)) = &event.event {
            self.output += output.data.len() as u64;
        }
    }
}
