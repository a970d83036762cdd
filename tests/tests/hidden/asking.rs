//! Random requests of all methods, and their answers without what differs from server to server.

use action_proto::v1::{
    ListCommandsRequest, ListNodesRequest, ListRunsRequest, PlanRunRequest, RunCommandRequest,
};
use action_tests::{Chance, Server, on};
use regex::Regex;
use tonic::Status;

use super::{CALLERS, api};

const COMMANDS: [&str; 12] = [
    "power-on",
    "power-on",
    "power-off",
    "power-wait",
    "power-ask",
    "power-no",
    "once",
    "wipe",
    "wipe-now",
    "erase",
    "state",
    "nothing",
];
const TERMS: [&str; 40] = [
    "c1",
    "c2",
    "c[1-2]",
    "c[2-4]",
    "c[1-9]",
    "h1",
    "v1",
    "k1",
    "x1",
    "*[1-9]",
    "?1",
    "c*",
    "h*",
    "k*",
    "*1",
    "?2",
    "@*",
    "@compute",
    "@rack1",
    "@pair",
    "@vault",
    "@crypt",
    "@mixed",
    "@odd",
    "@hot",
    "@none",
    "@{compute,vault}",
    "@*r*",
    "@c*",
    "@v*",
    "rank=aws",
    "rank=gpu",
    "rank=secret",
    "rank=d*",
    "rank=*",
    "site=s1",
    "site=s[1-9]",
    "site=s9",
    "site=*",
    "other=x",
];

/// A request.
#[derive(Debug)]
pub(super) enum Asked {
    Nodes(ListNodesRequest),
    Commands(ListCommandsRequest),
    Plan(PlanRunRequest),
    Run(RunCommandRequest),
    Runs(ListRunsRequest),
    /// One of the runs so far, by so many characters of its id.
    Get(usize, usize),
    Watch(usize, usize),
    Cancel(usize, usize),
}

/// Chooses requests.
pub(super) struct Asking(Chance);

impl Asking {
    pub(super) fn new(chance: Chance) -> Asking {
        Asking(chance)
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.number(all.len())]
    }

    pub(super) fn number(&mut self, below: usize) -> usize {
        usize::try_from(self.0.below(below as u64)).unwrap()
    }

    fn set(&mut self) -> String {
        let mut set = self.one_of(&TERMS).to_owned();
        while self.number(3) == 0 {
            set += self.one_of(&[",", "!", "&", "^"]);
            set += self.one_of(&TERMS);
        }
        set
    }

    fn maybe_set(&mut self) -> String {
        match self.number(3) {
            0 => self.set(),
            _ => String::new(),
        }
    }

    fn run(&mut self) -> RunCommandRequest {
        RunCommandRequest {
            exclude: self.maybe_set(),
            confirmed: self.number(2) == 0,
            wait: [None, None, Some(true), Some(false)][self.number(4)],
            expected_nodes: [None, None, Some(2)][self.number(3)],
            plan_digest: self.one_of(&["", "", "p1:bad"]).to_owned(),
            ..on(self.one_of(&COMMANDS), &self.set())
        }
    }

    pub(super) fn next(&mut self, runs: usize) -> Asked {
        let page_size = [0, 1, 2][self.number(3)];
        let page_token = self.one_of(&["", "", "", "c2", "h1", "k1", "power-on", "wipe", "erase"]);
        let run = (self.number(runs), [16, 16, 15, 14][self.number(4)]);
        match self.number(10) {
            0 | 1 => Asked::Nodes(ListNodesRequest {
                page_size,
                page_token: page_token.into(),
                nodes: self.maybe_set(),
                exclude: self.maybe_set(),
            }),
            2 => Asked::Commands(ListCommandsRequest {
                page_size,
                page_token: page_token.into(),
            }),
            3 | 4 => {
                let run = self.run();
                Asked::Plan(PlanRunRequest {
                    command: run.command,
                    nodes: run.nodes,
                    exclude: run.exclude,
                    wait: run.wait,
                    report_forbidden: self.number(2) == 0,
                    ..PlanRunRequest::default()
                })
            }
            5 => Asked::Run(self.run()),
            6 => Asked::Runs(ListRunsRequest {
                nodes: self.maybe_set(),
                command: self.one_of(&["", "", "power-on", "wipe", "erase"]).into(),
                subject: self.one_of(&["", "", "root", "olga"]).into(),
                ..ListRunsRequest::default()
            }),
            7 => Asked::Get(run.0, run.1),
            8 => Asked::Watch(run.0, run.1),
            _ => Asked::Cancel(run.0, run.1),
        }
    }
}

