//! Hidden nodes, groups, ranks, values and commands have no part in any answer: two servers that differ
//! in nothing else answer alike.

use action_proto::v1::{
    ListCommandsRequest, ListNodesRequest, ListRunsRequest, PlanRunRequest, RunCommandRequest,
};
use action_tests::{Api, Chance, Server, Site, on, rounds, token};
use jsonwebtoken::Algorithm;
use regex::Regex;
use serde_json::Value;
use tonic::{Code, Status};

const POLICY: &str = r#"
rules:
- {name: power, allow: [run], subjects: [olga], commands: ["power-*"], nodes: "@compute"}
- {name: everything, allow: [all], subjects: [root, carl, tess, tom]}
- {name: not for carl, deny: [all], subjects: [carl], nodes: "@*!@compute"}
- {name: no wiping, deny: [all], subjects: [carl], commands: ["wipe*", "erase*", state, nothing]}
- {name: audit, allow: [list, "read:any"], subjects: [ann], commands: ["power-*"], nodes: "@compute"}
- {name: stop, allow: ["cancel:any"], subjects: [stan]}
"#;

/// What everybody may see, with what only `root` may.
fn site(groups: &str, hidden: [&str; 3], commands: &[&str], teller: Option<&str>) -> Server {
    let site = Site::new();
    let [first, middle, last] = hidden;
    site.nodes(&format!(
        "__groups__: {{compute: 'c[1-4]', rack1: 'c[1-2]', pair: 'c3,c4', {groups}}}\n\
         {first}c1: {{ranks: aws, site: s1}}\nc2: {{ranks: [aws, gpu], site: s1}}\n\
         {middle}c3: {{site: s2}}\nc4: {{ranks: gpu, site: s2, other: x}}\n{last}"
    ));
    for name in ["power-off", "power-on"] {
        site.command(name, "true");
    }
    site.command_with(
        "power-wait",
        "help: {summary: s}\nverify: {command: state, until: ON}\n",
        "true",
    );
    site.command_with(
        "power-ask",
        "help: {summary: s}\nconfirmation: \"on %{nodes}?\"\n",
        "true",
    );
    site.command_with("once", "help: {summary: s, has_context: false}", "true");
    for name in commands {
        site.command(name, "true");
    }
    if let Some(metadata) = teller {
        site.command_with("state", metadata, "echo ON");
    }
    site.write("policy.yaml", POLICY);
    site.settings("policy_path: policy.yaml\nvisible_metadata: [site]");
    site.start()
}

fn pair() -> [Server; 2] {
    [
        site(
            "vault: 'v1,h1', mixed: 'c1,h1', odd: '@nosuch,c2', hot: 'rank=secret,c2'",
            [
                "h1: {ranks: secret, site: s9}\n",
                "v1: {ranks: aws, site: s1}\n",
                "h2: {ranks: gpu, site: s2}\n",
            ],
            &["wipe", "wipe-now", "nothing"],
            None,
        ),
        site(
            "crypt: 'k1,k2', mixed: 'c1', hot: 'c2'",
            ["", "k1: {ranks: [dark, aws], site: s8}\n", "k2: {}\n"],
            &["erase"],
            Some("help: {summary: s, has_context: false}"),
        ),
    ]
}

/// A caller by its subject and the limits of its token.
const CALLERS: [(&str, Option<&str>, Option<&str>); 6] = [
    ("olga", None, None),
    ("carl", None, None),
    ("tess", Some("power-*"), Some("@compute")),
    ("tom", Some("once"), None),
    ("ann", None, None),
    ("stan", None, None),
];

fn api(server: &Server, (subject, commands, nodes): (&str, Option<&str>, Option<&str>)) -> Api {
    let mut claims = token::with(token::claims(), "sub", subject);
    for (claim, value) in [
        ("commands", commands.map(|it| Value::from(vec![it]))),
        ("nodes", nodes.map(Value::from)),
    ] {
        if let Some(value) = value {
            claims = token::with(claims, claim, value);
        }
    }
    let token = token::signed(&claims, &server.secret(), Algorithm::HS256);
    server.api_with(Some(&token))
}

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