/// A server with the ids of its runs, in the order in which they were started.
pub(super) struct Asker<'a> {
    server: &'a Server,
    pub(super) runs: Vec<String>,
    varying: [(Regex, &'static str); 3],
}

impl<'a> Asker<'a> {
    pub(super) fn new(server: &'a Server, hidden_node: &str, hidden_command: &str) -> Asker<'a> {
        let root = api(server, ("root", None, None));
        let olga = api(server, CALLERS[0]);
        let runs = [
            olga.run(on("power-on", "c1")).id,
            root.run(on("power-off", "c[2-3]")).id,
            root.run(on("power-on", hidden_node)).id,
            root.run(on("power-on", &format!("c1,{hidden_node}"))).id,
            root.run(on("once", "")).id,
            root.run(on(hidden_command, "c1")).id,
        ];
        let varying = [
            (r"p1:[0-9A-Za-z_-]{22}(\.[0-9A-Za-z_-]{22}){3}", "DIGEST"),
            (r"(Timestamp|Duration) \{[^}]*\}", "TIME"),
            (r#""date": "[^"]*""#, "DATE"),
        ];
        Asker {
            server,
            runs: runs.into(),
            varying: varying.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)),
        }
    }

    /// An answer without what differs from server to server and from time to time.
    fn told(&self, answer: Result<String, Status>) -> String {
        let error = |status: Status| format!("{:?} {}", status.code(), status.message());
        let mut text = answer.unwrap_or_else(error);
        for (at, id) in self.runs.iter().enumerate() {
            for length in [16, 15, 14] {
                text = text.replace(&id[..length], &format!("RUN{at}"));
            }
        }
        for (pattern, name) in &self.varying {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        text
    }

    pub(super) fn ask(&mut self, caller: usize, asked: &Asked) -> String {
        let api = api(self.server, CALLERS[caller]);
        let id = |run: &usize, length: &usize| &self.runs[*run][..*length];
        let answer = match asked {
            Asked::Nodes(it) => api.list_nodes(it.clone()).map(|it| format!("{it:?}")),
            Asked::Commands(it) => api.list_commands(it.clone()).map(|it| format!("{it:?}")),
            Asked::Plan(it) => api.plan(it.clone()).map(|it| format!("{it:?}")),
            Asked::Runs(it) => api.list_runs(it.clone()).map(|it| format!("{it:?}")),
            Asked::Get(run, length) => api.get_run(id(run, length)).map(|it| format!("{it:?}")),
            Asked::Watch(run, length) => api.watch(id(run, length), 0).map(|it| {
                let (events, error) = it.rest();
                // Which of two nodes is first is left to chance.
                let mut events: Vec<_> =
                    events.iter().map(|it| format!("{:?}", it.event)).collect();
                events.sort();
                format!("{events:?} {error:?}")
            }),
            Asked::Cancel(run, length) => api
                .cancel(id(run, length), false)
                .map(|it| format!("{it:?}")),
            Asked::Run(it) => match api.start(it.clone()) {
                Ok(run) => {
                    let run = run.finish();
                    let told = format!("ran on {:?}", run.nodes());
                    self.runs.push(run.id);
                    Ok(told)
                }
                Err(status) => Err(status),
            },
        };
        self.told(answer)
    }
}