#[derive(Debug)]
enum Asked {
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
struct Asking(Chance);

impl Asking {
    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.number(all.len())]
    }

    fn number(&mut self, below: usize) -> usize {
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

    fn next(&mut self, runs: usize) -> Asked {
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
struct Asker<'a> {
    server: &'a Server,
    runs: Vec<String>,
    varying: [(Regex, &'static str); 3],
}

impl<'a> Asker<'a> {
    fn new(server: &'a Server, hidden_node: &str, hidden_command: &str) -> Asker<'a> {
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

    fn ask(&mut self, caller: usize, asked: &Asked) -> String {
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

#[test]
fn two_catalogues_that_differ_in_what_is_hidden_answer_alike() {
    let servers = pair();
    let mut one = Asker::new(&servers[0], "h1", "wipe");
    let mut other = Asker::new(&servers[1], "k1", "erase");
    let mut asking = Asking(Chance::new());
    let mut accepted = 0;
    for _ in 0..rounds(1200) {
        let caller = asking.number(CALLERS.len());
        let asked = asking.next(one.runs.len());
        let told = one.ask(caller, &asked);
        assert_eq!(
            told,
            other.ask(caller, &asked),
            "{}: {asked:?}",
            CALLERS[caller].0
        );
        accepted += usize::from(told.starts_with("PlanRunResponse"));
    }
    assert!(rounds(1200) < 1200 || accepted > 5, "{accepted}");
}

#[test]
fn sets_stand_for_what_the_caller_may_list() {
    let [server, _] = pair();
    let olga = api(&server, CALLERS[0]);
    for (set, expected) in [
        ("*", "c[1-4]"),
        ("?[1-3]", "c[1-3]"),
        ("@*", "c[1-4]"),
        ("@mixed", "c1"),
        ("rank=aws", "c[1-2]"),
        ("site=s*!c1", "c[2-4]"),
        ("@*c*", "c[1-4]"),
        ("@v*", ""),
    ] {
        let plan = olga.plan(PlanRunRequest {
            command: "power-on".into(),
            nodes: set.into(),
            ..PlanRunRequest::default()
        });
        let told = plan.map_or_else(|_| String::new(), |plan| plan.nodes);
        assert_eq!(told, expected, "{set}");
    }
    let run = olga.run(on("power-on", "?1"));
    assert_eq!(run.nodes(), ["c1"]);
    // A token for commands alone sees no further than these reach.
    let tom = api(&server, CALLERS[3]);
    assert_eq!(tom.node_names(), Vec::<String>::new());
    assert_eq!(tom.command_names(), ["once"]);
}

#[test]
fn the_right_to_cancel_is_none_to_see() {
    let [server, _] = pair();
    let gate = server.gate("gate");
    server.command(
        "power-slow",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"",
    );
    let olga = api(&server, CALLERS[0]);
    let mut run = action_tests::wait_until("the command", action_tests::CEILING, || {
        olga.start(on("power-slow", "c1")).ok()
    });
    run.wait_for("c1", "ready\n");
    let stan = api(&server, CALLERS[5]);
    // Beginnings of an id list nothing, and find nothing.
    for length in [1, 8, 15] {
        let status = stan.cancel(&run.id[..length], true).unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
    }
    assert_eq!(stan.get_run(&run.id).unwrap_err().code(), Code::NotFound);
    let told = stan.cancel(&run.id, true).unwrap();
    let nothing_more = action_proto::v1::Run {
        run_id: run.id.clone(),
        ..action_proto::v1::Run::default()
    };
    assert_eq!(told, nothing_more);
    let ended = run.finish();
    assert_eq!(
        ended.summary().outcome(),
        action_proto::v1::Outcome::Cancelled
    );
    assert_eq!(stan.cancel(&ended.id, true).unwrap(), nothing_more);
    drop(gate);
}
